import { capabilitiesOf } from "../rego/engine/index.ts";
import { nodeBuiltins } from "../rego/node.ts";
import type { JsonObject } from "../rego/value/index.ts";

/** What policies may use here. */
export function ownCapabilities(version: "v0" | "v1", described: "described" | "bare" = "bare"): JsonObject {
  return capabilitiesOf(nodeBuiltins, version, described);
}
