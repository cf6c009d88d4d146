import type { PlainObject } from "../../src/config/index.ts";
import { encodeRequest } from "./checks.ts";
import { readAttackKeys } from "./jwt-attacks.ts";

/** One of the configurations that cases name by the first word of their policy. */
export interface AttackPolicy {
  readonly rego?: string;
  readonly documents?: readonly object[];
  readonly cardea?: PlainObject;
  /** A request whose verdict is known, asked after every case. */
  readonly good: Buffer;
  readonly goodIsAllowed: boolean;
}

function get(path: string, http: object = {}, source: object = {}): Buffer {
  return encodeRequest({ attributes: { source, request: { http: { method: "GET", host: "h", path, ...http } } } });
}

const WORKLOAD: PlainObject = { default_workload: { namespace: "prod", labels: {} } };

function istio(mesh: PlainObject, good: Buffer, goodIsAllowed: boolean, ...specs: readonly object[]): AttackPolicy {
  return { documents: specs.map(policy), cardea: { mesh: { ...WORKLOAD, ...mesh } }, good, goodIsAllowed };
}

function policy(spec: object, i: number): object {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: `p${i}`, namespace: "prod" },
    spec,
  };
}

const ALLOW_ALL = { action: "ALLOW", rules: [{}] };
const allowTo = (operation: object): object => ({ action: "ALLOW", rules: [{ to: [{ operation }] }] });
const denyTo = (operation: object): object => ({ action: "DENY", rules: [{ to: [{ operation }] }] });
const allowFrom = (source: object): object => ({ action: "ALLOW", rules: [{ from: [{ source }] }] });
const denyFrom = (source: object): object => ({ action: "DENY", rules: [{ from: [{ source }] }] });
const from = (address: string): object => ({ address: { socketAddress: { address, portValue: 1 } } });

const CERT_MANAGER = "spiffe://cluster.local/ns/prod/sa/cert-manager.io";

function rego(text: string, good: Buffer, cardea: PlainObject = {}): AttackPolicy {
  return {
    rego: `package envoy.authz\n\nimport input.attributes.request.http\n\n${text}`,
    cardea,
    good,
    goodIsAllowed: true,
  };
}

function tokens(): object {
  const keys = readAttackKeys();
  return {
    apiVersion: "security.istio.io/v1",
    kind: "RequestAuthentication",
    metadata: { name: "tokens", namespace: "prod" },
    spec: { jwtRules: [{ issuer: keys.issuer, audiences: [keys.audience], jwks: JSON.stringify(keys.jwks) }] },
  };
}

const P1 = `default allow := false

allow if {
	http.method == "GET"
	startswith(http.path, "/public/")
}

allow if {
	startswith(http.path, "/admin/")
	input.cardea.identity.claims.role == "admin"
}
`;

const ORDERS = (condition: string): string => `default allow := false

allow if {
	http.method == "POST"
	http.path == "/orders"
	${condition}
}
`;

function order(body: string): Buffer {
  return get("/orders", { method: "POST", headers: { "content-type": "application/json" }, body });
}

/** Every value of a header, whether Envoy sends joined headers or raw ones. */
const HEADER_VALUES = `values(name) := {value |
	some field in http.headerMap.headers
	lower(field.key) == name
	value := base64.decode(object.get(field, "rawValue", base64.encode(object.get(field, "value", ""))))
} | {value | value := http.headers[name]}

times(name) := count([1 | some field in http.headerMap.headers; lower(field.key) == name])
`;

const withoutQuery = 'split(http.path, "?")[0]';

export const ATTACK_POLICIES: ReadonlyMap<string, () => AttackPolicy> = new Map([
  ["P1", () => rego(P1, get("/public/a"), { path_guard: "deny" })],
  [
    "P2",
    () =>
      rego(
        'default allow := false\n\nallow if {\n\thttp.method == "GET"\n\tinput.parsed_path[0] == "public"\n}\n',
        get("/public/a"),
      ),
  ],
  [
    "P3",
    () =>
      istio(
        { path_normalization: "DECODE_AND_MERGE_SLASHES", ignore_path_parameters: true },
        get("/other"),
        true,
        denyTo({ paths: ["/admin", "/admin/*"] }),
        ALLOW_ALL,
      ),
  ],
  [
    "P3T",
    () => ({
      ...istio({ wide_templates: true }, get("/other"), true, denyTo({ paths: ["/private/{*}/admin"] }), ALLOW_ALL),
      cardea: { path_guard: "deny", mesh: { ...WORKLOAD, wide_templates: true } },
    }),
  ],
  ["P4", () => istio({}, get("/public/a"), true, allowTo({ methods: ["GET"], paths: ["/public/*"] }))],
  [
    "P5",
    () =>
      istio(
        { normalize_hosts: true },
        get("/x", { host: "a.test" }),
        true,
        denyTo({ hosts: ["secret.example.com"] }),
        ALLOW_ALL,
      ),
  ],
  [
    "P5A",
    () =>
      istio(
        { normalize_hosts: true },
        get("/x", { host: "api.example.com" }),
        true,
        allowTo({ hosts: ["api.example.com", "*.apps.example.com", "ok.example.com"] }),
      ),
  ],
  [
    "P6",
    () =>
      istio(
        { split_headers: true },
        get("/x"),
        true,
        { action: "DENY", rules: [{ when: [{ key: "request.headers[x-debug]", values: ["on"] }] }] },
        ALLOW_ALL,
      ),
  ],
  [
    "P7",
    () =>
      rego(
        `${HEADER_VALUES}\ndefault allow := false\n\nallow if {\n\tvalues("x-tier") == {"gold"}\n\ttimes("x-tier") <= 1\n}\n`,
        get("/x", { headers: { "x-tier": "gold" } }),
      ),
  ],
  [
    "P7N",
    () => rego("denied if _ = http.headers.constructor\n\nallow if not denied\n", get("/x", { headers: { a: "1" } })),
  ],
  [
    "P7R",
    () =>
      rego(
        `${HEADER_VALUES}\ndenied if {\n\tsome value in values("x-note")\n\tregex.match("evil", value)\n}\n\nallow if not denied\n`,
        get("/x"),
      ),
  ],
  [
    "P8",
    () => ({
      documents: [
        tokens(),
        policy(
          {
            action: "ALLOW",
            rules: [
              { from: [{ source: { requestPrincipals: ["*"] } }], to: [{ operation: { paths: ["/api/*"] } }] },
              {
                to: [{ operation: { paths: ["/admin/*"] } }],
                when: [{ key: "request.auth.claims[role]", values: ["admin"] }],
              },
              { to: [{ operation: { paths: ["/open"] } }] },
            ],
          },
          0,
        ),
      ],
      cardea: {
        mesh: WORKLOAD,
        identity: {
          require_exp: true,
          algorithms: ["RS256", "ES256"],
          audience_status: 401,
          missing_token_status: 401,
        },
      },
      good: get("/open"),
      goodIsAllowed: true,
    }),
  ],
  ["P9", () => istio({}, get("/x", {}, from("10.1.2.3")), true, allowFrom({ ipBlocks: ["10.0.0.0/8"] }))],
  [
    "P9D",
    () =>
      istio(
        {},
        get("/x", {}, from("10.1.2.3")),
        true,
        denyFrom({ ipBlocks: ["203.0.113.0/24", "2001:db8::/32"] }),
        ALLOW_ALL,
      ),
  ],
  [
    "P10",
    () =>
      istio(
        {},
        get("/x", {}, { principal: CERT_MANAGER }),
        true,
        allowFrom({ principals: ["cluster.local/ns/prod/sa/cert-manager.io"] }),
      ),
  ],
  [
    "P10S",
    () =>
      istio(
        {},
        get("/x", {}, { principal: CERT_MANAGER }),
        true,
        allowFrom({ serviceAccounts: ["prod/cert-manager.io"] }),
      ),
  ],
  [
    "P10N",
    () =>
      istio(
        { strict_spiffe: true },
        get("/x", {}, { principal: CERT_MANAGER }),
        true,
        allowFrom({ namespaces: ["prod"] }),
      ),
  ],
  [
    "P10D",
    () =>
      istio(
        {},
        get("/x", {}, { principal: CERT_MANAGER }),
        true,
        denyFrom({ principals: ["*/ns/ns1/sa/foo"] }),
        ALLOW_ALL,
      ),
  ],
  [
    "P11",
    () =>
      rego(
        ORDERS(
          "is_number(input.parsed_body.amount)\n\tinput.parsed_body.amount <= 100\n\tinput.truncated_body == false",
        ),
        order('{"amount": 5}'),
        { duplicate_members: "deny" },
      ),
  ],
  ["P11A", () => rego(ORDERS("input.parsed_body.approved == true"), order('{"approved": true}'))],
  ["P11B", () => rego(ORDERS("input.parsed_body.account == 9007199254740993"), order('{"account": 9007199254740993}'))],
  [
    "P12",
    () => ({
      ...rego(
        'default allow := false\n\nallow := {"allowed": true, "headers": {"x-user": input.cardea.identity.claims.name}} if {\n\thttp.method == "GET"\n\thttp.path == "/api/me"\n}\n\nallow if http.path == "/open"\n',
        get("/open"),
      ),
      documents: [tokens()],
      cardea: { mesh: WORKLOAD },
    }),
  ],
  [
    "P13",
    () =>
      rego(
        `default allow := false\n\nallow if regex.match(\`\\A/v[0-9]+/public/.*\\z\`, ${withoutQuery})\n`,
        get("/v1/public/a"),
      ),
  ],
  [
    "P13P",
    () => rego(`default allow := false\n\nallow if regex.match(\`^/[[:alpha:]]+$\`, ${withoutQuery})\n`, get("/abc")),
  ],
  [
    "P14",
    () => ({
      ...rego(
        'default allow := false\n\nallow if input.attributes.contextExtensions.tenant == "a"\n',
        encodeRequest({
          attributes: { contextExtensions: { tenant: "a" }, request: { http: { method: "GET", path: "/" } } },
        }),
      ),
    }),
  ],
  [
    "Rego:",
    () =>
      rego(
        'default allow := false\n\nallow := {"allowed": true, "headers": {http.headers["x-name"]: "1"}} if http.headers["x-name"]\n',
        get("/x", { headers: { "x-name": "x-ok" } }),
      ),
  ],
]);
