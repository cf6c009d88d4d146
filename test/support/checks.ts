import protobuf from "protobufjs";
import { join } from "node:path";
import { Decider, type DeciderOptions } from "../../src/decision/index.ts";
import { type DecisionEvent, DecisionRecorder, type Sink } from "../../src/decision-log/index.ts";
import { AuthorizationService, type ServiceOptions } from "../../src/ext-authz/index.ts";
import { pathEntrypoint, PolicyStore, regoCompiler } from "../../src/policy/index.ts";
import type { JsonObject } from "../../src/rego/value/index.ts";
import { SILENT_LOGGER } from "../../src/telemetry/index.ts";

/** The message definitions in `proto/`, by another implementation than ours. */
export const protos = loadProtos();

function loadProtos(): protobuf.Root {
  const root = new protobuf.Root();
  const directory = join(import.meta.dirname, "../../proto");
  root.resolvePath = (_origin, target) => (target.startsWith("google/protobuf/") ? target : join(directory, target));
  root.loadSync(["envoy/service/auth/v3/external_auth.proto"]);
  root.resolveAll();
  return root;
}

export const CheckRequestType = protos.lookupType("envoy.service.auth.v3.CheckRequest");
const CheckResponseType = protos.lookupType("envoy.service.auth.v3.CheckResponse");

export function encodeRequest(message: object): Buffer {
  return Buffer.from(CheckRequestType.encode(CheckRequestType.fromObject(message)).finish());
}

export function httpRequest(http: object, source: object = {}): Buffer {
  return encodeRequest({ attributes: { source, request: { http } } });
}

/** A CheckResponse as plain JSON, only with what is set. */
export function decodeResponse(bytes: Buffer): ReplyDocument {
  const message = CheckResponseType.decode(bytes);
  const document = CheckResponseType.toObject(message, { enums: Number, longs: Number, json: true }) as ReplyDocument;
  return {
    ...document,
    ...(document.dynamicMetadata !== undefined && { metadata: plainStruct(document.dynamicMetadata) }),
  };
}

export interface ReplyDocument {
  readonly status: { readonly code?: number; readonly message?: string };
  readonly okResponse?: Readonly<Record<string, unknown>>;
  readonly deniedResponse?: {
    readonly status: { readonly code: number };
    readonly body?: string;
    readonly headers?: unknown;
  };
  readonly errorResponse?: { readonly status: { readonly code: number }; readonly body?: string };
  readonly dynamicMetadata?: StructDocument;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

interface StructDocument {
  readonly fields?: Readonly<Record<string, ValueDocument>>;
}

interface ValueDocument {
  readonly nullValue?: unknown;
  readonly numberValue?: number;
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly structValue?: StructDocument;
  readonly listValue?: { readonly values?: readonly ValueDocument[] };
}

function plainStruct(struct: StructDocument): Record<string, unknown> {
  return Object.fromEntries(Object.entries(struct.fields ?? {}).map(([key, value]) => [key, plainValue(value)]));
}

function plainValue(value: ValueDocument): unknown {
  if (value.structValue !== undefined) return plainStruct(value.structValue);
  if (value.listValue !== undefined) return (value.listValue.values ?? []).map(plainValue);
  return value.numberValue ?? value.stringValue ?? value.boolValue ?? null;
}

/** Keeps events, or refuses them. */
export class MemorySink implements Sink {
  readonly name = "memory";
  readonly events: JsonObject[] = [];
  failure: Error | undefined;

  put(event: JsonObject): void {
    if (this.failure !== undefined) throw this.failure;
    this.events.push(event);
  }

  async stop(): Promise<void> {}
}

export interface Bench {
  readonly service: AuthorizationService;
  readonly store: PolicyStore;
  readonly sink: MemorySink;
  readonly decisions: string[];
  readonly faults: string[];
}

export interface BenchOptions {
  readonly policy: string;
  readonly path?: string;
  readonly query?: string;
  readonly version?: "v0" | "v1";
  readonly service?: Partial<ServiceOptions>;
  readonly decider?: Partial<DeciderOptions>;
}

/** Everything between the wire and the log, without sockets. */
export function bench({
  policy,
  path = "envoy/authz/allow",
  query = "",
  version = "v1",
  service,
  decider,
}: BenchOptions): Bench {
  const store = new PolicyStore(regoCompiler({ version, keepPrint: true }));
  store.updateBase({ modules: policy === "" ? [] : [{ file: "policy.rego", text: policy }], data: {} });
  const sink = new MemorySink();
  const evaluator = (name: string) => (event: JsonObject) =>
    store.current.prepare(pathEntrypoint(`system/log/${name}`)).value({ input: event });
  const recorder = new DecisionRecorder({
    labels: { id: "test" },
    sinks: [sink],
    evaluateDrop: evaluator("drop"),
    evaluateMask: evaluator("mask"),
    logger: SILENT_LOGGER,
  });
  const faults: string[] = [];
  const decisions: string[] = [];
  return {
    store,
    sink,
    decisions,
    faults,
    service: new AuthorizationService(
      new Decider({
        store,
        recorder,
        entrypoint: query === "" ? pathEntrypoint(path) : { kind: "query", text: query },
        path,
        query,
        limits: { evaluationMs: 2000, evaluationSteps: 1_000_000 },
        runtime: {},
        env: {},
        io: async () => ({ error: "no network in tests" }),
        logger: SILENT_LOGGER,
        keepsNdResults: false,
        timeFromRequest: false,
        ...decider,
      }),
      { onError: "rpc_error", dryRun: false, guardsPaths: false, skipBody: false, grpcBodies: undefined, ...service },
      { decided: (verdict) => decisions.push(verdict), failed: (reason) => faults.push(reason) },
      SILENT_LOGGER,
    ),
  };
}

export const NO_DEADLINE = { deadlineMs: Number.POSITIVE_INFINITY, isCancelled: () => false };

export type { DecisionEvent };
