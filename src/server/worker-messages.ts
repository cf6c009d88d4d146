import type { MetricObject } from "prom-client";

/** Environment variable by which a worker knows the name that all of them have in labels. */
export const INSTANCE_VARIABLE = "CARDEA_INSTANCE_ID";

/** What a worker tells its supervisor. */
export type FromWorker =
  /** Its event loop turns. */
  | { readonly kind: "beat" }
  /** It has read its files, and wants to know what the REST API has written since. */
  | { readonly kind: "join" }
  /** It listens. */
  | { readonly kind: "ready" }
  /** Its answer to `collect`. */
  | { readonly kind: "metrics"; readonly round: number; readonly metrics: readonly MetricObject[] }
  /** Someone asked it for the metrics of all. */
  | { readonly kind: "sum"; readonly question: number }
  /** The REST API wrote to it. */
  | { readonly kind: "base"; readonly text: string }
  /** Its files have changed, to what the print stands for, or somebody says so. */
  | { readonly kind: "stale"; readonly print: string | undefined }
  /** Its answer to `reload`: whether what it reads took over. */
  | { readonly kind: "reloaded"; readonly isGood: boolean }
  /** How it is, as JSON text of its status. */
  | { readonly kind: "status"; readonly text: string }
  /** It wants to write to the base that all share. */
  | { readonly kind: "lock"; readonly question: number }
  /** It has. */
  | { readonly kind: "unlock" };

/** What a supervisor tells its workers. */
export type ToWorker =
  | { readonly kind: "collect"; readonly round: number }
  | { readonly kind: "sum"; readonly question: number; readonly text: string }
  | { readonly kind: "base"; readonly text: string }
  /** The answer to `join`; what is written later follows as `base`. */
  | {
      readonly kind: "joined";
      readonly text: string | undefined;
      /** Others have read the files anew since it began. */
      readonly isStale: boolean;
    }
  /** How all are, as one; one of them reports it. */
  | { readonly kind: "group"; readonly text: string; readonly isReporter: boolean }
  /** All read their files now; nobody writes meanwhile. */
  | { readonly kind: "reload" }
  /** It may write; what others wrote before has been sent to it before. */
  | { readonly kind: "locked"; readonly question: number };
