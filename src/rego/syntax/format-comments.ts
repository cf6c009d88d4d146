import type { Comment } from "./ast.ts";

/** Comments not yet written, by place. Taking from it makes another queue, so that a step can be taken back. */
export class CommentQueue {
  static readonly EMPTY = new CommentQueue([], 0);

  readonly #comments: readonly Comment[];
  readonly #from: number;

  constructor(comments: readonly Comment[], from = 0) {
    this.#comments = comments;
    this.#from = from;
  }

  get first(): Comment | undefined {
    return this.#comments[this.#from];
  }

  get rest(): readonly Comment[] {
    return this.#comments.slice(this.#from);
  }

  /** The comments above a row, and the queue without them. */
  above(row: number): readonly [taken: readonly Comment[], left: CommentQueue] {
    let to = this.#from;
    for (let next = this.#comments[to]; next !== undefined && next.at.row < row; next = this.#comments[to]) to++;
    return [this.#comments.slice(this.#from, to), new CommentQueue(this.#comments, to)];
  }

  /** The first comment below a row. */
  firstBelow(row: number): Comment | undefined {
    let at = this.#from;
    for (let next = this.#comments[at]; next !== undefined && next.at.row <= row; next = this.#comments[at]) at++;
    return this.#comments[at];
  }
}
