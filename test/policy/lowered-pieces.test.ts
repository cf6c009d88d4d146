import { describe, expect, test } from "vitest";
import { finish } from "../../src/base/index.ts";
import { DEFAULT_MESH } from "../../src/istio/index.ts";
import { type Lowered, lowerInSteps } from "../../src/policy/lowered.ts";
import { loweredOf, piecesOfLowered } from "../../src/policy/lowered-pieces.ts";

const document = (kind: string, name: string, spec: object, apiVersion = "security.istio.io/v1"): string =>
  JSON.stringify({ apiVersion, kind, metadata: { name, namespace: "prod" }, spec });
const text = [
  ...Array.from({ length: 200 }, (_, i) =>
    document("AuthorizationPolicy", `deny-${i}`, {
      action: "DENY",
      rules: [
        { to: [{ operation: { paths: [`/${i}`] } }], when: [{ key: "cardea.schedule", values: [`hours-${i % 7}`] }] },
      ],
    }),
  ),
  ...Array.from({ length: 40 }, (_, i) =>
    document("RequestAuthentication", `tokens-${i}`, {
      ...(i % 2 === 0 && { selector: { matchLabels: { app: `app-${i}`, tier: "web" } } }),
      ...(i % 4 === 1 && { targetRefs: [{ kind: "Gateway", group: "gateway.networking.k8s.io", name: "g" }] }),
      jwtRules: Array.from({ length: 10 }, (_, k) => ({
        issuer: `issuer-${i}-${k}`,
        jwks: `{"keys":[]}${" ".repeat(300)}`,
      })),
    }),
  ),
  ...Array.from({ length: 7 }, (_, i) =>
    document(
      "Schedule",
      `hours-${i}`,
      { timeZone: "UTC", windows: [{ from: "08:00", to: "09:00" }] },
      "cardea.dev/v1alpha1",
    ),
  ),
  document("RateLimit", "limit", { key: ["source.ip"], limit: 2, per: "1m" }, "cardea.dev/v1alpha1"),
].join("\n---\n");

describe("what was lowered, in pieces", () => {
  const lowered: Lowered = finish(
    lowerInSteps([{ file: "mesh.yaml", text }], { mesh: DEFAULT_MESH, isDescribed: false }),
  );
  const pieces = [...piecesOfLowered(lowered)].map((piece) => structuredClone(piece));

  test("is the same again", () => {
    const again = finish(loweredOf(pieces));
    expect(again).toEqual(lowered);
    expect(JSON.stringify(again.tables)).toBe(JSON.stringify(lowered.tables));
    expect(again.schedulesAsked.get("prod")?.size).toBe(7);
    expect(again.tokenDocuments[0]?.attachment.selector.get("tier")).toBe("web");
  });

  test("no piece is long, whatever it is of", () => {
    expect(pieces.length).toBeGreaterThan(30);
    // The evaluator's text is one string.
    const isOfModules = (at: readonly string[]): boolean => at[0] === "modules";
    for (const piece of pieces)
      if (piece.kind === "members" && !isOfModules(piece.at)) expect(piece.text.length).toBeLessThan(2 * 8 * 1024);
  });

  test("is nothing when any piece is missing", () => {
    for (const missing of pieces.keys())
      expect(() => finish(loweredOf(pieces.filter((_, i) => i !== missing)))).toThrow(TypeError);
    expect(() => finish(loweredOf([]))).toThrow("not complete");
  });
});
