import { expect, test } from "vitest";
import { opaBuiltins } from "../../../src/rego/builtins/opa.ts";
import { builtinContext, caller } from "../../support/builtin-context.ts";

test("opa.runtime shows no secrets", () => {
  const runtime = {
    version: "1",
    env: { HOME: "/" },
    config: {
      labels: { a: "b" },
      services: { s: { url: "http://s", credentials: { bearer: { token: "secret" } } } },
      keys: { k: { algorithm: "RS256", key: "secret", private_key: "secret", scope: "read" } },
    },
  };
  expect(caller(opaBuiltins, builtinContext({ runtime }))("opa.runtime")).toEqual({
    version: "1",
    env: { HOME: "/" },
    config: {
      labels: { a: "b" },
      services: { s: { url: "http://s" } },
      keys: { k: { algorithm: "RS256", scope: "read" } },
    },
  });
});

test("services may be a list", () => {
  const runtime = { config: { services: [{ name: "s", credentials: 1 }] } };
  expect(caller(opaBuiltins, builtinContext({ runtime }))("opa.runtime")).toEqual({
    config: { services: [{ name: "s" }] },
  });
});

test("without a runtime it is empty", () => expect(caller(opaBuiltins)("opa.runtime")).toEqual({}));
