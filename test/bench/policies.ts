import { compileIstio, DECISION_PATH, exportRego } from "../../src/istio/index.ts";

/** Policies of real shape, each with data, one input and the answer it must give. */
export interface BenchPolicy {
  readonly name: string;
  readonly version?: "v0" | "v1";
  readonly modules: readonly string[];
  readonly data?: unknown;
  readonly input: unknown;
  /** Path of the decision below `data`. */
  readonly entrypoint: readonly string[];
  readonly want: unknown;
}

const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);

/** A request as the ext_authz plugin shows it to policies. */
const http = (method: string, path: string, headers: Readonly<Record<string, string>> = {}): unknown => ({
  attributes: {
    source: {
      address: { socketAddress: { address: "10.1.2.3", portValue: 41000 } },
      principal: "spiffe://cluster.local/ns/shop/sa/frontend",
    },
    destination: {
      address: { socketAddress: { address: "10.1.2.9", portValue: 8080 } },
      principal: "spiffe://cluster.local/ns/shop/sa/api",
    },
    request: {
      time: { seconds: 1790000000 },
      http: {
        id: "1",
        method,
        path,
        host: "api.shop.svc",
        scheme: "http",
        protocol: "HTTP/1.1",
        headers: { ":path": path, ":method": method, ...headers },
      },
    },
    metadataContext: {},
  },
  parsed_path: path.split("?")[0]?.replace(/^\/+/, "").split("/"),
  parsed_query: {},
  parsed_body: null,
  truncated_body: false,
  version: { ext_authz: "v3", encoding: "protojson" },
});

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const token = `${base64url({ alg: "HS256", typ: "JWT" })}.${base64url({ iss: "https://issuer.example", sub: "bob", role: "editor", exp: 4000000000 })}.c2lnbmF0dXJl`;

/** AuthorizationPolicies of a small mesh: by namespace and selector, with principals, paths, claims and DENY rules. */
const istioPolicies = (): string => {
  const policy = (name: string, namespace: string, spec: string): string =>
    `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\nspec:\n${spec}`;
  const services = range(20).map((i) =>
    policy(
      `service-${i}`,
      i % 2 === 0 ? "shop" : "billing",
      `  selector:\n    matchLabels:\n      app: service-${i}\n  rules:\n  - from:\n    - source:\n        principals: ["cluster.local/ns/shop/sa/frontend", "cluster.local/ns/ops/sa/client-${i}"]\n    to:\n    - operation:\n        methods: ["GET", "HEAD"]\n        paths: ["/api/v${i}/*", "/healthz"]\n  - from:\n    - source:\n        namespaces: ["ops"]\n    when:\n    - key: request.headers[x-team]\n      values: ["team-${i}"]\n`,
    ),
  );
  const denials = [
    policy(
      "no-admin",
      "istio-system",
      `  action: DENY\n  rules:\n  - from:\n    - source:\n        notNamespaces: ["ops"]\n    to:\n    - operation:\n        paths: ["/admin/*", "*/internal"]\n`,
    ),
    policy(
      "no-networks",
      "shop",
      `  action: DENY\n  rules:\n  - from:\n    - source:\n        remoteIpBlocks: ["203.0.113.0/24", "198.51.100.0/24"]\n`,
    ),
  ];
  return [...services, ...denials].join("---\n");
};

/** What the Istio front end makes of a policy set: the modules a decision evaluates, and their tables as data. */
const istio = (): Pick<BenchPolicy, "modules" | "data" | "entrypoint"> => {
  const { files } = exportRego(compileIstio({ files: [{ file: "mesh.yaml", text: istioPolicies() }] }));
  return {
    modules: [...files].filter(([name]) => name.endsWith(".rego")).map(([, text]) => text),
    data: JSON.parse(files.get("data.json") as string),
    entrypoint: DECISION_PATH,
  };
};

/** A request to one workload of the set. */
const meshRequest = (): unknown => {
  const request = http("GET", "/api/v14/orders") as { readonly attributes: { readonly destination: object } };
  const destination = { ...request.attributes.destination, labels: { app: "service-14" } };
  return { ...request, attributes: { ...request.attributes, destination } };
};

export const POLICIES: readonly BenchPolicy[] = [
  {
    name: "boolean allow",
    modules: [
      `package bench\n\ndefault allow := false\n\nallow if {\n\tinput.attributes.request.http.method == "GET"\n\tinput.attributes.request.http.path == "/healthz"\n}\n`,
    ],
    input: http("GET", "/healthz"),
    entrypoint: ["bench", "allow"],
    want: true,
  },
  {
    name: "RBAC, roles and bindings in data",
    modules: [
      `package bench\n\ndefault allow := false\n\nallow if {\n\tsome role in data.bindings[input.user]\n\tsome grant in data.roles[role]\n\tgrant.action == input.action\n\tgrant.type == input.type\n}\n`,
    ],
    data: {
      bindings: Object.fromEntries(range(500).map((i) => [`user${i}`, [`role${i % 20}`, "viewer"]])),
      roles: {
        ...Object.fromEntries(
          range(20).map((i) => [`role${i}`, range(10).map((j) => ({ action: `act${j}`, type: `type${i}` }))]),
        ),
        viewer: [{ action: "read", type: "report" }],
      },
    },
    input: { user: "user123", action: "read", type: "report" },
    entrypoint: ["bench", "allow"],
    want: true,
  },
  {
    name: "ABAC",
    modules: [
      `package bench\n\ndefault allow := false\n\nallow if user_is_owner\n\nallow if {\n\tuser_is_employee\n\taction_is_read\n}\n\nallow if {\n\tuser_is_employee\n\tuser_is_senior\n\taction_is_update\n\tdata.pets[input.pet].clinic == data.users[input.user].clinic\n}\n\nuser_is_owner if data.users[input.user].title == "owner"\n\nuser_is_employee if data.users[input.user].title == "employee"\n\nuser_is_senior if data.users[input.user].tenure > 8\n\naction_is_read if input.action == "read"\n\naction_is_update if input.action == "update"\n`,
    ],
    data: {
      users: Object.fromEntries(
        range(200).map((i) => [
          `user${i}`,
          { title: i % 7 === 0 ? "owner" : "employee", tenure: i % 20, clinic: `c${i % 3}` },
        ]),
      ),
      pets: Object.fromEntries(range(200).map((i) => [`pet${i}`, { clinic: `c${i % 3}` }])),
    },
    input: { user: "user12", pet: "pet12", action: "update" },
    entrypoint: ["bench", "allow"],
    want: true,
  },
  {
    name: "JWT roles (decode)",
    modules: [
      `package bench\n\nimport input.attributes.request.http as request\n\ndefault allow := false\n\nclaims := payload if {\n\t[_, payload, _] := io.jwt.decode(trim_prefix(request.headers.authorization, "Bearer "))\n}\n\nmethods := {\n\t"admin": {"GET", "POST", "PUT", "DELETE"},\n\t"editor": {"GET", "POST", "PUT"},\n\t"viewer": {"GET"},\n}\n\nallow if {\n\tclaims.iss == "https://issuer.example"\n\trequest.method in methods[claims.role]\n}\n`,
    ],
    input: http("PUT", "/articles/7", { authorization: `Bearer ${token}` }),
    entrypoint: ["bench", "allow"],
    want: true,
  },
  {
    name: "path arrays",
    modules: [
      `package bench\n\nimport input.attributes.request.http as request\n\ndefault allow := false\n\nallow if {\n\trequest.method == "GET"\n\tinput.parsed_path = ["salary", user, "current"]\n\tuser == "bob"\n}\n\nallow if {\n\tsome pattern in data.public\n\tcount(pattern) == count(input.parsed_path)\n\tevery i, part in pattern {\n\t\tpart in {"*", input.parsed_path[i]}\n\t}\n}\n`,
    ],
    data: { public: [["a"], ["a", "*"], ["b", "*", "c"], ["articles", "*", "comments", "*"]] },
    input: http("GET", "/articles/17/comments/4"),
    entrypoint: ["bench", "allow"],
    want: true,
  },
  {
    name: "regex and glob lists",
    modules: [
      `package bench\n\ndefault allow := false\n\nallow if {\n\tsome pattern in data.patterns\n\tregex.match(pattern, input.path)\n\tsome host in data.hosts\n\tglob.match(host, ["."], input.host)\n}\n`,
    ],
    data: {
      patterns: [...range(20).map((i) => `^/service${i}/v[0-9]+/[a-z]+$`), "^/api/v[12]/users/[^/]+$"],
      hosts: [...range(10).map((i) => `*.team${i}.example.com`), "*.shop.example.com"],
    },
    input: { path: "/api/v2/users/bob", host: "www.shop.example.com" },
    entrypoint: ["bench", "allow"],
    want: true,
  },
  {
    name: "CIDR lists",
    modules: [
      `package bench\n\ndefault allow := false\n\nallow if {\n\tsome cidr in data.networks\n\tnet.cidr_contains(cidr, input.address)\n}\n`,
    ],
    data: { networks: [...range(50).map((i) => `10.${i}.0.0/16`), "192.168.0.0/24"] },
    input: { address: "192.168.0.77" },
    entrypoint: ["bench", "allow"],
    want: true,
  },
  {
    name: "1,000 rules with equality on input",
    modules: [
      `package bench\n\ndefault allow := false\n\n${range(1000)
        .map((i) => `allow if {\n\tinput.service == "service${i}"\n\tinput.method == "GET"\n}\n`)
        .join("\n")}`,
    ],
    input: { service: "service777", method: "GET" },
    entrypoint: ["bench", "allow"],
    want: true,
  },
  {
    name: "10,000 rules with equality on input",
    modules: [
      `package bench\n\ndefault allow := false\n\n${range(10000)
        .map((i) => `allow if {\n\tinput.service == "service${i}"\n\tinput.method == "GET"\n}\n`)
        .join("\n")}`,
    ],
    input: { service: "service7777", method: "GET" },
    entrypoint: ["bench", "allow"],
    want: true,
  },
  {
    name: "prefix rules",
    modules: [
      `package bench\n\ndefault allow := false\n\n${range(200)
        .map((i) => `allow if startswith(input.path, "/area${i}/")\n`)
        .join("\n")}`,
    ],
    input: { path: "/area150/things" },
    entrypoint: ["bench", "allow"],
    want: true,
  },
  {
    name: "nested iteration",
    modules: [
      `package bench\n\nexposed contains pair if {\n\tsome server in input.servers\n\tsome id in server.ports\n\tsome port in input.ports\n\tport.id == id\n\tsome network in input.networks\n\tnetwork.id == port.network\n\tnetwork.public\n\tpair := [server.id, network.id]\n}\n`,
    ],
    input: {
      servers: range(20).map((i) => ({ id: `s${i}`, ports: [`p${i}`, `p${(i + 1) % 20}`] })),
      ports: range(20).map((i) => ({ id: `p${i}`, network: `n${i % 5}` })),
      networks: range(5).map((i) => ({ id: `n${i}`, public: i === 0 })),
    },
    entrypoint: ["bench", "exposed"],
    want: range(20).flatMap((i) =>
      [`p${i}`, `p${(i + 1) % 20}`].filter((p) => Number(p.slice(1)) % 5 === 0).map(() => [`s${i}`, "n0"]),
    ),
  },
  {
    name: "comprehensions and aggregates over 10,000 elements",
    modules: [
      `package bench\n\nreport := {"total": sum(amounts), "largest": max(amounts), "by_region": by_region} if {\n\tamounts := [order.amount | some order in data.orders; order.paid]\n\tby_region := {region: count(ids) |\n\t\tsome region in {"eu", "us"}\n\t\tids := [order.id | some order in data.orders; order.region == region]\n\t}\n}\n`,
    ],
    data: {
      orders: range(10000).map((i) => ({
        id: i,
        amount: (i * 7919) % 1000,
        paid: i % 3 !== 0,
        region: i % 2 === 0 ? "eu" : "us",
      })),
    },
    input: {},
    entrypoint: ["bench", "report"],
    want: {
      total: range(10000)
        .filter((i) => i % 3 !== 0)
        .reduce((sum, i) => sum + ((i * 7919) % 1000), 0),
      largest: 999,
      by_region: { eu: 5000, us: 5000 },
    },
  },
  {
    name: "Envoy example of OPA's documentation",
    modules: [
      `package envoy.authz\n\nimport input.attributes.request.http\n\ndefault allow := false\n\nallow if {\n\tis_token_valid\n\taction_allowed\n}\n\nis_token_valid if {\n\ttoken.payload.exp > 1000\n}\n\naction_allowed if {\n\thttp.method == "GET"\n\ttoken.payload.role == "editor"\n\tglob.match("/people*", ["/"], http.path)\n}\n\naction_allowed if {\n\thttp.method == "POST"\n\ttoken.payload.role == "admin"\n\tglob.match("/people", ["/"], http.path)\n}\n\ntoken := {"payload": payload} if {\n\t[_, encoded] := split(http.headers.authorization, " ")\n\t[_, payload, _] := io.jwt.decode(encoded)\n}\n`,
    ],
    input: http("GET", "/people", { authorization: `Bearer ${token}` }),
    entrypoint: ["envoy", "authz", "allow"],
    want: true,
  },
  {
    name: "Gatekeeper style violations",
    modules: [
      `package bench\n\nviolation contains {"msg": msg} if {\n\tsome container in containers\n\tnot allowed_image(container.image)\n\tmsg := sprintf("container <%v> has an invalid image <%v>", [container.name, container.image])\n}\n\nviolation contains {"msg": msg} if {\n\tsome container in containers\n\tnot container.resources.limits.memory\n\tmsg := sprintf("container <%v> has no memory limit", [container.name])\n}\n\nallowed_image(image) if {\n\tsome prefix in input.parameters.prefixes\n\tstartswith(image, prefix)\n}\n\ncontainers contains container if some container in input.review.object.spec.containers\n\ncontainers contains container if some container in input.review.object.spec.initContainers\n`,
    ],
    input: {
      parameters: { prefixes: ["registry.example/", "mirror.example/"] },
      review: {
        object: {
          spec: {
            containers: range(8).map((i) => ({
              name: `c${i}`,
              image: i === 3 ? "evil.example/x" : `registry.example/app${i}`,
              resources: { limits: { memory: "1Gi" } },
            })),
            initContainers: [{ name: "init", image: "mirror.example/init", resources: { limits: {} } }],
          },
        },
      },
    },
    entrypoint: ["bench", "violation"],
    want: [
      { msg: "container <c3> has an invalid image <evil.example/x>" },
      { msg: "container <init> has no memory limit" },
    ],
  },
  {
    name: "Istio AuthorizationPolicies",
    ...istio(),
    input: meshRequest(),
    want: {
      allowed: true,
      audit: [],
      by: {
        action: "ALLOW",
        file: "mesh.yaml",
        kind: "AuthorizationPolicy",
        line: 347,
        policy: "shop/service-14",
        rule: 0,
      },
      dry_run: [],
      dry_run_allowed: true,
      reason: "allow",
    },
  },
];
