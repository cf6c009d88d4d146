import { holdsPolicies } from "../../istio/index.ts";
import { type JsonObject, parseJson, type Value } from "../../rego/value/index.ts";
import { mergeInto, mountAt } from "../data-document.ts";
import { LoadError, messageOf } from "../errors.ts";
import { matchesGlob } from "../glob.ts";
import type { ModuleText } from "../module-text.ts";
import { parseYaml } from "../yaml.ts";
import { DEFAULT_MANIFEST, isUnderRoots, type Manifest, readManifest } from "./manifest.ts";
import { type Verification, verifyFiles } from "./signature.ts";

/** One bundle, read but not yet compiled. */
export interface Bundle {
  readonly name: string;
  readonly manifest: Manifest;
  readonly modules: readonly ModuleText[];
  readonly data: JsonObject;
  /** The files `data` was made of, and where each stands below `data`. */
  readonly documents: readonly { readonly file: string; readonly path: readonly string[] }[];
  /** Istio and Cardea documents found among its files. */
  readonly declarations: readonly ModuleText[];
}

export interface ReadBundleOptions {
  /** In front of module names, as in OPA: the directory or archive the bundle came from. */
  readonly base: string;
  /** Absent: an unsigned bundle passes, a signed one is refused. `skip`: signatures are not looked at. */
  readonly verification?: Verification | "skip";
}

/**
 * Makes a bundle of its files: `*.rego`, `data.json|yaml|yml` and `.manifest`. Wasm modules and plans are left aside;
 * a delta bundle (`patch.json`) is refused: it changes another one, and is none.
 *
 * @param files contents by path without leading slash.
 * @throws {LoadError} bad_bundle, bad_document, bad_signature
 */
export async function readBundle(
  name: string,
  files: ReadonlyMap<string, Uint8Array>,
  options: ReadBundleOptions,
): Promise<Bundle> {
  if (files.has("patch.json"))
    throw new LoadError(
      "bad_bundle",
      `${name}: a delta bundle changes one that is active; it cannot be loaded by itself`,
    );
  if (options.verification !== "skip") await verifyFiles(name, files, options.verification);
  const manifestBytes = files.get(".manifest");
  const manifest = manifestBytes === undefined ? DEFAULT_MANIFEST : readManifest(name, decode(manifestBytes));
  const modules: ModuleText[] = [];
  const declarations: ModuleText[] = [];
  const documents: { file: string; path: readonly string[] }[] = [];
  const data: Record<string, Value> = {};
  for (const path of [...files.keys()].sort()) {
    const bytes = files.get(path) as Uint8Array;
    const base = path.slice(path.lastIndexOf("/") + 1);
    const file = options.base === "" ? `/${path}` : `${options.base}/${path}`;
    if (path.endsWith(".rego")) {
      const version = moduleVersion(manifest, path);
      modules.push({ file, text: decode(bytes), ...(version !== undefined && { version }) });
    } else if (/\.(ya?ml|json)$/.test(base) && holdsPolicies(decode(bytes))) {
      declarations.push({ file, text: decode(bytes) });
    } else if (base === "data.json" || base === "data.yaml" || base === "data.yml") {
      addData(name, manifest, data, path, await readDocument(file, base, decode(bytes)));
      documents.push({ file, path: path.split("/").slice(0, -1) });
    }
  }
  return { name, manifest, modules, data, documents, declarations };
}

function moduleVersion(manifest: Manifest, path: string): "v0" | "v1" | undefined {
  for (const [pattern, version] of manifest.fileRegoVersions) {
    const bare = pattern.replace(/^\/+/, "");
    if (bare === path || matchesGlob(bare, path)) return version === 0 ? "v0" : "v1";
  }
  if (manifest.regoVersion === undefined) return undefined;
  return manifest.regoVersion === 0 ? "v0" : "v1";
}

async function readDocument(file: string, base: string, text: string): Promise<Value> {
  if (!base.endsWith(".json")) return parseYaml(file, text);
  try {
    return parseJson(text);
  } catch (cause) {
    throw new LoadError("bad_document", `bundle load failed on ${file}: ${messageOf(cause)}`, { cause });
  }
}

function addData(name: string, manifest: Manifest, data: Record<string, Value>, path: string, value: Value): void {
  const directory = path.split("/").slice(0, -1);
  const mounted = mountAt(directory, value);
  if (mounted === undefined) throw new LoadError("bad_bundle", `${name}: ${path}: root value must be object`);
  for (const leaf of leavesAbove(mounted, manifest.roots)) {
    if (!isUnderRoots(manifest.roots, leaf)) {
      throw new LoadError(
        "bad_bundle",
        `${name}: manifest roots ${JSON.stringify(manifest.roots)} do not permit data at path '/${leaf}' (hint: check bundle directory structure)`,
      );
    }
  }
  if (!mergeInto(data, mounted)) throw new LoadError("merge_conflict", `${name}: ${path}: merge error`);
}

/** Paths of the document, descended only while a root could still lie below. */
function* leavesAbove(value: JsonObject, roots: readonly string[], prefix = ""): Generator<string> {
  for (const key of Object.keys(value)) {
    const path = prefix === "" ? key : `${prefix}/${key}`;
    const member = value[key] as Value;
    const mayHoldRoot = roots.some((root) => root.startsWith(`${path}/`));
    if (mayHoldRoot && typeof member === "object" && member !== null && !Array.isArray(member))
      yield* leavesAbove(member as JsonObject, roots, path);
    else yield path;
  }
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
