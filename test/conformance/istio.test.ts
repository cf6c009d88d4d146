import { afterAll, describe, expect, test } from "vitest";
import { Authenticator, type Identity } from "../../src/identity/index.ts";
import {
  compileIstio,
  DECISION_PATH,
  formatIstioDiagnostic,
  IstioPolicyError,
  TokenRules,
  toIstioDecision,
} from "../../src/istio/index.ts";
import { compile } from "../../src/rego/engine/index.ts";
import type { JsonObject, Value } from "../../src/rego/value/index.ts";
import { filesOf, type IstioCase, inputOf, meshOf, readIstioCases } from "../support/istio-cases.ts";

const cases = readIstioCases();
const evaluator = compile({ modules: compileIstio({ files: [] }).modules });
const DEFAULT_NOW = Date.parse("2026-01-01T00:00:00Z") / 1000;

function compileCase(tc: IstioCase) {
  try {
    return compileIstio({ files: filesOf(tc), mesh: meshOf(tc) });
  } catch (error) {
    if (error instanceof IstioPolicyError) throw new Error(error.diagnostics.map(formatIstioDiagnostic).join("\n"));
    throw error;
  }
}

/** Tokens first, then the policies: as the server does it. */
async function decide(tc: IstioCase, authenticator: Authenticator): Promise<readonly [IstioCase["expect"], unknown]> {
  const program = compileCase(tc);
  let input = inputOf(tc);
  const rules = new TokenRules(program.requestAuthentications, meshOf(tc)).for(input);
  const { request: attributes } = input["attributes"] as unknown as { request?: { http?: HttpAttributes } };
  const http = attributes?.http;
  if (http !== undefined && rules.length > 0) {
    const request = { method: http.method ?? "", path: http.path ?? "", headers: http.headers ?? {} };
    const answer = await authenticator.authenticate(rules, request, { nowMs: (tc.now ?? DEFAULT_NOW) * 1000 });
    if (answer.kind === "refused") return [answer.status === 401 ? "unauthenticated" : "deny", answer];
    if (answer.kind === "authenticated") input = { ...input, cardea: { identity: toDocument(answer.identity) } };
  }
  const policy = evaluator.withData({ cardea: { tables: program.tables } });
  const decision = toIstioDecision(policy.entrypoint(DECISION_PATH).value({ input }));
  return [decision?.allowed === true ? "allow" : "deny", decision];
}

interface HttpAttributes {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function toDocument(identity: Identity): JsonObject {
  return Object.fromEntries(Object.entries(identity).filter(([, value]) => value !== undefined)) as Record<
    string,
    Value
  >;
}

describe.skipIf(cases.length === 0)("istio-authz", () => {
  const authenticator = new Authenticator();
  afterAll(() => authenticator.stop());

  test.for(cases)("$id: $why", async (tc) => {
    const [verdict, because] = await decide(tc, authenticator);
    expect(verdict, JSON.stringify(because)).toBe(tc.expect);
  });
});
