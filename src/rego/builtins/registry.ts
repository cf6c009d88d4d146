import { templateBuiltins } from "./template.ts";
import { uriBuiltins } from "./uri.ts";
import { uuidBuiltins } from "./uuid.ts";
import { semverBuiltins } from "./semver.ts";
import { unitBuiltins } from "./units.ts";
import { encodingBuiltins } from "./encoding.ts";
import { sprintfBuiltins } from "./sprintf.ts";
import { aggregateBuiltins } from "./aggregates.ts";
import { arrayBuiltins } from "./array.ts";
import { bitBuiltins } from "./bits.ts";
import { conversionBuiltins } from "./conversions.ts";
import { deprecatedBuiltins } from "./deprecated.ts";
import { graphBuiltins } from "./graph.ts";
import { graphqlBuiltins } from "./graphql.ts";
import { numberBuiltins } from "./numbers.ts";
import { objectBuiltins } from "./object.ts";
import { opaBuiltins } from "./opa.ts";
import { regoBuiltins } from "./rego.ts";
import { setBuiltins } from "./sets.ts";
import { stringBuiltins } from "./strings.ts";
import { typeBuiltins } from "./types.ts";
import { comparisonBuiltins } from "./comparison.ts";
import type { Builtin } from "./define.ts";
import { timeBuiltins } from "./time.ts";
import { regexBuiltins } from "./regex.ts";
import { jsonSchemaBuiltins } from "./json-schema.ts";
import { netBuiltins } from "./net.ts";
import { globBuiltins } from "./glob.ts";
import { httpBuiltins } from "./http.ts";
import { internalBuiltins } from "./internal.ts";
import { tracingBuiltins } from "./tracing.ts";

/** Builtins that run anywhere JavaScript does, browsers included. One line per category. */
export const portableBuiltins: readonly Builtin[] = [
  templateBuiltins,
  uriBuiltins,
  uuidBuiltins,
  semverBuiltins,
  unitBuiltins,
  encodingBuiltins,
  sprintfBuiltins,
  aggregateBuiltins,
  arrayBuiltins,
  bitBuiltins,
  comparisonBuiltins,
  conversionBuiltins,
  globBuiltins,
  deprecatedBuiltins,
  graphBuiltins,
  graphqlBuiltins,
  httpBuiltins,
  internalBuiltins,
  jsonSchemaBuiltins,
  netBuiltins,
  numberBuiltins,
  objectBuiltins,
  opaBuiltins,
  regexBuiltins,
  regoBuiltins,
  setBuiltins,
  stringBuiltins,
  timeBuiltins,
  tracingBuiltins,
  typeBuiltins,
].flat();
