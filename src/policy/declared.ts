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
import { compileSchedule, isOpen, nextOpening, type Schedule } from "../schedule/index.ts";
import { LoadError } from "./errors.ts";
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
  /** Those that policies ask, with the namespaces of these policies. */
  readonly #schedules: readonly (readonly [Schedule, ReadonlySet<string>])[];
  /** When they open, as of one minute: schedules know no shorter time. */
  #openings: { readonly minute: bigint; readonly of: readonly Opening[] } = { minute: -1n, of: [] };

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
    const asked = schedulesAsked(documents);
    this.#schedules = schedules.flatMap((schedule) => {
      const namespaces = asked.get(schedule.name);
      return namespaces === undefined ? [] : [[compileSchedule(schedule), namespaces] as const];
    });
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
   * When the schedules open that are closed now and that policies ask in namespaces which an input document's destination
   * may have to do with: nanoseconds since the epoch.
   */
  openings(input: JsonObject, nowNs: bigint): readonly bigint[] {
    if (this.#schedules.length === 0) return [];
    const minute = nowNs / NS_PER_MINUTE;
    if (this.#openings.minute !== minute) this.#openings = { minute, of: this.#openingsAfter(nowNs) };
    const here = namespacesFor(input, this.#mesh);
    return this.#openings.of
      .filter(({ namespaces }) => here === undefined || [...here].some((namespace) => namespaces.has(namespace)))
      .map(({ ns }) => ns);
  }

  #openingsAfter(nowNs: bigint): readonly Opening[] {
    return this.#schedules.flatMap(([schedule, namespaces]) => {
      const ns = isOpen(schedule, nowNs) ? undefined : nextOpening(schedule, nowNs);
      return ns === undefined ? [] : [{ ns, namespaces }];
    });
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

interface Opening {
  readonly ns: bigint;
  /** Of the policies that ask. */
  readonly namespaces: ReadonlySet<string>;
}

/** Names of the schedules in conditions, with the namespaces of the policies. */
function schedulesAsked(documents: readonly PolicyDocument[]): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map<string, Set<string>>();
  for (const document of documents) {
    if (document.kind !== "AuthorizationPolicy") continue;
    for (const { when } of document.rules)
      for (const { attribute, values } of when)
        if (attribute.kind === "schedule")
          for (const { text } of values) names.set(text, (names.get(text) ?? new Set()).add(document.namespace));
  }
  return names;
}

export function sameFiles(a: readonly ModuleText[], b: readonly ModuleText[]): boolean {
  return (
    a.length === b.length &&
    a.every((file, i) => file.file === b[i]?.file && file.text === b[i]?.text && file.version === b[i]?.version)
  );
}
