export { LOAD_ERROR_CODES, LoadError, type LoadErrorCode } from "./errors.ts";
export { type Loaded, type LoadOptions, loadPaths } from "./load.ts";
export type { ModuleText, RegoVersion } from "./program.ts";
