export { type CodePiece, ImageLoader, ImageMaker, type QueryImage } from "./image.ts";
export {
  emitProgram,
  emitQuery,
  type GeneratedProgram,
  type GeneratedQuery,
  type GenerateOptions,
  generateProgram,
  generateProgramInSteps,
  generateQuery,
  type Replaceable,
} from "./program.ts";
export type { CallableBuiltin } from "./unit.ts";
