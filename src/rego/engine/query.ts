import { EvalError, Evaluation, Session, type SessionOptions, Suspension } from "../runtime/index.ts";
import { setOwn, type Value } from "../value/index.ts";
import type { GeneratedQuery } from "../codegen/index.ts";

/** What one evaluation is given. With a `tracer` the query runs in its traced build. */
export interface EvaluateOptions extends SessionOptions {
  readonly input?: Value;
  /** Receives the builtin errors that made calls undefined. */
  readonly onBuiltinErrors?: (errors: readonly EvalError[]) => void;
}

/** One way a query holds. */
export interface Solution {
  readonly bindings: Readonly<Record<string, Value>>;
  readonly expressions: readonly {
    readonly value: Value;
    readonly text: string;
    readonly location: { readonly row: number; readonly col: number };
  }[];
}

/** A query ready to run, as often as wanted. */
export interface Query {
  /** @throws {EvalError} when evaluation fails. @throws {Suspension} when it waits for I/O. */
  evaluate(options?: EvaluateOptions): readonly Solution[];
  /** The value of the first expression in the first solution; for an entrypoint its document. Undefined: no result. */
  value(options?: EvaluateOptions): Value | undefined;
}

/** A query without base documents. */
export interface PreparedQuery {
  /** Of the variables that results bind, in the order in which a solution begins with their values. */
  readonly names: readonly string[];
  /** What is the same in every solution. A bound one has the next value of it. */
  readonly expressions: readonly {
    readonly text: string;
    readonly location: { readonly row: number; readonly col: number };
    readonly isBound: boolean;
  }[];
  readonly plain: GeneratedQuery;
  /** Made when it is asked for. */
  traced(): GeneratedQuery;
}

export class RunnableQuery implements Query {
  readonly #query: PreparedQuery;
  readonly #data: Value;
  #traced: GeneratedQuery | undefined;

  constructor(query: PreparedQuery, data: Value) {
    this.#query = query;
    this.#data = data;
  }

  evaluate(options: EvaluateOptions = {}): readonly Solution[] {
    const solutions: Solution[] = [];
    this.#run(options, (values) => solutions.push(this.#solution(values)));
    return solutions;
  }

  value(options: EvaluateOptions = {}): Value | undefined {
    let first: Value | undefined;
    const { names, expressions } = this.#query;
    const isBound = expressions[0]?.isBound === true;
    this.#run(options, (values) => {
      first ??= isBound ? values[names.length] : true;
    });
    return first;
  }

  #run(options: EvaluateOptions, emit: (values: readonly Value[]) => void): void {
    let run = this.#query.plain;
    if (options.tracer !== undefined) {
      this.#traced ??= this.#query.traced();
      run = this.#traced;
    }
    const session = new Session(options);
    try {
      run(new Evaluation(session, options.input, this.#data), emit);
    } catch (error) {
      throw asEvalError(error);
    }
    if (session.builtinErrors !== undefined) options.onBuiltinErrors?.(session.builtinErrors);
  }

  #solution(values: readonly Value[]): Solution {
    const bindings: Record<string, Value> = {};
    const { names, expressions } = this.#query;
    for (let i = 0; i < names.length; i++) {
      const value = values[i];
      if (value !== undefined) setOwn(bindings, names[i] as string, value);
    }
    let next = names.length;
    return {
      bindings,
      expressions: expressions.map(({ text, location, isBound }) => ({
        value: isBound ? (values[next++] as Value) : true,
        text,
        location,
      })),
    };
  }
}

/** What leaves the engine is an EvalError or a Suspension; anything else is a fault of ours, or the stack's end. */
function asEvalError(error: unknown): EvalError | Suspension {
  if (error instanceof EvalError || error instanceof Suspension) return error;
  if (error instanceof RangeError)
    return new EvalError("eval_internal_error", "evaluation nested too deeply", undefined, { cause: error });
  return new EvalError("eval_internal_error", error instanceof Error ? error.message : "unknown fault", undefined, {
    cause: error,
  });
}
