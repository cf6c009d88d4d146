import type { Steps } from "../base/index.ts";
import {
  compileIstioInSteps,
  DECISION_PATH,
  type IstioProgram,
  type JwtRule,
  type MeshSettings,
  namespacesFor,
  type PolicyDocument,
  type ReadLimits,
  TABLES_PATH,
  TokenRules,
} from "../istio/index.ts";
import { isJsonObject, type JsonObject, setOwn, type Value } from "../rego/value/index.ts";
import { isOpen, nextOpening } from "../schedule/index.ts";
import { LoadError } from "./errors.ts";
import { type Extensions, extensionsOf } from "./extensions.ts";
import type { ModuleText } from "./module-text.ts";

/** What policy documents are read with. */
export interface MeshOptions {
  readonly mesh: MeshSettings;
  /**
   * The operator has described the mesh, so that no policy at all means what it means there: everything is allowed.
   * Otherwise a folder without policies has nothing to say.
   */
  readonly isDescribed: boolean;
  readonly limits?: ReadLimits;
}

/** The policy documents of a snapshot: Istio's kinds and our own, lowered to Rego. */
export class Declared {
  readonly files: readonly ModuleText[];
  readonly program: IstioProgram;
  /** Whether the documents decide requests: schedules and limits alone are only there for Rego to ask. */
  readonly decides: boolean;
  /** Equal for documents that need the same compiled modules and builtins; their tables may differ. */
  readonly shape: string;
  readonly #tokenRules: TokenRules;
  readonly #mesh: MeshSettings;
  /** What Rego may name. */
  readonly extensions: Extensions;
  /** Names of the schedules in conditions, by the namespaces of the policies. */
  readonly #schedulesAsked: ReadonlyMap<string, ReadonlySet<string>>;
  /** When schedules open, each as of one minute: they know no shorter time. */
  readonly #openings = new Map<string, { readonly minute: bigint; readonly ns: bigint | undefined }>();

  private constructor(files: readonly ModuleText[], program: IstioProgram, { mesh, isDescribed }: MeshOptions) {
    this.files = files;
    this.program = program;
    const { documents, schedules, rateLimits, requestAuthentications } = this.program;
    this.decides = isDescribed || documents.length > schedules.length + rateLimits.length;
    this.shape = JSON.stringify([
      schedules.map(({ name, timeZone, windows, exceptions }) => [name, timeZone, windows, exceptions]),
      rateLimits.map(({ name, limit, perMs, algorithm, onStoreFailure }) => [
        name,
        limit,
        perMs,
        algorithm,
        onStoreFailure,
      ]),
    ]);
    this.#tokenRules = new TokenRules(requestAuthentications, mesh);
    this.#mesh = mesh;
    this.extensions = extensionsOf(program);
    this.#schedulesAsked = schedulesAsked(documents);
  }

  /** @throws {IstioPolicyError} */
  static *of(files: readonly ModuleText[], options: MeshOptions): Steps<Declared> {
    const { mesh, limits } = options;
    const program = yield* compileIstioInSteps({ files, mesh, ...(limits !== undefined && { limits }) });
    return new Declared(files, program, options);
  }

  /** Where the decision is, below `data`. */
  get entrypoint(): readonly string[] {
    return DECISION_PATH;
  }

  /** Modules to compile beside the operator's own. */
  get modules(): readonly ModuleText[] {
    return this.program.modules.map((module) => ({ ...module, version: "v1" }));
  }

  /** The rules for tokens of requests to an input document's destination; the same list for the same choice. */
  tokenRules(input: JsonObject): readonly JwtRule[] {
    return this.#tokenRules.for(input);
  }

  /** All rules for tokens, whatever their destination. */
  get allTokenRules(): readonly JwtRule[] {
    return this.program.requestAuthentications.flatMap(({ jwtRules }) => jwtRules);
  }

  /**
   * When the closed ones of some schedules open: of those that policies ask in namespaces which an input document's
   * destination may have to do with, and of more by name. Nanoseconds since the epoch.
   */
  openings(input: JsonObject, nowNs: bigint, more: Iterable<string>): readonly bigint[] {
    const names = new Set(more);
    for (const namespace of namespacesFor(input, this.#mesh) ?? this.#schedulesAsked.keys())
      for (const name of this.#schedulesAsked.get(namespace) ?? []) names.add(name);
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
    setOwn(data, parent, { ...siblings, [name]: this.program.tables });
  }
}

const NS_PER_MINUTE = 60_000_000_000n;

function schedulesAsked(documents: readonly PolicyDocument[]): ReadonlyMap<string, ReadonlySet<string>> {
  const asked = new Map<string, Set<string>>();
  for (const document of documents) {
    if (document.kind !== "AuthorizationPolicy") continue;
    const names = document.rules
      .flatMap(({ when }) => when)
      .flatMap(({ attribute, values }) => (attribute.kind === "schedule" ? values : []));
    if (names.length === 0) continue;
    const known = asked.get(document.namespace) ?? new Set();
    for (const { text } of names) known.add(text);
    asked.set(document.namespace, known);
  }
  return asked;
}

export function sameFiles(a: readonly ModuleText[], b: readonly ModuleText[]): boolean {
  return (
    a.length === b.length &&
    a.every((file, i) => file.file === b[i]?.file && file.text === b[i]?.text && file.version === b[i]?.version)
  );
}
