import { finish, type Steps } from "../base/index.ts";
import type { JsonObject } from "../rego/value/index.ts";
import { formatIstioDiagnostic, type IstioDiagnostic } from "./diagnostic.ts";
import { EVALUATOR_FILE, evaluator } from "./evaluator-rego.ts";
import { EXPLAINER, EXPLAINER_FILE } from "./explainer-rego.ts";
import { lowerTables } from "./lower.ts";
import type { PolicyDocument, RateLimit, RequestAuthentication, Schedule } from "./policies.ts";
import { type ForeignDocument, type PolicyText, type ReadLimits, readPoliciesInSteps } from "./read.ts";
import { DEFAULT_MESH, type MeshSettings } from "./settings.ts";

/** Where the lowered rules give their decision. */
export const DECISION_PATH: readonly string[] = ["cardea", "istio", "decision"];
/** Where they say why. */
export const EXPLANATION_PATH: readonly string[] = ["cardea", "istio", "explanation"];
/** Where they say what they choose policies by. */
export const DESTINATION_PATH: readonly string[] = ["cardea", "istio", "destination"];
/** Where the tables must be put in the base documents. */
export const TABLES_PATH: readonly string[] = ["cardea", "tables"];

export interface IstioProgram {
  /** Rego modules to compile beside the operator's own. */
  readonly modules: readonly PolicyText[];
  /** The document for `data.cardea.tables`. */
  readonly tables: JsonObject;
  readonly documents: readonly PolicyDocument[];
  /** For the identity room, in the order of the files. */
  readonly requestAuthentications: readonly RequestAuthentication[];
  readonly schedules: readonly Schedule[];
  readonly rateLimits: readonly RateLimit[];
  readonly foreign: readonly ForeignDocument[];
}

/** Policy files with errors. None of them may be served. */
export class IstioPolicyError extends Error {
  override readonly name = "IstioPolicyError";
  readonly diagnostics: readonly IstioDiagnostic[];

  constructor(diagnostics: readonly IstioDiagnostic[]) {
    const [first] = diagnostics;
    const more = diagnostics.length > 1 ? ` (and ${diagnostics.length - 1} more)` : "";
    super(`${first === undefined ? "errors in policy files" : formatIstioDiagnostic(first)}${more}`);
    this.diagnostics = diagnostics;
  }
}

export interface CompileIstioOptions {
  readonly files: readonly PolicyText[];
  readonly mesh?: MeshSettings;
  readonly limits?: ReadLimits;
}

/**
 * Policy files → Rego and its tables.
 *
 * @throws {IstioPolicyError} when a file has errors: all of them, not only the first.
 */
export function compileIstio(options: CompileIstioOptions): IstioProgram {
  return finish(compileIstioInSteps(options));
}

/**
 * The same document by document, for whoever has other things to do meanwhile.
 *
 * @throws {IstioPolicyError} when a file has errors: all of them, not only the first.
 */
export function* compileIstioInSteps({ files, mesh = DEFAULT_MESH, limits }: CompileIstioOptions): Steps<IstioProgram> {
  const { documents, foreign, diagnostics } = yield* readPoliciesInSteps(files, limits);
  if (diagnostics.length > 0) throw new IstioPolicyError(diagnostics);
  const rateLimits = ofKind(documents, "RateLimit");
  const schedules = ofKind(documents, "Schedule");
  const hasLimits = rateLimits.length > 0;
  const text = evaluator({
    normalizes: mesh.normalizeHosts || mesh.pathNormalization !== "NONE",
    hasSchedules: schedules.length > 0,
    hasLimits,
  });
  return {
    modules: [
      { file: EVALUATOR_FILE, text },
      { file: EXPLAINER_FILE, text: EXPLAINER },
      ...(hasLimits ? [{ file: LIMITS_FILE, text: COUNTED_LIMITS }] : []),
    ],
    tables: yield* lowerTables(documents, mesh),
    documents,
    requestAuthentications: ofKind(documents, "RequestAuthentication"),
    schedules,
    rateLimits,
    foreign,
  };
}

function ofKind<K extends PolicyDocument["kind"]>(
  documents: readonly PolicyDocument[],
  kind: K,
): Extract<PolicyDocument, { kind: K }>[] {
  return documents.filter((document): document is Extract<PolicyDocument, { kind: K }> => document.kind === kind);
}

export const LIMITS_FILE = "cardea/limits.rego";

/** Counters live outside the policy: the host answers. */
const COUNTED_LIMITS = `package cardea.istio

import rego.v1

within_limit(name, key) := cardea.ratelimit.allow(name, key)
`;

/** Without counters nothing is within a limit: an ALLOW that depends on one allows nothing. */
export const NO_LIMITS = `package cardea.istio

import rego.v1

within_limit(_, _) := false
`;
