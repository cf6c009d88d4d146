export {
  type GeneratedProgram,
  type GeneratedQuery,
  type GenerateOptions,
  generateProgram,
  generateQuery,
  type Replaceable,
} from "./program.ts";
export type { CallableBuiltin } from "./unit.ts";
