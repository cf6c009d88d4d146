export {
  type Arg,
  arg,
  type Builtin,
  callBuiltin,
  defineBuiltin,
  type Operand,
  operands,
  result,
  signatureOf,
  types,
} from "./define.ts";
export { compileGlob, type GlobMatcher } from "./glob-matcher.ts";
export { formatTime } from "./go-layout.ts";
export { TEST_CASE_NOTE } from "./internal.ts";
export { compileRegex, type Regex } from "./regex-engine.ts";
export { portableBuiltins } from "./registry.ts";
