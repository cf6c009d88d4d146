import type { MetricObject } from "prom-client";

/** What a worker tells its supervisor. */
export type FromWorker =
  /** Its event loop turns. */
  | { readonly kind: "beat" }
  /** It listens. */
  | { readonly kind: "ready" }
  /** Its answer to `collect`. */
  | { readonly kind: "metrics"; readonly round: number; readonly metrics: readonly MetricObject[] }
  /** Someone asked it for the metrics of all. */
  | { readonly kind: "sum"; readonly question: number }
  /** The REST API wrote to it; undefined once its files have taken over again. */
  | { readonly kind: "base"; readonly text: string | undefined };

/** What a supervisor tells its workers. */
export type ToWorker =
  | { readonly kind: "collect"; readonly round: number }
  | { readonly kind: "sum"; readonly question: number; readonly text: string }
  | { readonly kind: "base"; readonly text: string };
