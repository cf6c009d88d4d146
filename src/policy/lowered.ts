import type { Steps } from "../base/index.ts";
import {
  compileIstioInSteps,
  type IstioProgram,
  type MeshSettings,
  type PolicyDocument,
  type PolicyText,
  type ReadLimits,
  type TokenDocument,
} from "../istio/index.ts";
import type { RateLimit } from "../ratelimit/index.ts";
import type { JsonObject } from "../rego/value/index.ts";
import type { ScheduleSpec } from "../schedule/index.ts";
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

/** What is served of policy documents. Plain data, which a thread can hand over; the documents are read no more. */
export interface Lowered extends Definitions {
  readonly modules: readonly PolicyText[];
  /** The document for `data.cardea.tables`. */
  readonly tables: JsonObject;
  readonly documentCount: number;
  /** In the order of the files. */
  readonly tokenDocuments: readonly TokenDocument[];
  /** Names of the schedules in conditions, by the namespaces of the policies. */
  readonly schedulesAsked: ReadonlyMap<string, ReadonlySet<string>>;
}

/** What Rego may name of policy documents. */
export interface Definitions {
  readonly schedules: readonly NamedSchedule[];
  readonly rateLimits: readonly RateLimit[];
}

export interface NamedSchedule extends ScheduleSpec {
  readonly name: string;
}

/** @throws {IstioPolicyError} when a file has errors: all of them, not only the first. */
export function* lowerInSteps(files: readonly ModuleText[], { mesh, limits }: MeshOptions): Steps<Lowered> {
  const program = yield* compileIstioInSteps({ files, mesh, ...(limits !== undefined && { limits }) });
  const { modules, tables, documents, requestAuthentications } = program;
  return {
    modules,
    tables,
    documentCount: documents.length,
    tokenDocuments: requestAuthentications.map(({ namespace, attachment, jwtRules }) => ({
      namespace,
      attachment,
      jwtRules,
    })),
    ...definitionsOf(program),
    schedulesAsked: schedulesAsked(documents),
  };
}

export function definitionsOf({ schedules, rateLimits }: Pick<IstioProgram, "schedules" | "rateLimits">): Definitions {
  return {
    schedules: schedules.map(({ name, timeZone, windows, exceptions }) => ({ name, timeZone, windows, exceptions })),
    rateLimits: rateLimits.map(({ name, limit, perMs, algorithm, onStoreFailure }) => ({
      name,
      limit,
      perMs,
      algorithm,
      onStoreFailure,
    })),
  };
}

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
