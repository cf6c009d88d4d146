export { type Compile, type CompilerOptions, regoCompiler } from "./compile.ts";
export { type Aside, asideInThread } from "./aside.ts";
export { Declared } from "./declared.ts";
export {
  commandBuiltins,
  exhaustedLimits,
  extensionBuiltins,
  extensionHost,
  type Extensions,
  extensionsOf,
  lookingAhead,
  schedulesFoundClosed,
} from "./extensions.ts";
export type { MeshOptions } from "./lowered.ts";
export { mergeInto } from "./data-document.ts";
export { type BundleReply, BundleSource, type BundleSourceOptions, type BundleStatus } from "./bundle/bundle-source.ts";
export { isUnderRoots } from "./bundle/manifest.ts";
export { EditError, type PatchOperation, patched, valueAt, withoutValueAt, withValueAt } from "./edit.ts";
export { entrypointGap, isDefined, keepEntrypoint } from "./entrypoint.ts";
export { LOAD_ERROR_CODES, LoadError, type LoadErrorCode } from "./errors.ts";
export { type Loaded, type LoadOptions, loadPaths, splitPrefix } from "./load.ts";
export { loadSchemaFiles, type SchemaFile } from "./schema-files.ts";
export type { ModuleText, RegoVersion } from "./module-text.ts";
export { type Entrypoint, pathEntrypoint, Snapshot } from "./snapshot.ts";
export { inSlices, type Pace, SERVING_PACE } from "./slices.ts";
export { type Accept, BASE_PART, type Changes, type Part, PolicyStore, type WriteBase } from "./store.ts";
export { parseYaml } from "./yaml.ts";
export type { PolicyThread } from "./thread.ts";
export { PathWatcher, type WatchOptions } from "./watch.ts";
export type { Verification, VerificationKey } from "./bundle/signature.ts";
