import { createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { jwtVerify } from "jose";
import { type Call, Decider } from "../../src/decision/index.ts";
import { DecisionRecorder } from "../../src/decision-log/index.ts";
import { Authenticator, identityDocument, type TokenRequest, type TokenRule } from "../../src/identity/index.ts";
import { readKeySet } from "../../src/identity/key-set.ts";
import { eligibleKeys, readToken, verifyWith } from "../../src/identity/verify.ts";
import { acceptsAudience, checkTimes } from "../../src/jwt/index.ts";
import { pathEntrypoint, PolicyStore, regoCompiler } from "../../src/policy/index.ts";
import type { JsonObject } from "../../src/rego/value/index.ts";
import { SILENT_LOGGER } from "../../src/telemetry/index.ts";

/** What policy documents and tokens cost. Ratios are medians over rounds that alternate with their yardstick. */
export interface DeclarativeFigures {
  readonly policies: readonly PolicyFigure[];
  /** The identity stage for a token seen before. */
  readonly knownTokenNs: number;
  /** The identity stage for a new one: found, verified, remembered. */
  readonly newToken: Comparison;
  /** Of that what a call of `jose` does: reading it, its claims and its signature. */
  readonly verification: Comparison;
}

export interface PolicyFigure extends Comparison {
  readonly name: string;
  /** Ten thousand policies, from their text to the first decision. */
  readonly loadMs: number;
  readonly loadProcessorMs: number;
}

/** `ours` and `yardstick` in nanoseconds of processor. */
export interface Comparison {
  readonly ours: number;
  readonly yardstick: number;
  readonly ratio: number;
}

const MANY = 10_000;
const FEW = 10;
const ROUNDS = 15;
const ROUND_MS = 40;

export async function benchDeclarative(): Promise<DeclarativeFigures> {
  // The first decision of a process pays for code that is compiled once.
  deciderOf(SHAPES[0] as Shape, FEW);
  const policies: PolicyFigure[] = [];
  for (const shape of SHAPES) policies.push(await benchPolicies(shape));
  return { policies, ...(await benchTokens()) };
}

async function benchPolicies(shape: Shape): Promise<PolicyFigure> {
  const few = deciderOf(shape, FEW);
  const many = deciderOf(shape, MANY);
  const call: Call = { deadlineMs: Number.POSITIVE_INFINITY, isCancelled: () => false };
  const asking = ({ decider }: typeof few, count: number) => {
    const inputs = Array.from({ length: 10 }, (_, k) => inputOf(shape, Math.floor((k * count) / 10)));
    let next = 0;
    return async (): Promise<void> => {
      const input = inputs[next++ % inputs.length] as JsonObject;
      const subject = { input, attributes: input["attributes"] as JsonObject };
      const { outcome } = await decider.open(call).rule(subject);
      if (outcome.kind !== "mesh" || outcome.decision.by === undefined)
        throw new Error(`${shape.name}: no policy decided`);
    };
  };
  const { loadMs, loadProcessorMs } = many;
  const compared = await compare(asking(many, MANY), asking(few, FEW));
  return { name: shape.name, loadMs, loadProcessorMs, ...compared };
}

/** Alternates two tasks round by round. */
async function compare(ours: () => Promise<void>, yardstick: () => Promise<void>): Promise<Comparison> {
  const rounds: { ours: number; yardstick: number }[] = [];
  for (let i = -3; i < ROUNDS; i++) {
    const round = { ours: await roundOf(ours), yardstick: await roundOf(yardstick) };
    // The first few only warm up.
    if (i >= 0) rounds.push(round);
  }
  return {
    ours: median(rounds.map((round) => round.ours)),
    yardstick: median(rounds.map((round) => round.yardstick)),
    ratio: median(rounds.map((round) => round.ours / round.yardstick)),
  };
}

/** Nanoseconds of processor per call: on a busy machine the time on the clock says little of the work. */
async function roundOf(task: () => Promise<void>): Promise<number> {
  let calls = 0;
  const started = process.cpuUsage();
  const until = performance.now() + ROUND_MS;
  while (performance.now() < until) {
    for (let i = 0; i < 32; i++) await task();
    calls += 32;
  }
  return processorNs(started) / calls;
}

function processorNs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) * 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

function deciderOf(
  shape: Shape,
  count: number,
): { readonly decider: Decider; readonly loadMs: number; readonly loadProcessorMs: number } {
  const text = policies(shape, count);
  const startedMs = performance.now();
  const processor = process.cpuUsage();
  const store = new PolicyStore(regoCompiler({ version: "v1", keepPrint: false }));
  const recorder = new DecisionRecorder({
    labels: {},
    sinks: [],
    evaluateDrop: () => undefined,
    evaluateMask: () => undefined,
    logger: SILENT_LOGGER,
  });
  const decider = new Decider({
    store,
    recorder,
    entrypoint: pathEntrypoint("envoy/authz/allow"),
    path: "envoy/authz/allow",
    query: "",
    limits: { evaluationMs: 10_000, evaluationSteps: 1e9 },
    runtime: {},
    env: {},
    io: () => Promise.reject(new Error("no policy here needs it")),
    logger: SILENT_LOGGER,
    keepsNdResults: false,
    timeFromRequest: false,
  });
  decider.warm(store.updateBase({ modules: [], data: {}, declarations: [{ file: "policies.yaml", text }] }));
  const loadMs = performance.now() - startedMs;
  return { decider, loadMs, loadProcessorMs: processorNs(processor) / 1e6 };
}

const ISSUER = "https://issuer.test";
const AUDIENCE = "orders";
const TOKENS = 1500;
/** Before the rounds that count, all tokens are verified so many times, for V8 to know the code. */
const WARM_UP = 3;

async function benchTokens(): Promise<Omit<DeclarativeFigures, "policies">> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const publicKey = createPublicKey(privateKey);
  const jwks = JSON.stringify({
    keys: [{ ...publicKey.export({ format: "jwk" }), kid: "a", alg: "RS256", use: "sig" }],
  });
  const rule: TokenRule = {
    issuer: ISSUER,
    audiences: [AUDIENCE],
    jwks,
    jwksUri: "",
    timeoutMs: 1000,
    fromHeaders: [],
    fromParams: [],
    fromCookies: [],
    forwardOriginalToken: false,
    outputPayloadToHeader: "",
    outputClaimToHeaders: [{ header: "x-role", claim: "role" }],
    spaceDelimitedClaims: [],
  };
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const header = part({ alg: "RS256", kid: "a", typ: "JWT" });
  const tokens = Array.from({ length: TOKENS }, (_, i) => {
    const claims = {
      iss: ISSUER,
      sub: `user-${i}`,
      aud: AUDIENCE,
      exp: 4_102_444_800,
      role: "admin",
      scope: "read write",
    };
    const signed = `${header}.${part(claims)}`;
    return `${signed}.${sign("sha256", Buffer.from(signed), privateKey).toString("base64url")}`;
  });
  const requestOf = (token: string): TokenRequest => ({
    method: "GET",
    path: "/orders?page=2",
    headers: { ":authority": "api", "user-agent": "curl/8", accept: "*/*", authorization: `Bearer ${token}` },
  });

  const authenticator = new Authenticator();
  const rules = [rule];
  await authenticator.configure(rules);
  const known = requestOf(tokens[0] as string);
  await authenticator.authenticate(rules, known);
  const seen = (): void => {
    const authentication = authenticator.authenticate(rules, known);
    if (authentication instanceof Promise || authentication.kind !== "authenticated") throw new Error("not remembered");
    identityDocument(authentication.identity);
  };
  const known1 = await compare(
    async () => seen(),
    async () => undefined,
  );

  const keys = readKeySet(jwks, { maxKeys: 1, isRemote: true });
  const rounds: { stage: number; verification: number; yardstick: number }[] = [];
  const size = Math.floor(TOKENS / ROUNDS);
  for (let i = 0; i < (WARM_UP + 1) * ROUNDS; i++) {
    const batch = tokens.slice((i % ROUNDS) * size, ((i % ROUNDS) + 1) * size);
    // A memory of its own for each round: every token is new to it.
    const fresh = new Authenticator();
    await fresh.configure(rules);
    const stage = await each(batch, async (token) => {
      const authentication = await fresh.authenticate(rules, requestOf(token));
      if (authentication.kind !== "authenticated") throw new Error("refused");
    });
    const verification = await each(batch, async (token) => {
      const parsed = readToken(token, { maxTokenLength: 16_384, maxDepth: 32 });
      checkTimes(parsed.registered, Date.now() / 1000, 60);
      if (parsed.registered.issuer !== ISSUER || !acceptsAudience(parsed.registered.audiences, [AUDIENCE])) {
        throw new Error("refused");
      }
      await verifyWith(eligibleKeys(keys, parsed, ["RS256"]), parsed);
    });
    const yardstick = await each(batch, async (token) => {
      await jwtVerify(token, publicKey, { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"] });
    });
    rounds.push({ stage, verification, yardstick });
    fresh.stop();
  }
  authenticator.stop();
  const measured = rounds.slice(WARM_UP * ROUNDS);
  const beside = (part: "stage" | "verification"): Comparison => ({
    ours: median(measured.map((round) => round[part])),
    yardstick: median(measured.map(({ yardstick }) => yardstick)),
    ratio: median(measured.map((round) => round[part] / round.yardstick)),
  });
  return { knownTokenNs: known1.ours, newToken: beside("stage"), verification: beside("verification") };
}

async function each<T>(items: readonly T[], task: (item: T) => Promise<void>): Promise<number> {
  const started = process.cpuUsage();
  for (const item of items) await task(item);
  return processorNs(started) / items.length;
}

/** Policies of one kind: what they are filed by in the tables must not matter. */
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
