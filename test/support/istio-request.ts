import {
  compileIstio,
  DECISION_PATH,
  DEFAULT_MESH,
  type IstioDecision,
  type IstioProgram,
  type MeshSettings,
  toIstioDecision,
} from "../../src/istio/index.ts";
import { arg, defineBuiltin, operands, result } from "../../src/rego/builtins/define.ts";
import { portableBuiltins } from "../../src/rego/builtins/index.ts";
import { compile, type Policy } from "../../src/rego/engine/index.ts";
import type { JsonObject, Value } from "../../src/rego/value/index.ts";

/** A request to a workload, as far as a test cares. */
export interface TestRequest {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Empty: plaintext. */
  readonly principal?: string;
  readonly sourceIp?: string;
  /** Empty: the destination has no mesh identity. */
  readonly destination?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly port?: number;
  readonly claims?: JsonObject;
  /** A TCP check. */
  readonly tcp?: boolean;
}

export function toTestInput(request: TestRequest): JsonObject {
  const { method = "GET", path = "/", host = "api.prod.svc.cluster.local", headers = {} } = request;
  const { principal = "spiffe://cluster.local/ns/prod/sa/web", destination = "spiffe://cluster.local/ns/prod/sa/api" } =
    request;
  const address = (ip: string, portValue: number) => ({ socketAddress: { address: ip, portValue } });
  return {
    attributes: {
      source: { address: address(request.sourceIp ?? "10.0.0.1", 40000), ...(principal !== "" && { principal }) },
      destination: {
        address: address("10.0.0.2", request.port ?? 8080),
        ...(destination !== "" && { principal: destination }),
        ...(request.labels !== undefined && { labels: request.labels }),
      },
      request: request.tcp === true ? {} : { http: { method, path, host, headers } },
    },
    ...(request.claims !== undefined && { cardea: { identity: { claims: request.claims } } }),
  };
}

/** Counts calls; the first `limit` of each key are allowed. */
export function countingLimiter(limit: number): {
  readonly keys: string[];
  readonly allow: (name: string, key: string) => boolean;
} {
  const keys: string[] = [];
  return {
    keys,
    allow: (name, key) => {
      keys.push(`${name} ${key}`);
      return keys.filter((known) => known === `${name} ${key}`).length <= limit;
    },
  };
}

/** Compiled once for each set of modules. */
const compiled = new Map<string, Policy>();

/** The modules of some policies, without any builtin of Cardea's own. */
export function evaluatorOf({ modules }: Pick<IstioProgram, "modules">): Policy {
  const key = modules.map(({ text }) => text).join("\0");
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const policy = compile({ modules });
  compiled.set(key, policy);
  return policy;
}

/** Decides requests by policy files, through the engine. */
export function istioDecider(
  text: string,
  mesh: Partial<MeshSettings> = {},
  limiter?: ReturnType<typeof countingLimiter>,
): (request: TestRequest, now?: string) => IstioDecision | undefined {
  const program = compileIstio({ files: [{ file: "p.yaml", text }], mesh: { ...DEFAULT_MESH, ...mesh } });
  let policy: Policy;
  if (limiter === undefined) policy = evaluatorOf(program);
  else {
    const allow = defineBuiltin({
      name: "cardea.ratelimit.allow",
      category: "cardea",
      about: "Takes one from the counter.",
      args: [arg("name", operands.string, "the limit"), arg("key", operands.string, "who is counted")],
      result: result("ok", operands.boolean, "whether there was one left"),
      nondeterministic: true,
      call: (_context, name, key) => limiter.allow(name, key),
    });
    policy = compile({ modules: program.modules, builtins: [...portableBuiltins, allow] });
  }
  const query = policy.withData({ cardea: { tables: program.tables } }).entrypoint(DECISION_PATH);
  return (request, now = "2026-06-17T12:00:00Z") => {
    const nowNs = BigInt(Date.parse(now)) * 1_000_000n;
    return toIstioDecision(query.value({ input: toTestInput(request) as Value, nowNs }));
  };
}
