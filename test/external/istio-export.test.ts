import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { compileIstio, exportRego } from "../../src/istio/index.ts";
import type { JsonObject, Value } from "../../src/rego/value/index.ts";
import { filesOf, type IstioCase, inputOf, meshOf, readIstioCases } from "../support/istio-cases.ts";

const run = promisify(execFile);
/** The real `opa`: CARDEA_OPA, or what PATH has. */
const opa = process.env["CARDEA_OPA"] ?? "opa";
const version = await run(opa, ["version"]).then(
  ({ stdout }) => stdout,
  () => undefined,
);
if (version === undefined && process.env["CI"] !== undefined) throw new Error("no opa: set CARDEA_OPA");
if (version === undefined) console.log("skipped: no opa (set CARDEA_OPA)");
const cases =
  version === undefined ? [] : readIstioCases().filter(({ category }) => category !== "request-authentication");

describe.skipIf(cases.length === 0)("the real opa answers exported policies alike", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "cardea-export-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const ask = async (tc: IstioCase, input: JsonObject, mesh = meshOf(tc)): Promise<unknown> => {
    const { module } = exportRego(compileIstio({ files: filesOf(tc), mesh }));
    const files = { policy: path.join(folder, `${tc.id}.rego`), input: path.join(folder, `${tc.id}.json`) };
    writeFileSync(files.policy, module);
    writeFileSync(files.input, JSON.stringify(input));
    const { stdout } = await run(opa, [
      "eval",
      "--format=raw",
      "--data",
      files.policy,
      "--input",
      files.input,
      "data.cardea.istio.allow",
    ]);
    return JSON.parse(stdout);
  };

  test.concurrent.for(cases)("$id: $why", { timeout: 120_000 }, async (tc) => {
    expect(await ask(tc, inputOf(tc))).toBe(tc.expect === "allow");
  });

  test.concurrent.for(cases.filter(({ jwt_claims: claims }) => claims !== undefined))(
    "$id, with claims from Envoy's metadata",
    { timeout: 120_000 },
    async (tc) => {
      const { cardea: _, ...input } = inputOf(tc) as { readonly [key: string]: Value };
      expect(await ask(tc, input, { ...meshOf(tc), trustJwtAuthnMetadata: true })).toBe(tc.expect === "allow");
    },
  );
});
