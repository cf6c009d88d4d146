import type { Location, Source } from "../base/index.ts";

/** A YAML value with its place in the file: offsets in UTF-16 units, `end` just past it. */
export type YamlNode = YamlScalar | YamlMap | YamlSeq;

interface Span {
  readonly start: number;
  readonly end: number;
}

export interface YamlScalar extends Span {
  readonly kind: "scalar";
  /** By YAML 1.2's core schema. */
  readonly value: string | number | boolean | null;
  /** As written, for plain scalars: `1.0` and `yes` keep their spelling. */
  readonly text: string;
  /** Neither quoted nor a block scalar. */
  readonly plain: boolean;
}

export interface YamlEntry extends Span {
  readonly key: string;
  readonly value: YamlNode;
}

export interface YamlMap extends Span {
  readonly kind: "map";
  /** Keys are unique. An entry's span is its key's. */
  readonly entries: readonly YamlEntry[];
}

export interface YamlSeq extends Span {
  readonly kind: "seq";
  readonly items: readonly YamlNode[];
}

/** Turns offsets of one file into locations; the table of lines is made once. */
export class Places {
  readonly source: Source;
  #starts: number[] | undefined;

  constructor(source: Source) {
    this.source = source;
  }

  at(span: Span): Location {
    const row = this.row(span.start);
    const lineStart = this.#lines()[row - 1] as number;
    // Columns count code points, as the parser of Rego does.
    const col = [...this.source.text.slice(lineStart, span.start)].length + 1;
    return { source: this.source, row, col, offset: span.start, end: span.end };
  }

  /** The 1-based row of an offset. */
  row(offset: number): number {
    const starts = this.#lines();
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] as number) <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  }

  #lines(): number[] {
    if (this.#starts === undefined) {
      const starts = [0];
      const { text } = this.source;
      for (let i = text.indexOf("\n"); i !== -1; i = text.indexOf("\n", i + 1)) starts.push(i + 1);
      this.#starts = starts;
    }
    return this.#starts;
  }
}
