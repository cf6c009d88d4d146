import type { Refusal } from "../identity/index.ts";
import type { IstioDecision } from "../istio/index.ts";
import type { EvalErrorCode } from "../rego/engine/index.ts";
import type { Value } from "../rego/value/index.ts";

/** What became of one evaluation. Only `value` and `mesh` may lead to an allow. */
export type Outcome =
  | { readonly kind: "value"; readonly value: Value }
  /** Istio's policies decided: they denied, or nothing else was there to ask. */
  | { readonly kind: "mesh"; readonly decision: IstioDecision }
  | Refusal
  | { readonly kind: "undefined" }
  /** A configured query had more than one solution. */
  | { readonly kind: "ambiguous" }
  | { readonly kind: "timeout" }
  | { readonly kind: "cancelled" }
  /** Evaluation stopped. `text` is OPA's one-line rendering. */
  | {
      readonly kind: "failed";
      readonly code: EvalErrorCode | "compile_error";
      readonly message: string;
      readonly text: string;
      readonly place: Place | undefined;
    };

/** Where in a policy. */
export interface Place {
  readonly file: string;
  readonly row: number;
  readonly col: number;
}
