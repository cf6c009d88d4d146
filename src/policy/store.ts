import { finish, RecentMap } from "../base/index.ts";
import { DEFAULT_MESH } from "../istio/index.ts";
import { CompileError, type Policy } from "../rego/engine/index.ts";
import type { JsonObject, Value } from "../rego/value/index.ts";
import { isUnderRoots, overlap } from "./bundle/manifest.ts";
import type { Compile } from "./compile.ts";
import { type Aside, asideInSlices } from "./aside.ts";
import { mergeInto } from "./data-document.ts";
import { Declared, sameFiles } from "./declared.ts";
import { LoadError, messageOf } from "./errors.ts";
import { type Lowered, lowerInSteps, type MeshOptions } from "./lowered.ts";
import type { ModuleText } from "./module-text.ts";
import { inSlices, type Pace, SERVING_PACE, type WaitingSteps } from "./slices.ts";
import { type Entrypoint, Snapshot, textOf } from "./snapshot.ts";

/** One origin of policies and data: the paths of the command line, or a bundle. */
export interface Part {
  readonly modules: readonly ModuleText[];
  readonly data: JsonObject;
  /** Files of policy documents. */
  readonly declarations?: readonly ModuleText[];
  /** Bundles only: what they own. */
  readonly bundle?: { readonly revision: string; readonly roots: readonly string[] };
}

/** Has the last word about a snapshot before it is published. @throws {LoadError} to refuse it. */
export type Accept = (candidate: Snapshot, live: Snapshot) => void;

/** Parts by name; undefined removes one. */
export type Changes = ReadonlyMap<string, Part | undefined>;

/** Replaces what is no bundle's. @throws {CompileError | IstioPolicyError | LoadError} */
export type WriteBase = (base: Part) => Promise<void>;

/** The part that files and the REST API write to. */
export const BASE_PART = "";

const PLAIN_MESH: MeshOptions = { mesh: DEFAULT_MESH, isDescribed: false };

/** Before the first snapshot nobody is served who could be kept waiting: only signals and timers need a turn. */
const FIRST_SLICE_MS = 50;

/** What takes long of building a snapshot. */
interface Work<Step> {
  compile(...set: Parameters<Compile>): Generator<Step, Policy, void>;
  lower(files: readonly ModuleText[]): Generator<Step, Lowered, void>;
}

/** Queries that the next snapshot is compiled for: the latest that were asked. */
const MAX_ASKED = 256;

/**
 * Holds the live snapshot. An update compiles a new one aside and publishes it by one assignment; one that fails changes
 * nothing, and the last good snapshot serves on. Updates aside run one after the other, in slices between which requests
 * are served.
 */
export class PolicyStore {
  readonly #atOnce: Work<void>;
  readonly #aside: Aside;
  readonly #mesh: MeshOptions;
  readonly #pace: Pace;
  readonly #closing = new AbortController();
  /** The latest of the updates that wait for each other. */
  #lastTurn: Promise<unknown> = Promise.resolve();
  #parts: ReadonlyMap<string, Part> = new Map();
  #current: Snapshot;
  #lastFailure: string | undefined;
  readonly #listeners = new Set<(snapshot: Snapshot) => void>();
  readonly #baseListeners = new Set<(base: Part) => void>();
  #lock: (() => Promise<() => void>) | undefined;
  readonly #expected = new Set<string>();
  /** What snapshots were asked for lately: what the next one will be. */
  readonly #asked = new RecentMap<string, true>(MAX_ASKED);
  readonly #completing = new WeakMap<Snapshot, Promise<void>>();

  /** @param aside how updates aside do their work; in slices by default */
  constructor(
    compile: Compile,
    mesh: MeshOptions = PLAIN_MESH,
    pace: Pace = SERVING_PACE,
    aside: Aside = asideInSlices(compile),
  ) {
    this.#atOnce = { compile, lower: (files) => lowerInSteps(files, mesh) };
    this.#aside = aside;
    this.#mesh = mesh;
    this.#pace = pace;
    this.#current = new Snapshot({
      generation: 0,
      modules: [],
      data: {},
      bundles: new Map(),
      policy: finish(compile([], {}, undefined)),
      declared: undefined,
      asked: this.#asked,
    });
  }

  get current(): Snapshot {
    return this.#current;
  }

  /** Why the latest update was refused; undefined when it was published. */
  get lastFailure(): string | undefined {
    return this.#lastFailure;
  }

  /** Notes that new policies or data could not even be read. */
  noteFailure(message: string): void {
    this.#lastFailure = message;
  }

  /**
   * Replaces some parts at once, holding up everything else: for where nothing is served yet.
   *
   * @throws {CompileError | IstioPolicyError | LoadError} and nothing has changed.
   */
  update(changes: Changes, accept?: Accept): Snapshot {
    const parts = changed(this.#parts, changes);
    try {
      return this.#publish(parts, finish(this.#build(parts, this.#atOnce)), accept);
    } catch (cause) {
      this.#lastFailure = messageOf(cause);
      throw cause;
    }
  }

  /**
   * Replaces some parts, aside: requests are served while the next snapshot is built, and nothing of it is left to build
   * for the first of them.
   *
   * @throws {CompileError | IstioPolicyError | LoadError} and nothing has changed.
   */
  updateAside(changes: Changes, accept?: Accept): Promise<Snapshot> {
    return this.#inTurn(() => this.#updateAside(changes, accept));
  }

  async #updateAside(changes: Changes, accept?: Accept): Promise<Snapshot> {
    const isServing = this.#current.generation > 0;
    const pace = isServing ? this.#pace : { ...this.#pace, sliceMs: FIRST_SLICE_MS };
    if (isServing) pace.begin?.();
    try {
      for (;;) {
        const from = this.#parts;
        const parts = changed(from, changes);
        const snapshot = await inSlices(this.#buildReady(parts, isServing), pace, this.#closing.signal);
        // Otherwise somebody was in a hurry, and what was built has none of it.
        if (this.#parts === from) return this.#publish(parts, snapshot, accept);
      }
    } catch (cause) {
      this.#lastFailure = messageOf(cause);
      throw cause;
    }
  }

  /** Tells what every snapshot will be asked, so that it is compiled for it. */
  expect(entrypoint: Entrypoint): void {
    this.#expected.add(textOf(entrypoint));
  }

  /** The live snapshot, once it can prepare an entrypoint without holding up the event loop. @throws {CompileError} */
  async readyFor(entrypoint: Entrypoint): Promise<Snapshot> {
    const snapshot = this.#current;
    if (snapshot.isReadyFor(entrypoint)) return snapshot;
    let completing = this.#completing.get(snapshot);
    if (completing === undefined) {
      completing = inSlices(snapshot.policy.completeInSteps(), this.#pace, this.#closing.signal);
      this.#completing.set(snapshot, completing);
    }
    await completing;
    return snapshot;
  }

  /** Drops updates aside: those under way and those to come throw. */
  close(): void {
    this.#closing.abort();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(work);
    this.#lastTurn = turn.catch(() => undefined);
    return turn;
  }

  #publish(parts: ReadonlyMap<string, Part>, snapshot: Snapshot, accept: Accept | undefined): Snapshot {
    accept?.(snapshot, this.#current);
    this.#parts = parts;
    this.#current = snapshot;
    this.#lastFailure = undefined;
    for (const listener of this.#listeners) listener(snapshot);
    return snapshot;
  }

  /** Replaces what is no bundle's. @throws {CompileError | IstioPolicyError | LoadError} */
  updateBase(base: Part): Snapshot {
    const snapshot = this.update(new Map([[BASE_PART, base]]));
    for (const listener of this.#baseListeners) listener(base);
    return snapshot;
  }

  async #writeBase(base: Part): Promise<void> {
    await this.#updateAside(new Map([[BASE_PART, base]]));
    for (const listener of this.#baseListeners) listener(base);
  }

  /** Makes writes of the REST API wait for a turn, which the returned function ends: workers of one server share their base. */
  lockWritesWith(lock: () => Promise<() => void>): void {
    this.#lock = lock;
  }

  /** Reads the base and writes it, without another update between. */
  async writeInTurn<T>(work: (write: WriteBase) => T | Promise<T>): Promise<T> {
    const release = await this.#lock?.();
    try {
      return await this.#inTurn(async () => work((base) => this.#writeBase(base)));
    } finally {
      release?.();
    }
  }

  /** Calls back after every write of the base. @returns a function that ends it. */
  onBaseWrite(listener: (base: Part) => void): () => void {
    this.#baseListeners.add(listener);
    return () => this.#baseListeners.delete(listener);
  }

  /** The base documents and modules that are no bundle's. */
  get base(): Part {
    return this.#parts.get(BASE_PART) ?? { modules: [], data: {} };
  }

  /** The bundle that owns a path below data, or undefined. */
  ownerOf(path: readonly string[]): string | undefined {
    const joined = path.join("/");
    for (const [name, { bundle }] of this.#parts) {
      if (
        bundle?.roots.some(
          (root) => isUnderRoots([root], joined) || (joined !== "" && isUnderRoots([joined], root)),
        ) === true
      )
        return name;
    }
    return undefined;
  }

  /** Calls back after every publication. @returns a function that ends it. */
  onPublish(listener: (snapshot: Snapshot) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A snapshot whose code is generated. */
  *#buildReady(parts: ReadonlyMap<string, Part>, isServing: boolean): WaitingSteps<Snapshot> {
    const queries = [...new Set([...this.#expected, ...this.#asked.keys()])];
    const { signal } = this.#closing;
    const aside: Work<Promise<void> | void> = {
      compile: (...set) => this.#aside.compile(set, queries, signal),
      lower: (files) => this.#aside.lower(files, this.#mesh, signal),
    };
    // Where nobody is served, nobody waits.
    const snapshot = yield* this.#build(parts, isServing ? aside : this.#atOnce);
    try {
      yield* snapshot.policy.prepareInSteps();
      // What could not be compiled along, a query with `with`, is asked for all the same, and must not hold up requests then.
      if ([...this.#expected].some((text) => !snapshot.policy.isReadyFor(text)))
        yield* snapshot.policy.completeInSteps();
    } catch (cause) {
      // What cannot be generated is found by whoever asks, as without this.
      if (!(cause instanceof CompileError)) throw cause;
    }
    return snapshot;
  }

  *#build<Step>(parts: ReadonlyMap<string, Part>, work: Work<Step>): Generator<Step, Snapshot, void> {
    checkRoots(parts);
    const data: Record<string, Value> = {};
    const modules: ModuleText[] = [];
    const files: ModuleText[] = [];
    const bundles = new Map<string, string>();
    for (const name of [...parts.keys()].sort()) {
      const part = parts.get(name) as Part;
      if (!mergeInto(data, part.data))
        throw new LoadError(
          "merge_conflict",
          `${name === BASE_PART ? "base documents" : `bundle ${name}`}: merge error`,
        );
      modules.push(...part.modules);
      files.push(...(part.declarations ?? []));
      if (part.bundle !== undefined) bundles.set(name, part.bundle.revision);
    }
    const declared = yield* this.#declare(files, work);
    declared?.addTables(data);
    const policy =
      sameFiles(modules, this.#current.modules) && declared?.shape === this.#current.declared?.shape
        ? this.#current.policy.withData(data)
        : yield* work.compile(modules, data, declared);
    const generation = this.#current.generation + 1;
    return new Snapshot({ generation, modules, data, bundles, policy, declared, asked: this.#asked });
  }

  /** @throws {IstioPolicyError} */
  *#declare<Step>(files: readonly ModuleText[], work: Work<Step>): Generator<Step, Declared | undefined, void> {
    if (files.length === 0 && !this.#mesh.isDescribed) return undefined;
    const known = this.#current.declared;
    if (known !== undefined && sameFiles(files, known.files)) return known;
    return new Declared(files, yield* work.lower(files), this.#mesh);
  }
}

function changed(parts: ReadonlyMap<string, Part>, changes: Changes): ReadonlyMap<string, Part> {
  const next = new Map(parts);
  for (const [name, part] of changes) {
    if (part === undefined) next.delete(name);
    else next.set(name, part);
  }
  return next;
}

function checkRoots(parts: ReadonlyMap<string, Part>): void {
  const bundles = [...parts].flatMap(([name, part]) =>
    part.bundle === undefined ? [] : [{ name, roots: part.bundle.roots }],
  );
  bundles.forEach((a, i) => {
    for (const b of bundles.slice(i + 1)) {
      const clash = overlap(a.roots, b.roots);
      if (clash !== undefined)
        throw new LoadError(
          "bad_bundle",
          `detected overlapping roots in manifests for these bundles: [${a.name}, ${b.name}] ('${clash[0]}' and '${clash[1]}')`,
        );
    }
  });
}
