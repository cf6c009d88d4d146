import { formatModule, parseModule } from "../rego/syntax/index.ts";
import { EVALUATOR_FILE } from "./evaluator-rego.ts";
import { type IstioProgram, LIMITS_FILE, NO_LIMITS } from "./program.ts";

export interface ExportedRego {
  /** One module that needs nothing else. */
  readonly module: string;
  /** The same in parts, for OPA to load as files: the modules by name, and `data.json`. */
  readonly files: ReadonlyMap<string, string>;
  /** What plain OPA cannot do. */
  readonly caveats: readonly string[];
}

const TABLES_IMPORT = "import data.cardea.tables\n";

/** The lowered policies as Rego that the real `opa` runs with the same verdicts: `data.cardea.istio.decision`. */
export function exportRego(program: IstioProgram): ExportedRego {
  const { tables, documents, requestAuthentications, rateLimits } = program;
  const caveats: string[] = [];
  if (rateLimits.length > 0) caveats.push("RateLimit needs a counter: exported, nothing is within a limit");
  if (requestAuthentications.length > 0) {
    caveats.push(
      "RequestAuthentication is not part of the export: claims are read from input.cardea.identity.claims, or from Envoy's jwt_authn metadata with --trust-jwt-authn-metadata",
    );
  }
  const names = documents.map(({ kind, namespace, name, places, start }) => {
    // A name cannot end the comment it stands in.
    const place = `${places.source.name}:${places.row(start)}`;
    return `#   ${kind} ${namespace}/${name} (${place})`.replace(/[\r\n]+/g, " ");
  });
  const head = [
    "# Made by `cardea export` from:",
    ...names,
    ...caveats.map((caveat) => `# Note: ${caveat}`),
    "# Ask for data.cardea.istio.decision, or data.cardea.istio.allow.",
    "",
    "",
  ].join("\n");
  const evaluator = program.modules.find(({ file }) => file === EVALUATOR_FILE)?.text ?? "";
  const body = evaluator.replace(TABLES_IMPORT, "");
  const limits = rateLimits.length > 0 ? NO_LIMITS.slice(NO_LIMITS.indexOf("within_limit")) : "";
  // Through a function, the type checker does not hold the rules to the members these tables happen to have.
  const table = `tables := object.union(\n${JSON.stringify(tables, null, "\t")},\n{})\n`;
  const module = formatted(`${head}${body}\n${ALLOW}\n${limits === "" ? "" : `${limits}\n`}${table}`);
  const files = new Map([
    [EVALUATOR_FILE, `${head}${evaluator}\n${ALLOW}`],
    ...(rateLimits.length > 0 ? [[LIMITS_FILE, NO_LIMITS] as const] : []),
    ["data.json", `${JSON.stringify({ cardea: { tables } }, null, 1)}\n`],
  ]);
  return { module, files, caveats };
}

/** As `opa fmt` prints it. */
function formatted(text: string): string {
  const parsed = parseModule({ file: EVALUATOR_FILE, text }, { version: "v1" });
  if (parsed.diagnostics !== undefined) throw new TypeError("the exported module does not parse");
  return formatModule(parsed.value, { target: "v1" });
}

const ALLOW = `default allow := false

allow if decision.allowed
`;
