import { isArray, isJsonObject, type JsonObject, parseJson, type Value } from "../../rego/value/index.ts";
import { type PatchOperation, patched, valueAt, withValueAt } from "../edit.ts";
import { LoadError, messageOf } from "../errors.ts";
import { isUnderRoots, type Manifest, readManifest, DEFAULT_MANIFEST } from "./manifest.ts";
import type { Bundle } from "./read.ts";

/** A change to the data of a bundle that is active: `patch.json` instead of the whole. */
export interface Delta {
  readonly manifest: Manifest;
  readonly operations: readonly DeltaOperation[];
}

interface DeltaOperation {
  readonly op: "upsert" | "remove" | "replace";
  readonly path: readonly string[];
  readonly value: Value;
}

/** A delta bundle is told by this file, and has nothing else but a manifest. */
export const PATCH_FILE = "patch.json";

/** Checks and messages are OPA's (v1/bundle). @throws {LoadError} bad_bundle */
export function readDelta(name: string, files: ReadonlyMap<string, Uint8Array>): Delta {
  const other = [...files.keys()].find((path) => path !== PATCH_FILE && path !== ".manifest");
  if (other !== undefined) {
    const kind = other.endsWith(".rego") ? "policy" : other.endsWith(".wasm") ? "wasm" : "data";
    throw refused(name, `delta bundle expected to contain only patch file but ${kind} files found`);
  }
  const manifestBytes = files.get(".manifest");
  const manifest = manifestBytes === undefined ? DEFAULT_MANIFEST : readManifest(name, decode(manifestBytes));
  const operations = readPatch(name, decode(files.get(PATCH_FILE) as Uint8Array));
  for (const { path } of operations) {
    const text = path.join("/");
    if (!isUnderRoots(manifest.roots, text))
      throw refused(
        name,
        `manifest roots ${JSON.stringify(manifest.roots)} do not permit data patch at path '${text}'`,
      );
  }
  return { manifest, operations };
}

/** The bundle with its data changed. What was given stays as it is. @throws {LoadError} bad_bundle */
export function withDelta(bundle: Bundle, { manifest, operations }: Delta): Bundle {
  const [had, has] = [bundle.manifest.roots, manifest.roots].map((roots) => [...roots].sort().join("\n"));
  if (had !== has)
    throw refused(
      bundle.name,
      `delta bundle '${bundle.name}' has wasm resolvers or manifest roots that are different from those in the store`,
    );
  let { data } = bundle;
  try {
    for (const operation of operations) data = applied(data, operation);
  } catch (cause) {
    throw refused(bundle.name, messageOf(cause));
  }
  return {
    ...bundle,
    manifest: { ...bundle.manifest, revision: manifest.revision, metadata: manifest.metadata },
    data,
  };
}

/** `upsert` makes the objects on the way; in an array it inserts, as JSON Patch's `add` does. */
function applied(data: JsonObject, { op, path, value }: DeltaOperation): JsonObject {
  const operation: PatchOperation = { op: op === "upsert" ? "add" : op, path, value };
  if (op !== "upsert") return patched(data, [operation]);
  const parents = path.slice(0, -1);
  return patched(valueAt(data, parents) === undefined ? withValueAt(data, parents, {}) : data, [operation]);
}

function readPatch(name: string, text: string): readonly DeltaOperation[] {
  let document: Value;
  try {
    document = parseJson(text);
  } catch (cause) {
    throw refused(name, `bundle load failed on patch decode: ${messageOf(cause)}`);
  }
  if (!isJsonObject(document)) throw refused(name, "bundle load failed on patch decode: must be an object");
  const list = Object.hasOwn(document, "data") ? (document["data"] ?? []) : [];
  if (!isArray(list)) throw refused(name, "bundle load failed on patch decode: data must be an array");
  return list.map((entry) => readOperation(name, entry));
}

function readOperation(name: string, entry: Value): DeltaOperation {
  if (!isJsonObject(entry)) throw refused(name, "bundle load failed on patch decode: an operation must be an object");
  const { op, path, value } = entry as { op?: Value; path?: Value; value?: Value };
  if (op !== "upsert" && op !== "remove" && op !== "replace")
    throw refused(name, `bad patch operation: ${typeof op === "string" ? op : ""}`);
  if (typeof path !== "string") throw refused(name, "error parsing patch path");
  const bare = path.replace(/^\/+|\/+$/g, "");
  const segments = bare === "" ? [] : bare.split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  return { op, path: segments, value: value ?? null };
}

function refused(name: string, why: string): LoadError {
  return new LoadError("bad_bundle", `${name}: ${why}`);
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
