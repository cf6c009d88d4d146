import { isArray, isJsonObject, type JsonObject, parseJson, type Value } from "../../rego/value/index.ts";
import { LoadError, messageOf } from "../errors.ts";

/** What a bundle's `.manifest` says. */
export interface Manifest {
  readonly revision: string;
  /** Paths under `data` that the bundle owns, without slashes at the ends; `[""]` owns everything. */
  readonly roots: readonly string[];
  readonly regoVersion: 0 | 1 | undefined;
  /** Glob patterns of file paths with a Rego version of their own. */
  readonly fileRegoVersions: ReadonlyMap<string, 0 | 1>;
  readonly metadata: JsonObject;
}

export const DEFAULT_MANIFEST: Manifest = {
  revision: "",
  roots: [""],
  regoVersion: undefined,
  fileRegoVersions: new Map(),
  metadata: {},
};

/** @throws {LoadError} bad_bundle */
export function readManifest(bundle: string, text: string): Manifest {
  let value: Value;
  try {
    value = parseJson(text);
  } catch (cause) {
    throw refused(bundle, messageOf(cause));
  }
  if (!isJsonObject(value)) throw refused(bundle, "must be an object");
  const member = (key: string): Value | undefined => (Object.hasOwn(value, key) ? value[key] : undefined);
  const revision = member("revision") ?? "";
  if (typeof revision !== "string") throw refused(bundle, "revision must be a string");
  const metadata = member("metadata") ?? {};
  if (!isJsonObject(metadata)) throw refused(bundle, "metadata must be an object");
  return {
    revision,
    roots: readRoots(bundle, member("roots")),
    regoVersion: readVersion(bundle, member("rego_version")),
    fileRegoVersions: readFileVersions(bundle, member("file_rego_versions")),
    metadata,
  };
}

/** Whether a path (`a/b`) lies under one of the roots. */
export function isUnderRoots(roots: readonly string[], path: string): boolean {
  return roots.some((root) => root === "" || path === root || path.startsWith(`${root}/`));
}

/** The first pair of roots of two bundles that overlap, or undefined. */
export function overlap(a: readonly string[], b: readonly string[]): readonly [string, string] | undefined {
  for (const left of a) {
    for (const right of b) if (isUnderRoots([left], right) || isUnderRoots([right], left)) return [left, right];
  }
  return undefined;
}

function readRoots(bundle: string, value: Value | undefined): readonly string[] {
  if (value === undefined || value === null) return [""];
  if (!isArray(value)) throw refused(bundle, "roots must be an array of strings");
  const roots = value.map((root) => {
    if (typeof root !== "string") throw refused(bundle, "roots must be an array of strings");
    return root.replace(/^\/+|\/+$/g, "");
  });
  roots.forEach((root, i) => {
    const other = roots.find((candidate, j) => j !== i && isUnderRoots([candidate], root));
    if (other !== undefined) throw refused(bundle, `manifest has overlapped roots: '${other}' and '${root}'`);
  });
  return roots;
}

function readVersion(bundle: string, value: Value | undefined): 0 | 1 | undefined {
  if (value === undefined || value === null) return undefined;
  if (value === 0 || value === 1) return value;
  throw refused(bundle, "rego_version must be 0 or 1");
}

function readFileVersions(bundle: string, value: Value | undefined): ReadonlyMap<string, 0 | 1> {
  const versions = new Map<string, 0 | 1>();
  if (value === undefined || value === null) return versions;
  if (!isJsonObject(value)) throw refused(bundle, "file_rego_versions must be an object");
  for (const pattern of Object.keys(value)) {
    const version = readVersion(bundle, value[pattern]);
    if (version !== undefined) versions.set(pattern, version);
  }
  return versions;
}

function refused(bundle: string, why: string): LoadError {
  return new LoadError("bad_bundle", `${bundle}: bundle load failed on manifest decode: ${why}`);
}
