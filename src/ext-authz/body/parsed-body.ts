import type { Value } from "../../rego/value/index.ts";

export interface ParsedBody {
  /** Null where nothing was parsed. */
  readonly body: Value;
  readonly isTruncated: boolean;
}
