import { join, relative } from "node:path";
import { loadPaths } from "../policy/index.ts";
import { type Addresses, packageRoot } from "../server/index.ts";
import type { Command } from "./command.ts";
import { serve, type ServeSettings } from "./serve.ts";
import type { Terminal } from "./terminal.ts";

const PATH = "envoy/authz/decision";

export const startCommand: Command = {
  usage: "start",
  about: "Serve the policies that come with this program, on this machine only",
  help: "Serve the policies that come with this program on loopback addresses, and print requests to try.",
  flags: [
    { name: "grpc-addr", kind: "string", default: "127.0.0.1:9191", about: "listening address for checks" },
    { name: "addr", short: "a", kind: "string", default: "127.0.0.1:8181", about: "listening address of the HTTP API" },
    {
      name: "diagnostic-addr",
      kind: "string",
      default: "127.0.0.1:8282",
      about: "listening address for /health and /metrics",
    },
    { name: "decision-logs", kind: "bool", about: "print every decision" },
  ],
  run(values, terminal) {
    const policies = join(packageRoot(), "policies");
    const settings: ServeSettings = {
      ...DEFAULTS,
      paths: [policies],
      // The mesh's policies among them ask for a destination, which the requests below have none of.
      ignore: ["istio"],
      addrs: [values.string("addr") ?? ""],
      diagnosticAddrs: [values.string("diagnostic-addr") ?? ""],
      set: [
        `plugins.envoy_ext_authz_grpc.addr=${values.string("grpc-addr")}`,
        `plugins.envoy_ext_authz_grpc.path=${PATH}`,
        "plugins.envoy_ext_authz_grpc.enable-reflection=true",
        `decision_logs.console=${values.bool("decision-logs")}`,
      ],
    };
    return serve(settings, terminal, (addresses) => {
      greet(terminal, policies, addresses).catch((cause: unknown) => terminal.err(`${String(cause)}\n`));
    });
  },
};

const DEFAULTS: Omit<ServeSettings, "paths" | "addrs" | "diagnosticAddrs" | "set"> = {
  isServer: true,
  unixSocketMode: 0o755,
  configFile: undefined,
  setFile: [],
  isBundle: false,
  ignore: [],
  isWatching: true,
  logLevel: "error",
  logFormat: "text",
  logTimestampFormat: "",
  regoVersion: "v1",
  graceSeconds: 10,
  waitSeconds: 0,
  readyTimeoutSeconds: 0,
  maxErrors: 10,
  workers: 1,
  workerTimeoutSeconds: 0,
  workerHeapMiB: 0,
  authentication: "off",
  authorization: "off",
  tls: { certFile: undefined, keyFile: undefined, caFile: undefined, minVersion: "1.2", cipherSuites: [] },
  verification: { key: undefined, keyId: "default", algorithm: "RS256", scope: "", exclude: [], isSkipped: false },
};

async function greet(terminal: Terminal, policies: string, addresses: Addresses): Promise<void> {
  const { modules } = await loadPaths([policies], { ignore: ["istio"] });
  const names = modules.map(({ file }) => relative(process.cwd(), file)).filter((file) => !file.endsWith("_test.rego"));
  const { grpc } = addresses;
  if (grpc === undefined) {
    terminal.err("error: the port for checks could not be opened\n");
    return;
  }
  const call = (request: string): string =>
    `  grpcurl -plaintext -d '${request}' \\\n    ${grpc} envoy.service.auth.v3.Authorization/Check\n`;
  terminal.out(`Cardea is serving.

  checks       grpc://${grpc}
  API          http://${addresses.api.join(", http://")}
  diagnostics  http://${addresses.diagnostic.join(", http://")}  (/health, /metrics)

Policies, watched for changes; the decision is ${PATH}:

${names.map((name) => `  ${name}\n`).join("")}
Allowed:

${call('{"attributes": {"request": {"http": {"method": "GET", "path": "/healthz"}}}}')}
Denied:

${call('{"attributes": {"request": {"http": {"method": "GET", "path": "/orders"}}}}')}
Stop with Ctrl-C.
`);
}
