import { describe, expect, test } from "vitest";
import {
  compileIstio,
  DECISION_PATH,
  formatIstioDiagnostic,
  IstioPolicyError,
  toIstioDecision,
} from "../../src/istio/index.ts";
import { compile } from "../../src/rego/engine/index.ts";
import { filesOf, inputOf, meshOf, readIstioCases } from "../support/istio-cases.ts";

const cases = readIstioCases();
/** Their tokens are verified before any policy is asked; the whole way is tested with a running server. */
const NEEDS_VERIFICATION = "request-authentication";
const evaluator = compile({ modules: compileIstio({ files: [] }).modules });

function program(tc: (typeof cases)[number]) {
  try {
    return compileIstio({ files: filesOf(tc), mesh: meshOf(tc) });
  } catch (error) {
    if (error instanceof IstioPolicyError) throw new Error(error.diagnostics.map(formatIstioDiagnostic).join("\n"));
    throw error;
  }
}

describe.skipIf(cases.length === 0)("istio-authz", () => {
  test.for(cases.filter(({ category }) => category !== NEEDS_VERIFICATION))("$id: $why", (tc) => {
    const policy = evaluator.withData({ cardea: { tables: program(tc).tables } });
    const decision = toIstioDecision(policy.entrypoint(DECISION_PATH).value({ input: inputOf(tc) }));
    expect(decision?.allowed === true ? "allow" : "deny", JSON.stringify(decision)).toBe(tc.expect);
  });

  test.for(cases.filter(({ category }) => category === NEEDS_VERIFICATION))("$id loads", (tc) => {
    const { requestAuthentications } = program(tc);
    const given = tc.policies.filter((policy) => (policy as { kind: string }).kind === "RequestAuthentication");
    expect(requestAuthentications.length).toBe(given.length);
  });
});
