import { compileIstio, DECISION_PATH } from "../../src/istio/index.ts";
import { compile } from "../../src/rego/engine/index.ts";
import type { JsonObject } from "../../src/rego/value/index.ts";
import { formatNs, measure } from "./timing.ts";

/**
 * What ten thousand policies cost: loading them, and one check, beside ten. Each shape spreads them differently, for what
 * they are filed by must not matter.
 *
 *   npx esbuild test/bench/istio-scale.ts --bundle --platform=node --format=esm --packages=external | node --input-type=module
 */

interface Shape {
  readonly name: string;
  namespace(i: number): string;
  /** YAML of `spec`, indented by two. */
  spec(i: number): string;
  request(i: number): {
    readonly principal: string;
    readonly path: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly headers: Readonly<Record<string, string>>;
  };
}

const selector = (i: number) => `  selector:\n    matchLabels:\n      app: app-${i}\n`;
const rules = (from: string, path: string, when = "") =>
  `  rules:\n  - from:\n    - source:\n        principals: ["${from}"]\n    to:\n    - operation:\n        methods: ["GET", "POST"]\n        paths: ["${path}"]\n${when}`;

const SHAPES: readonly Shape[] = [
  {
    name: "by namespace and selector",
    namespace: (i) => `ns-${i % 200}`,
    spec: (i) => selector(i) + rules(`cluster.local/ns/x/sa/client-${i}`, "/api/*"),
    request: (i) => ({ principal: `client-${i}`, path: "/api/x", labels: { app: `app-${i}` }, headers: {} }),
  },
  {
    name: "one namespace, by principal",
    namespace: () => "prod",
    spec: (i) => rules(`cluster.local/ns/x/sa/client-${i}`, "/api/*"),
    request: (i) => ({ principal: `client-${i}`, path: "/api/x", labels: {}, headers: {} }),
  },
  {
    name: "one namespace and principal, by path",
    namespace: () => "prod",
    spec: (i) => rules("cluster.local/ns/x/sa/client", `/svc-${i}/*`),
    request: (i) => ({ principal: "client", path: `/svc-${i}/x`, labels: {}, headers: {} }),
  },
  {
    name: "one namespace, principal and path, by header",
    namespace: () => "prod",
    spec: (i) =>
      rules(
        "cluster.local/ns/x/sa/client",
        "/api/*",
        `    when:\n    - key: request.headers[x-tenant]\n      values: ["t-${i}"]\n`,
      ),
    request: (i) => ({ principal: "client", path: "/api/x", labels: {}, headers: { "x-tenant": `t-${i}` } }),
  },
  {
    name: "the root namespace, every fifth a DENY",
    namespace: () => "istio-system",
    spec: (i) =>
      `  action: ${i % 5 === 0 ? "DENY" : "ALLOW"}\n${rules(`cluster.local/ns/x/sa/client-${i}`, `/api/v${i}/*`)}`,
    request: (i) => ({ principal: `client-${i}`, path: `/api/v${i}/x`, labels: {}, headers: {} }),
  },
];

function policies(shape: Shape, count: number): string {
  const documents = Array.from(
    { length: count },
    (_, i) =>
      `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: policy-${i}\n  namespace: ${shape.namespace(i)}\nspec:\n${shape.spec(i)}`,
  );
  return documents.join("---\n");
}

function inputOf(shape: Shape, i: number): JsonObject {
  const { principal, path, labels, headers } = shape.request(i);
  const address = (ip: string, portValue: number) => ({ socketAddress: { address: ip, portValue } });
  const namespace = shape.namespace(i) === "istio-system" ? "prod" : shape.namespace(i);
  return {
    attributes: {
      source: { address: address("10.0.0.1", 40000), principal: `spiffe://cluster.local/ns/x/sa/${principal}` },
      destination: {
        address: address("10.0.0.2", 8080),
        principal: `spiffe://cluster.local/ns/${namespace}/sa/api`,
        labels,
      },
      request: {
        http: {
          method: "GET",
          path,
          host: "api.example.com",
          scheme: "https",
          headers: { ":authority": "api.example.com", ...headers },
        },
      },
    },
  };
}

function run(
  shape: Shape,
  count: number,
): { readonly loadMs: number; readonly loadCpuMs: number; readonly checkNs: number } {
  const text = policies(shape, count);
  const started = performance.now();
  const cpu = process.cpuUsage();
  const program = compileIstio({ files: [{ file: "policies.yaml", text }] });
  const policy = compile({ modules: program.modules, data: { cardea: { tables: program.tables } } });
  const query = policy.entrypoint(DECISION_PATH);
  const inputs = Array.from({ length: 10 }, (_, k) => inputOf(shape, Math.floor((k * count) / 10)));
  inputs.forEach((input, k) => {
    const decision = query.value({ input }) as { readonly by?: { readonly policy: string } };
    const wanted = `policy-${Math.floor((k * count) / 10)}`;
    if (decision.by?.policy.endsWith(`/${wanted}`) !== true)
      throw new Error(`${shape.name}: ${wanted} did not decide: ${JSON.stringify(decision)}`);
  });
  const loadMs = performance.now() - started;
  // On a busy machine the time on the clock says little of the work.
  const { user, system } = process.cpuUsage(cpu);
  const loadCpuMs = (user + system) / 1000;
  let next = 0;
  const { medianNs } = measure(() => query.value({ input: inputs[next++ % inputs.length] as JsonObject }));
  return { loadMs, loadCpuMs, checkNs: medianNs };
}

for (const shape of SHAPES) {
  const few = run(shape, 10);
  const many = run(shape, 10_000);
  const ratio = (many.checkNs / few.checkNs).toFixed(2);
  console.log(
    `${shape.name}: 10,000 load in ${(many.loadMs / 1000).toFixed(2)} s (${(many.loadCpuMs / 1000).toFixed(2)} s of CPU); a check takes ${formatNs(few.checkNs)} with 10, ${formatNs(many.checkNs)} with 10,000 (${ratio}x)`,
  );
}
