import {
  DECISION_PATH,
  type JwtRule,
  type MeshSettings,
  namespacesFor,
  TABLES_PATH,
  type TokenDocument,
  TokenRules,
} from "../istio/index.ts";
import { isJsonObject, type JsonObject, setOwn, type Value } from "../rego/value/index.ts";
import { isOpen, nextOpening } from "../schedule/index.ts";
import { LoadError } from "./errors.ts";
import { type Extensions, extensionsOf } from "./extensions.ts";
import type { Lowered, MeshOptions } from "./lowered.ts";
import type { ModuleText } from "./module-text.ts";

/** The policy documents of a snapshot: Istio's kinds and our own, lowered to Rego. */
export class Declared {
  readonly files: readonly ModuleText[];
  /** Whether the documents decide requests: schedules and limits alone are only there for Rego to ask. */
  readonly decides: boolean;
  /** Equal for documents that need the same compiled modules and builtins; their tables may differ. */
  readonly shape: string;
  readonly #lowered: Lowered;
  readonly #tokenRules: TokenRules<TokenDocument>;
  readonly #mesh: MeshSettings;
  /** What Rego may name. */
  readonly extensions: Extensions;
  /** When schedules open, each as of one minute: they know no shorter time. */
  readonly #openings = new Map<string, { readonly minute: bigint; readonly ns: bigint | undefined }>();

  constructor(files: readonly ModuleText[], lowered: Lowered, { mesh, isDescribed }: MeshOptions) {
    this.files = files;
    const { documentCount, schedules, rateLimits, tokenDocuments } = lowered;
    this.#lowered = lowered;
    this.decides = isDescribed || documentCount > schedules.length + rateLimits.length;
    this.shape = JSON.stringify([schedules, rateLimits]);
    this.#tokenRules = new TokenRules(tokenDocuments, mesh);
    this.#mesh = mesh;
    this.extensions = extensionsOf(lowered);
  }

  /** Whether there is not one document. */
  get isEmpty(): boolean {
    return this.#lowered.documentCount === 0;
  }

  /** Where the decision is, below `data`. */
  get entrypoint(): readonly string[] {
    return DECISION_PATH;
  }

  /** Modules to compile beside the operator's own. */
  get modules(): readonly ModuleText[] {
    return this.#lowered.modules.map((module) => ({ ...module, version: "v1" }));
  }

  /** The rules for tokens of requests to an input document's destination; the same list for the same choice. */
  tokenRules(input: JsonObject): readonly JwtRule[] {
    return this.#tokenRules.for(input);
  }

  /** All rules for tokens, whatever their destination. */
  get allTokenRules(): readonly JwtRule[] {
    return this.#lowered.tokenDocuments.flatMap(({ jwtRules }) => jwtRules);
  }

  /**
   * When the closed ones of some schedules open: of those that policies ask in namespaces which an input document's
   * destination may have to do with, and of more by name. Nanoseconds since the epoch.
   */
  openings(input: JsonObject, nowNs: bigint, more: Iterable<string>): readonly bigint[] {
    const { schedulesAsked } = this.#lowered;
    const names = new Set(more);
    for (const namespace of namespacesFor(input, this.#mesh) ?? schedulesAsked.keys())
      for (const name of schedulesAsked.get(namespace) ?? []) names.add(name);
    return [...names].flatMap((name) => this.#openingOf(name, nowNs) ?? []);
  }

  #openingOf(name: string, nowNs: bigint): bigint | undefined {
    const minute = nowNs / NS_PER_MINUTE;
    const known = this.#openings.get(name);
    if (known?.minute === minute) return known.ns;
    const schedule = this.extensions.schedules.get(name);
    const ns = schedule === undefined || isOpen(schedule, nowNs) ? undefined : nextOpening(schedule, nowNs);
    this.#openings.set(name, { minute, ns });
    return ns;
  }

  /** Adds what the modules read: all of it theirs. @throws {LoadError} when base documents have something there. */
  addTables(data: Record<string, Value>): void {
    const [parent, name] = TABLES_PATH as readonly [string, string];
    const siblings = Object.hasOwn(data, parent) ? (data[parent] as Value) : {};
    if (!isJsonObject(siblings) || Object.hasOwn(siblings, name))
      throw new LoadError("merge_conflict", `base documents at ${TABLES_PATH.join(".")}: merge error`);
    setOwn(data, parent, { ...siblings, [name]: this.#lowered.tables });
  }
}

const NS_PER_MINUTE = 60_000_000_000n;

export function sameFiles(a: readonly ModuleText[], b: readonly ModuleText[]): boolean {
  return (
    a.length === b.length &&
    a.every((file, i) => file.file === b[i]?.file && file.text === b[i]?.text && file.version === b[i]?.version)
  );
}
