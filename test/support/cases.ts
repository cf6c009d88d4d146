import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { parse as parseYaml } from "yaml";
import { fromBigInt, parseJson, setOwn, type Value } from "../../src/rego/value/index.ts";

/** The folder of shared test cases; undefined on a machine that has none (in CI that is an error). */
export function caseFolder(...below: readonly string[]): string | undefined {
  const folder = path.resolve(process.env["CARDEA_CASES"] ?? "../shared/cases", ...below);
  if (existsSync(folder)) return folder;
  if (process.env["CI"] !== undefined) throw new Error(`no test cases at ${folder}: set CARDEA_CASES`);
  console.log(`skipped: no test cases at ${folder} (set CARDEA_CASES)`);
  return undefined;
}

/** All files below a folder or the file itself, sorted. */
export function filesBelow(place: string, pattern = /\.(json|ya?ml)$/): readonly string[] {
  if (!statSync(place).isDirectory()) return pattern.test(place) ? [place] : [];
  return readdirSync(place)
    .sort()
    .flatMap((name) => filesBelow(path.join(place, name), pattern));
}

/** A runtime case in the format of OPA's suite (spec of the suite: v1/test/cases). */
export interface RegoCase {
  readonly note: string;
  readonly file: string;
  readonly query: string;
  readonly modules: readonly string[];
  readonly data: Value | undefined;
  readonly input: Value | undefined;
  readonly inputTerm: string | undefined;
  readonly wantResult: readonly Value[] | undefined;
  readonly wantErrorCode: string | undefined;
  readonly wantError: string | undefined;
  readonly sortBindings: boolean;
  readonly strictError: boolean;
  readonly env: Readonly<Record<string, string>>;
}

/** Reads a document so that numbers keep their text. */
function readDocument(file: string): { readonly [key: string]: Value } {
  const text = readFileSync(file, "utf8");
  if (file.endsWith(".json")) return parseJson(text) as { readonly [key: string]: Value };
  return exact(parseYaml(text, { maxAliasCount: -1, uniqueKeys: false, intAsBigInt: true })) as {
    readonly [key: string]: Value;
  };
}

function exact(value: unknown): Value {
  if (typeof value === "bigint") return fromBigInt(value);
  if (Array.isArray(value)) return value.map(exact);
  if (typeof value !== "object" || value === null) return value as Value;
  const object: Record<string, Value> = {};
  for (const [key, member] of Object.entries(value)) setOwn(object, key, exact(member));
  return object;
}

export function readRegoCases(folder: string): readonly RegoCase[] {
  return filesBelow(folder).flatMap((file) => {
    const document = readDocument(file);
    const cases = (document["cases"] ?? []) as readonly { readonly [key: string]: Value }[];
    return cases.map((tc) => ({
      note: tc["note"] as string,
      file,
      query: tc["query"] as string,
      modules: (tc["modules"] ?? []) as readonly string[],
      data: tc["data"] ?? undefined,
      input: tc["input"],
      inputTerm: tc["input_term"] as string | undefined,
      wantResult: (tc["want_result"] ?? undefined) as readonly Value[] | undefined,
      wantErrorCode: tc["want_error_code"] as string | undefined,
      wantError: tc["want_error"] as string | undefined,
      sortBindings: tc["sort_bindings"] === true,
      strictError: tc["strict_error"] === true,
      env: (tc["env"] ?? {}) as Readonly<Record<string, string>>,
    }));
  });
}
