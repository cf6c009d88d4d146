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
export { TEST_CASE_NOTE } from "./internal.ts";
export { portableBuiltins } from "./registry.ts";
