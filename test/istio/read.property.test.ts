import fc from "fast-check";
import { expect, test } from "vitest";
import { compileIstio, DECISION_PATH, IstioPolicyError, lintPolicies, readPolicies } from "../../src/istio/index.ts";
import { compile } from "../../src/rego/engine/index.ts";
import type { Value } from "../../src/rego/value/index.ts";
import { toTestInput } from "../support/istio-request.ts";

const RULE = {
  from: [{ source: { principals: ["a/ns/b/sa/c"], notIpBlocks: ["10.0.0.0/8"], requestPrincipals: ["i/*"] } }],
  to: [{ operation: { methods: ["GET"], paths: ["/a/*", "/{*}/b"], ports: ["80"], hosts: ["h"] } }],
  when: [
    { key: "request.headers[x]", values: ["v"], notValues: ["w"] },
    { key: "request.auth.claims[a][b]", values: ["v"] },
    { key: "cardea.schedule", values: ["s"] },
  ],
};
const DOCUMENTS = [
  {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "p", namespace: "prod", annotations: { "istio.io/dry-run": "false" } },
    spec: { selector: { matchLabels: { app: "x" } }, action: "DENY", rules: [RULE] },
  },
  {
    apiVersion: "security.istio.io/v1",
    kind: "PeerAuthentication",
    metadata: { name: "p" },
    spec: {
      selector: { matchLabels: { app: "x" } },
      mtls: { mode: "STRICT" },
      portLevelMtls: { "80": { mode: "DISABLE" } },
    },
  },
  {
    apiVersion: "security.istio.io/v1",
    kind: "RequestAuthentication",
    metadata: { name: "p" },
    spec: { jwtRules: [{ issuer: "i", audiences: ["a"], fromHeaders: [{ name: "x", prefix: "p" }], timeout: "1s" }] },
  },
  {
    apiVersion: "cardea.dev/v1alpha1",
    kind: "Schedule",
    metadata: { name: "s" },
    spec: {
      timeZone: "UTC",
      windows: [{ days: ["Mon"], from: "08:00", to: "09:00" }],
      exceptions: [{ date: "2026-12-25", closed: true }],
    },
  },
];

/** Every place in a document, as the keys that lead there. */
function placesOf(value: unknown, at: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, member]) => placesOf(member, [...at, key]))];
}

function replaced(value: unknown, at: readonly string[], by: unknown, name: string | undefined): unknown {
  const [key, ...rest] = at;
  if (key === undefined) return by;
  if (Array.isArray(value)) return value.map((item, i) => (String(i) === key ? replaced(item, rest, by, name) : item));
  return Object.fromEntries(
    Object.entries(value as object).map(([known, member]) => {
      if (known !== key) return [known, member];
      return [rest.length === 0 && name !== undefined ? name : known, replaced(member, rest, by, name)];
    }),
  );
}

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    "",
    "*",
    "**",
    "/",
    "a/b/c/d/e",
    "{*}",
    "::1",
    "-1",
    0,
    1e21,
    -1,
    true,
    [],
    {},
    [null],
    [[]],
    { a: 1 },
    "__proto__",
    "\u0000",
    "\uD800",
    "é",
  ),
  fc.string({ maxLength: 12 }),
);
const mutated = fc
  .constantFrom(...DOCUMENTS)
  .chain((document) =>
    fc
      .tuple(
        fc.constantFrom(...placesOf(document)),
        odd,
        fc.option(fc.constantFrom("__proto__", "constructor", "notPaths", "spec", ""), { nil: undefined, freq: 5 }),
      )
      .map(([at, by, name]) => replaced(document, at, by, name)),
  );
const evaluator = compile({ modules: compileIstio({ files: [] }).modules });

test("whatever a document says, reading it ends in diagnostics or in a decision, never in an exception", () => {
  fc.assert(
    fc.property(fc.array(mutated, { minLength: 1, maxLength: 3 }), (documents) => {
      const files = documents.map((document, i) => ({ file: `p${i}.yaml`, text: JSON.stringify(document) }));
      const { documents: read, diagnostics } = readPolicies(files);
      for (const { at, message } of diagnostics) {
        expect(message).not.toBe("");
        expect(at.row).toBeGreaterThan(0);
      }
      if (diagnostics.length > 0) {
        expect(() => compileIstio({ files })).toThrow(IstioPolicyError);
        return;
      }
      lintPolicies(read);
      const { tables } = compileIstio({ files });
      const decision = evaluator
        .withData({ cardea: { tables } })
        .entrypoint(DECISION_PATH)
        .value({ input: toTestInput({}) as Value });
      expect(decision).toMatchObject({ allowed: expect.any(Boolean) as boolean });
    }),
    { numRuns: 1500 },
  );
});

test("whatever a file's text is, it is read or refused", () => {
  const piece = fc.constantFrom(
    "apiVersion: security.istio.io/v1\n",
    "kind: AuthorizationPolicy\n",
    "metadata: {name: p}\n",
    "spec:\n",
    "  rules:\n",
    "  - from:\n",
    "- ",
    "  ",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "&a ",
    "*a",
    "!!binary ",
    "|\n",
    "'",
    '"',
    "#",
    "\t",
    "? ",
    "é",
    "\u0000",
    "<<: ",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      readPolicies([{ file: "p.yaml", text: pieces.join("") }]);
    }),
    { numRuns: 3000 },
  );
});
