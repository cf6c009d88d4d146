// Writes dist/cardea.cache: V8's compiled form of dist/cardea.cjs, with the functions that starting a server compiles.
// Without it the program does the same, only later; so what goes wrong here is told, and the build goes on.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { setFlagsFromString } from "node:v8";
import { Script } from "node:vm";

/** Enough of the language that the compiler's passes have run once. */
const POLICY = `package warm

import data.grants

default allow := false

allow if {
	some grant in grants[input.attributes.source.principal]
	input.attributes.request.http.method in grant.methods
	startswith(input.attributes.request.http.path, grant.prefix)
}

allow if {
	[_, token] := split(input.attributes.request.http.headers.authorization, " ")
	[_, payload, _] := io.jwt.decode(token)
	every role in payload.roles { role != "none" }
	not denied[payload.sub]
}

denied contains name if {
	some name, entry in data.users
	entry.left == true
}

answer := {"allowed": allow, "headers": {"x-by": sprintf("%v", [count(denied)])}}
`;
/** The other front end, and the rules behind it. */
const DOCUMENTS = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: warm, namespace: warm}
spec:
  rules:
  - from:
    - source: {principals: [cluster.local/ns/warm/sa/web], notNamespaces: [dev]}
    to:
    - operation: {methods: [GET], paths: ["/a/*"], hosts: [a.example.com]}
    when:
    - {key: "request.headers[x-a]", values: [a]}
    - {key: "request.auth.claims[role]", values: [admin]}
    - {key: source.ip, values: [10.0.0.0/8]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: warm, namespace: warm}
spec: {mtls: {mode: STRICT}}
`;
const DEADLINE_MS = 20_000;

const file = resolve("dist/cardea.cjs");
const text = readFileSync(file);
// As src/main.ts: V8 takes a cache only under the flags it was made with.
setFlagsFromString("--no-allocation-site-pretenuring");
const script = new Script(text.toString("utf8"), { filename: file });
const module = { exports: {} };
script.runInThisContext()(module.exports, createRequire(file), module, pathToFileURL(file).href);

const folder = mkdtempSync(join(tmpdir(), "cardea-build-"));
const deadline = setTimeout(() => {
  console.error("code cache: a server did not start in time; none is written");
  process.exit(0);
}, DEADLINE_MS);
try {
  writeFileSync(join(folder, "policy.rego"), POLICY);
  writeFileSync(join(folder, "documents.yaml"), DOCUMENTS);
  writeFileSync(join(folder, "data.json"), '{"grants": {}, "users": {}}');
  await serveOnce();
  const digest = createHash("sha256").update(text).digest();
  writeFileSync("dist/cardea.cache", Buffer.concat([digest, script.createCachedData()]));
} catch (error) {
  console.error("code cache:", error);
} finally {
  clearTimeout(deadline);
  rmSync(folder, { recursive: true });
}

/** Runs a server until it listens, and ends it the way its users do. */
async function serveOnce() {
  const port = "--set=plugins.envoy_ext_authz_grpc.addr=127.0.0.1:0";
  const path = "--set=plugins.envoy_ext_authz_grpc.path=warm/answer";
  const log = "--set=decision_logs.console=true";
  const terminal = { out: () => {}, err: (line) => console.error(line), input: async () => "", env: {} };
  const args = ["run", "--server", "--addr=127.0.0.1:0", port, path, log, "--log-level=error", folder];
  const stopped = module.exports.runCli(args, terminal);
  const listening = setInterval(() => {
    if (process.getActiveResourcesInfo().filter((name) => name === "TCPServerWrap").length >= 2) {
      clearInterval(listening);
      process.kill(process.pid, "SIGTERM");
    }
  }, 20);
  const code = await stopped;
  clearInterval(listening);
  if (code !== 0) throw new Error(`a server ended with ${code}`);
}
