export { mergeInto } from "./data-document.ts";
export { LOAD_ERROR_CODES, LoadError, type LoadErrorCode } from "./errors.ts";
export { type Loaded, type LoadOptions, loadPaths, splitPrefix } from "./load.ts";
export { loadSchemaFiles, type SchemaFile } from "./schema-files.ts";
export type { ModuleText, RegoVersion } from "./module-text.ts";
export { type Entrypoint, pathEntrypoint, Snapshot } from "./snapshot.ts";
export { BASE_PART, type Compile, type Part, PolicyStore } from "./store.ts";
export { parseYaml } from "./yaml.ts";
export { PathWatcher, type WatchOptions } from "./watch.ts";
