export {
  type GeneratedProgram,
  type GeneratedQuery,
  type GenerateOptions,
  generateProgram,
  generateProgramInSteps,
  generateQuery,
  type Replaceable,
} from "./program.ts";
export type { CallableBuiltin } from "./unit.ts";
