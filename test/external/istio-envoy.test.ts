import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import tls from "node:tls";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/rego/value/index.ts";
import { type PlainPolicy, toRbacFilters, Untranslatable } from "../support/envoy-rbac.ts";
import { type IstioCase, inputOf, readIstioCases } from "../support/istio-cases.ts";

const run = promisify(execFile);
/** A real Envoy: CARDEA_ENVOY, or what PATH has. Certificates are made by the openssl program. */
const envoy = process.env["CARDEA_ENVOY"] ?? "envoy";
const isThere = await run(envoy, ["--version"]).then(
  () => true,
  () => false,
);
if (!isThere && process.env["CI"] !== undefined) throw new Error("no envoy: set CARDEA_ENVOY");
if (!isThere) console.log("skipped: no envoy (set CARDEA_ENVOY)");

interface Http {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Asked {
  readonly tc: IstioCase;
  readonly filters: readonly unknown[];
  readonly http: Http;
  /** Empty: no client certificate. */
  readonly principal: string;
}

/** What the proxy would be asked in a case, as far as one request to a listener can show it. */
function toAsked(tc: IstioCase): Asked | undefined {
  const policies = tc.policies as readonly PlainPolicy[];
  if (policies.some(({ kind }) => kind !== "AuthorizationPolicy") || tc.mesh !== undefined || tc.workload !== undefined)
    return undefined;
  const isPlain = ({ spec, metadata }: PlainPolicy) =>
    spec.selector === undefined &&
    spec.targetRefs === undefined &&
    metadata.annotations === undefined &&
    ["default", "istio-system"].includes(metadata.namespace);
  const attributes = inputOf(tc)["attributes"] as unknown as {
    source: { principal?: string };
    destination: { principal?: string };
    request?: { http?: Http & { headerMap?: unknown } };
  };
  const http = attributes.request?.http;
  const principal = attributes.source.principal ?? "";
  const isOrdinary =
    http !== undefined &&
    http.headerMap === undefined &&
    http.path !== undefined &&
    attributes.destination.principal?.includes("/ns/default/") === true;
  if (!policies.every(isPlain) || !isOrdinary || (principal !== "" && !principal.startsWith("spiffe://")))
    return undefined;
  try {
    return { tc, filters: toRbacFilters(policies), http, principal };
  } catch (error) {
    if (error instanceof Untranslatable) return undefined;
    throw error;
  }
}

/** Cases that Envoy 1.40 answers otherwise, with its answer and why. */
const DIFFERENT: ReadonlyMap<string, { readonly status: number; readonly why: string }> = new Map([
  ["paths-005", { status: 400, why: "the connection manager refuses paths with a fragment before RBAC sees them" }],
  ["path-templates-023", { status: 200, why: "{*} matches a star since 1.40" }],
]);

const asked = isThere ? readIstioCases().flatMap((tc) => toAsked(tc) ?? []) : [];

/** jwt_authn splits these before it publishes the payload. */
function payloadOf(claims: JsonObject): unknown {
  const split = (value: unknown) =>
    typeof value === "string" && value.trim() !== "" ? value.split(" ").filter((part) => part !== "") : value;
  return Object.fromEntries(
    Object.entries(claims).map(([name, value]) => [
      name,
      name === "scope" || name === "permission" ? split(value) : value,
    ]),
  );
}

function listenerOf({ tc, filters }: Asked, folder: string): unknown {
  const claims = tc.jwt_claims;
  const metadata =
    claims === undefined
      ? []
      : [
          {
            name: "envoy.filters.http.set_metadata",
            typed_config: {
              "@type": "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config",
              metadata: [{ metadata_namespace: "envoy.filters.http.jwt_authn", value: { payload: payloadOf(claims) } }],
            },
          },
        ];
  const router = {
    name: "envoy.filters.http.router",
    typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
  };
  const manager = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "case",
    delayed_close_timeout: "0s",
    http_filters: [...metadata, ...filters, router],
    route_config: {
      virtual_hosts: [
        { name: "all", domains: ["*"], routes: [{ match: { prefix: "" }, direct_response: { status: 200 } }] },
      ],
    },
  };
  const file = (name: string) => ({ filename: path.join(folder, name) });
  const context = {
    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
    common_tls_context: {
      tls_certificates: [{ certificate_chain: file("server.crt"), private_key: file("server.key") }],
      validation_context: { trusted_ca: file("ca.crt") },
    },
  };
  return {
    name: tc.id,
    address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
    filter_chains: [
      {
        filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }],
        transport_socket: { name: "envoy.transport_sockets.tls", typed_config: context },
      },
    ],
  };
}

async function makeCertificates(folder: string, principals: readonly string[]): Promise<void> {
  const openssl = (...parameters: string[]) => run("openssl", parameters, { cwd: folder });
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await openssl("req", "-x509", ...curve, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca", "-days", "2");
  const issue = async (name: string, subject: string, san: string) => {
    writeFileSync(path.join(folder, `${name}.ext`), `subjectAltName=@san\n[san]\n${san}\n`);
    await openssl("req", ...curve, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", subject);
    await openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      "ca.crt",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      `${name}.ext`,
      "-out",
      `${name}.crt`,
    );
  };
  await issue("server", "/CN=server", "DNS.1=localhost");
  for (const [i, principal] of principals.entries()) await issue(`client${i}`, "/", `URI.1=${principal}`);
}

/** The status line of one raw request: nothing between the case and the proxy may tidy it up. */
function ask(port: number, { http }: Asked, options: tls.ConnectionOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options }, () => {
      const headers = Object.entries(http.headers).filter(([name]) => !name.startsWith(":") && name !== "host");
      const lines = [
        `${http.method} ${http.path} HTTP/1.1`,
        `host: ${http.host}`,
        ...headers.map(([name, value]) => `${name}: ${value}`),
        "connection: close",
        "",
        "",
      ];
      socket.write(lines.join("\r\n"));
    });
    let text = "";
    socket.setTimeout(10_000, () => socket.destroy(new Error("no answer")));
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(text)?.[1] ?? 0)));
  });
}

describe.skipIf(asked.length === 0)("a real Envoy's RBAC filter answers the cases alike", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "cardea-envoy-"));
  const principals = [...new Set(asked.map(({ principal }) => principal).filter((principal) => principal !== ""))];
  const ports = new Map<string, number>();
  let proxy: ChildProcess | undefined;

  beforeAll(async () => {
    await makeCertificates(folder, principals);
    const config = {
      admin: { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } },
      static_resources: { listeners: asked.map((one) => listenerOf(one, folder)) },
    };
    const file = path.join(folder, "envoy.json");
    const adminFile = path.join(folder, "admin");
    writeFileSync(file, JSON.stringify(config));
    let log = "";
    const child = spawn(
      envoy,
      [
        "-c",
        file,
        "--admin-address-path",
        adminFile,
        "--concurrency",
        "1",
        "--log-level",
        "error",
        "--use-dynamic-base-id",
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    proxy = child;
    child.stderr.on("data", (chunk) => {
      log += String(chunk);
    });
    const until = Date.now() + 60_000;
    for (;;) {
      if (child.exitCode !== null || Date.now() > until) throw new Error(`envoy did not start: ${log.slice(-3000)}`);
      const admin = existsSync(adminFile) ? readFileSync(adminFile, "utf8") : "";
      const ready =
        admin !== "" &&
        (await fetch(`http://${admin}/ready`).then(
          ({ ok }) => ok,
          () => false,
        ));
      if (ready) {
        const { listener_statuses: statuses } = (await (
          await fetch(`http://${admin}/listeners?format=json`)
        ).json()) as {
          listener_statuses: { name: string; local_address: { socket_address: { port_value: number } } }[];
        };
        for (const { name, local_address: local } of statuses) ports.set(name, local.socket_address.port_value);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }, 180_000);

  afterAll(() => {
    proxy?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  test("the differences are cases that are asked", () => {
    const ids = new Set(asked.map(({ tc }) => tc.id));
    expect([...DIFFERENT.keys()].filter((id) => !ids.has(id))).toEqual([]);
  });

  test("they are many", () => {
    expect(asked.length).toBeGreaterThanOrEqual(60);
  });

  test.for(asked)("$tc.id: $tc.why", async (one) => {
    const client = `client${principals.indexOf(one.principal)}`;
    const pem = (kind: string) => readFileSync(path.join(folder, `${client}.${kind}`));
    const options = one.principal === "" ? {} : { cert: pem("crt"), key: pem("key") };
    const status = await ask(ports.get(one.tc.id) as number, one, options);
    expect(status).toBe(DIFFERENT.get(one.tc.id)?.status ?? (one.tc.expect === "allow" ? 200 : 403));
  });
});
