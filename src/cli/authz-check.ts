import {
  applyingPolicies,
  type Destination,
  DESTINATION_PATH,
  type IstioExplanation,
  type IstioProgram,
  EXPLANATION_PATH,
  explanationText,
  toDestination,
  toIstioExplanation,
} from "../istio/index.ts";
import { compile } from "../rego/engine/index.ts";
import { nodeBuiltins } from "../rego/node.ts";
import { isObject, type JsonObject, type Value } from "../rego/value/index.ts";
import type { Command } from "./command.ts";
import { CommandError } from "./command-error.ts";
import { type Flag, type FlagValues, UsageError } from "./flags.ts";
import { compileIstioPaths, MESH_FLAGS, meshOf } from "./istio-files.ts";
import { prettyJson } from "./output.ts";
import { readDocument, readTextFile } from "./documents.ts";
import type { Terminal } from "./terminal.ts";
import { FORMAT_FLAG } from "./usual-flags.ts";

const FLAGS: readonly Flag[] = [
  ...MESH_FLAGS,
  {
    name: "request",
    short: "r",
    kind: "string",
    about: "file with a CheckRequest or an input document; - for standard input",
  },
  {
    name: "source",
    short: "s",
    kind: "string",
    about: "who asks: <namespace>/<service account> or a SPIFFE ID; leave it out for plaintext",
  },
  { name: "to", short: "t", kind: "string", about: "who is asked: <namespace>/<service account> or a SPIFFE ID" },
  {
    name: "label",
    short: "l",
    kind: "list",
    about: "label of the workload that is asked, name=value. This flag can be repeated.",
  },
  { name: "method", short: "X", kind: "string", default: "GET", about: "HTTP method" },
  { name: "path", short: "p", kind: "string", default: "/", about: "HTTP path, with its query" },
  { name: "host", kind: "string", about: "host of the request" },
  { name: "header", short: "H", kind: "list", about: "header, name=value. This flag can be repeated." },
  { name: "port", kind: "int", default: "8080", about: "port of the workload that is asked" },
  { name: "source-ip", kind: "string", default: "127.0.0.1", about: "address of the direct peer" },
  { name: "claims", kind: "string", about: "claims of a verified token, as JSON" },
  { name: "tcp", kind: "bool", about: "a TCP connection instead of an HTTP request" },
  FORMAT_FLAG,
  { name: "fail", kind: "bool", about: "exits with 1 when the request is denied" },
];

export const authzCheckCommand: Command = {
  usage: "authz-check <path> [path [...]]",
  about: "Decide one request by Istio policies, and say why",
  help: `Decide one request by the Istio policies at some paths, and say which rule decided.
For a denial it names the rules that came nearest and what the request lacked. The policies for the destination
follow, in the order they are asked, each with what makes it apply.

  cardea authz-check policies/ --source prod/frontend --to prod/api --label app=api --path /api/orders`,
  flags: FLAGS,
  run: authzCheck,
};

async function authzCheck(values: FlagValues, terminal: Terminal): Promise<number> {
  if (values.positional.length === 0) throw new UsageError("specify at least one file");
  const mesh = meshOf(values);
  const program = await compileIstioPaths(values.positional, mesh);
  const file = values.string("request");
  const input = file === undefined ? inputOfFlags(values, mesh.trustDomain) : await readRequest(file, terminal);
  const { explanation, destination } = explain(program, input);
  const policies = applyingPolicies(program.documents, mesh, destination, input);
  terminal.out(
    values.string("format") === "json"
      ? prettyJson({ ...explanation, policies } as unknown as JsonObject)
      : explanationText(explanation, program.documents, policies),
  );
  return values.bool("fail") && !explanation.decision.allowed ? 1 : 0;
}

function explain(
  program: IstioProgram,
  input: JsonObject,
): { readonly explanation: IstioExplanation; readonly destination: Destination } {
  if (program.rateLimits.length > 0) {
    // A count means nothing here: a request alone is always within its limit.
    const modules = program.modules.map(({ file, text }) => ({
      file,
      text: text.replace("cardea.ratelimit.allow(name, key)", "is_string(key)"),
    }));
    return explain({ ...program, modules, rateLimits: [] }, input);
  }
  const policy = compile({
    modules: program.modules,
    builtins: nodeBuiltins,
    data: { cardea: { tables: program.tables } },
  });
  const explanation = toIstioExplanation(policy.entrypoint(EXPLANATION_PATH).value({ input }));
  const destination = toDestination(policy.entrypoint(DESTINATION_PATH).value({ input }));
  if (explanation === undefined || destination === undefined) throw new CommandError("the policies gave no decision");
  return { explanation, destination };
}

async function readRequest(file: string, terminal: Terminal): Promise<JsonObject> {
  const text = file === "-" ? await terminal.input() : await readTextFile(file);
  const document = await readDocument(text, file);
  if (!isObject(document)) throw new CommandError(`${file}: a request is an object with attributes`);
  return document as JsonObject;
}

function inputOfFlags(values: FlagValues, trustDomain: string): JsonObject {
  const source = identityOf(values, "source", trustDomain);
  const destination = identityOf(values, "to", trustDomain);
  const labels = pairsOf(values, "label");
  const claims = claimsOf(values);
  const host = values.string("host") ?? hostOf(values.string("to"));
  const method = values.string("method") ?? "GET";
  const path = values.string("path") ?? "/";
  const headers = Object.fromEntries(
    Object.entries(pairsOf(values, "header")).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const pseudo = { ":authority": host, ":method": method, ":path": path, ":scheme": "http" };
  const peer = (address: string, portValue: number, principal: string | undefined): JsonObject => ({
    address: { socketAddress: { address, portValue } },
    ...(principal !== undefined && { principal }),
  });
  return {
    attributes: {
      source: peer(values.string("source-ip") ?? "127.0.0.1", 0, source),
      destination: {
        ...peer("127.0.0.1", values.int("port"), destination),
        ...(Object.keys(labels).length > 0 && { labels }),
      },
      request: values.bool("tcp")
        ? {}
        : { http: { method, path, host, scheme: "http", headers: { ...pseudo, ...headers } } },
    },
    ...(claims !== undefined && { cardea: { identity: { claims } } }),
  };
}

function identityOf(values: FlagValues, flag: string, trustDomain: string): string | undefined {
  const text = values.string(flag);
  if (text === undefined || text === "" || text.startsWith("spiffe://")) return text === "" ? undefined : text;
  const [namespace, account, ...more] = text.split("/");
  if (account === undefined || more.length > 0 || namespace === "" || account === "") {
    throw new UsageError(`--${flag} must be <namespace>/<service account> or a SPIFFE ID, not ${JSON.stringify(text)}`);
  }
  return `spiffe://${trustDomain}/ns/${namespace as string}/sa/${account}`;
}

function hostOf(to: string | undefined): string {
  const match = /^([^/]+)\/([^/]+)$/.exec(to ?? "");
  return match === null ? "localhost" : `${match[2] as string}.${match[1] as string}.svc.cluster.local`;
}

function pairsOf(values: FlagValues, flag: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    values.list(flag).map((text) => {
      const equals = text.indexOf("=");
      if (equals < 1) throw new UsageError(`--${flag} must be name=value, not ${JSON.stringify(text)}`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

function claimsOf(values: FlagValues): Value | undefined {
  const text = values.string("claims");
  if (text === undefined) return undefined;
  try {
    const claims = JSON.parse(text) as Value;
    if (isObject(claims)) return claims;
  } catch {
    // Said below.
  }
  throw new UsageError(`--claims must be a JSON object, not ${JSON.stringify(text)}`);
}
