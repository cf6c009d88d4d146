import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { holdsPolicies } from "../istio/index.ts";
import { type JsonObject, JsonSyntaxError, parseJson, type Value } from "../rego/value/index.ts";
import { readArchive } from "./bundle/archive.ts";
import { type Bundle, readBundle } from "./bundle/read.ts";
import type { Verification } from "./bundle/signature.ts";
import { mergeInto, mountAt } from "./data-document.ts";
import { LoadError, messageOf } from "./errors.ts";
import { matchesGlob } from "./glob.ts";
import type { ModuleText } from "./module-text.ts";
import { parseYaml } from "./yaml.ts";

export interface LoadOptions {
  /** Name patterns (Go's filepath.Match) to leave out below the named directories: `--ignore`. */
  readonly ignore?: readonly string[];
  /** Treat each path as a bundle: an archive, or a directory in a bundle's layout. */
  readonly bundle?: boolean;
  /** How signed bundles are judged; see readBundle. */
  readonly verification?: Verification | "skip";
}

/** Everything found at some paths. */
export interface Loaded {
  /** Rego modules, in the order of their names. */
  readonly modules: readonly ModuleText[];
  /** One document of all JSON and YAML files. */
  readonly data: Record<string, Value>;
  /** YAML or JSON files that hold Istio's or Cardea's policy documents. */
  readonly declarations: readonly ModuleText[];
  /** Bundles among the paths, whose modules and data are also in the members above. */
  readonly bundles: readonly Bundle[];
  /** How much text the data was read from: the characters of data files, the bytes of bundles. */
  readonly dataLength: number;
}

/**
 * Reads policies and data from files and directories as `opa run` does: `prefix:path` mounts data, directories below a
 * named one become keys, `file://` is accepted.
 *
 * Entries whose name starts with `..` are never entered: in a mounted ConfigMap they are the versions behind the links,
 * and reading both would define everything twice.
 *
 * @throws {LoadError}
 */
export async function loadPaths(paths: readonly string[], options: LoadOptions = {}): Promise<Loaded> {
  const loader = new Loader(options);
  for (const path of paths) await loader.add(path);
  return loader.finish();
}

class Loader {
  readonly #options: LoadOptions;
  readonly #modules = new Map<string, ModuleText>();
  readonly #declarations = new Map<string, ModuleText>();
  readonly #data: Record<string, Value> = {};
  /** What merging made, and only #data refers to. */
  readonly #merged = new WeakSet<JsonObject>();
  #dataLength = 0;
  readonly #bundles: Bundle[] = [];

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  async add(argument: string): Promise<void> {
    const { prefix, path } = splitPrefix(argument);
    const kind = await kindOf(path);
    if (this.#options.bundle === true) await this.#addBundle(path, kind);
    else if (kind === "directory") await this.#addDirectory(path, prefix, 0);
    else await this.#addFile(path, prefix, true);
  }

  finish(): Loaded {
    const byName = (files: ReadonlyMap<string, ModuleText>): ModuleText[] =>
      [...files.keys()].sort().map((name) => files.get(name) as ModuleText);
    return {
      modules: byName(this.#modules),
      data: this.#data,
      declarations: byName(this.#declarations),
      bundles: this.#bundles,
      dataLength: this.#dataLength,
    };
  }

  async #addDirectory(directory: string, mount: readonly string[], depth: number): Promise<void> {
    const names = (await reading(directory, () => readdir(directory))).sort();
    for (const name of names) {
      if (name.startsWith("..") || this.#isIgnored(name)) continue;
      const path = join(directory, name);
      if ((await kindOf(path)) === "directory") await this.#addDirectory(path, [...mount, name], depth + 1);
      else await this.#addFile(path, mount, false);
    }
  }

  async #addFile(path: string, mount: readonly string[], wasNamed: boolean): Promise<void> {
    if (path.endsWith(".tar.gz")) {
      await this.#addBundle(path, "file");
      return;
    }
    const isRego = path.endsWith(".rego");
    const isData = /\.(json|ya?ml)$/.test(path);
    if (!isRego && !isData && !wasNamed) return;
    const text = (await reading(path, () => readFile(path))).toString("utf8");
    const file = path;
    if (isRego) this.#modules.set(file, { file, text });
    else if (holdsPolicies(text)) this.#declarations.set(file, { file, text });
    else {
      this.#dataLength += text.length;
      this.#addData(path, mount, path.endsWith(".json") ? readJson(path, text) : await parseYaml(path, text));
    }
  }

  async #addBundle(path: string, kind: "file" | "directory"): Promise<void> {
    const files =
      kind === "file" ? readArchive(path, await reading(path, () => readFile(path))) : await this.#bundleFiles(path);
    const { verification } = this.#options;
    const bundle = await readBundle(path, files, { base: path, ...(verification !== undefined && { verification }) });
    this.#bundles.push(bundle);
    for (const bytes of files.values()) this.#dataLength += bytes.length;
    for (const module of bundle.modules) this.#modules.set(module.file, module);
    for (const declaration of bundle.declarations) this.#declarations.set(declaration.file, declaration);
    this.#addData(path, [], bundle.data);
  }

  async #bundleFiles(root: string): Promise<Map<string, Uint8Array>> {
    const files = new Map<string, Uint8Array>();
    const walk = async (directory: string, under: string): Promise<void> => {
      for (const name of (await reading(directory, () => readdir(directory))).sort()) {
        if (name.startsWith("..") || this.#isIgnored(name)) continue;
        const path = join(directory, name);
        const inside = under === "" ? name : `${under}/${name}`;
        if ((await kindOf(path)) === "directory") await walk(path, inside);
        else files.set(inside, await reading(path, () => readFile(path)));
      }
    };
    await walk(root, "");
    return files;
  }

  #addData(path: string, mount: readonly string[], value: Value): void {
    const mounted = mountAt(mount, value);
    if (mounted === undefined) throw new LoadError("bad_document", `${path}: document must be of type object`);
    if (!mergeInto(this.#data, mounted, this.#merged)) throw new LoadError("merge_conflict", `${path}: merge error`);
  }

  #isIgnored(name: string): boolean {
    return this.#options.ignore?.some((pattern) => matchesGlob(pattern, name)) === true;
  }
}

/** `a.b:path` mounts data below `data.a.b`; a URL scheme is no prefix. */
export function splitPrefix(argument: string): { readonly prefix: readonly string[]; readonly path: string } {
  const colon = argument.indexOf(":");
  if (argument.startsWith("file://")) return { prefix: [], path: fileURLToPath(argument) };
  if (colon <= 0 || argument.indexOf("://") === colon) return { prefix: [], path: argument };
  const path = argument.slice(colon + 1);
  return { prefix: argument.slice(0, colon).split("."), path: path.startsWith("file://") ? fileURLToPath(path) : path };
}

function readJson(path: string, text: string): Value {
  try {
    return parseJson(text);
  } catch (cause) {
    if (!(cause instanceof JsonSyntaxError)) throw cause;
    throw new LoadError("bad_document", `${path}: ${cause.message}`, { cause });
  }
}

async function kindOf(path: string): Promise<"file" | "directory"> {
  const info = await reading(path, () => stat(path));
  return info.isDirectory() ? "directory" : "file";
}

async function reading<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT")
      throw new LoadError("not_found", `stat ${path}: no such file or directory`, { cause });
    throw new LoadError("not_found", `${basename(path)}: ${messageOf(cause)}`, { cause });
  }
}
