import { WIRE_LENGTH, WIRE_VARINT } from "./reader.ts";

/** How a field travels and what becomes of it. Lists and maps say so beside. */
export type FieldKind = "string" | "bytes" | "int64" | "uint32" | "int32" | "bool" | "message" | "struct";

export interface Field {
  /** The JSON name: what policies see. */
  readonly name: string;
  readonly kind: FieldKind;
  readonly wireType: number;
  readonly message: MessageType | undefined;
  readonly shape: "list" | "map" | undefined;
  /** Members of one oneof exclude each other and are kept even at their default value. */
  readonly oneof: string | undefined;
}

/** Fields by number; the numbers of these messages are small. */
export type MessageType = readonly (Field | undefined)[];

type FieldTraits = Partial<Pick<Field, "message" | "shape" | "oneof">>;
type FieldRow = readonly [number: number, name: string, kind: FieldKind, traits?: FieldTraits];

function message(...rows: readonly FieldRow[]): MessageType {
  const fields: (Field | undefined)[] = [];
  for (const [number, name, kind, { message, shape, oneof } = {}] of rows) {
    while (fields.length < number) fields.push(undefined);
    const wireType = shape === undefined && VARINT_KINDS.has(kind) ? WIRE_VARINT : WIRE_LENGTH;
    fields.push({ name, kind, wireType, message, shape, oneof });
  }
  return fields;
}

const VARINT_KINDS: ReadonlySet<FieldKind> = new Set(["int64", "int32", "uint32", "bool"]);

function one(type: MessageType): FieldTraits {
  return { message: type };
}

const TEXT_MAP: FieldTraits = { shape: "map" };

// The messages of proto/envoy, field by field; test/ext-authz/wire holds the two against each other.
// biome-ignore format: table
const TIMESTAMP = message([1, "seconds", "int64"], [2, "nanos", "int32"]);
// biome-ignore format: table
const ANY = message([1, "typeUrl", "string"], [2, "value", "bytes"]);
// biome-ignore format: table
const METADATA = message(
  [1, "filterMetadata",      "struct",  { shape: "map" }],
  [2, "typedFilterMetadata", "message", { shape: "map", message: ANY }],
);
// biome-ignore format: table
const SOCKET_ADDRESS = message(
  [1, "protocol",                 "int32"],
  [2, "address",                  "string"],
  [3, "portValue",                "uint32", { oneof: "port" }],
  [4, "namedPort",                "string", { oneof: "port" }],
  [5, "resolverName",             "string"],
  [6, "ipv4Compat",               "bool"],
  [7, "networkNamespaceFilepath", "string"],
);
// biome-ignore format: table
const PIPE = message([1, "path", "string"], [2, "mode", "uint32"]);
// biome-ignore format: table
const ENVOY_INTERNAL_ADDRESS = message(
  [1, "serverListenerName", "string", { oneof: "name" }],
  [2, "endpointId",         "string"],
);
// biome-ignore format: table
const ADDRESS = message(
  [1, "socketAddress",        "message", { oneof: "address", message: SOCKET_ADDRESS }],
  [2, "pipe",                 "message", { oneof: "address", message: PIPE }],
  [3, "envoyInternalAddress", "message", { oneof: "address", message: ENVOY_INTERNAL_ADDRESS }],
);
// biome-ignore format: table
const PEER = message(
  [1, "address",     "message", one(ADDRESS)],
  [2, "service",     "string"],
  [3, "labels",      "string",  TEXT_MAP],
  [4, "principal",   "string"],
  [5, "certificate", "string"],
);
// biome-ignore format: table
const HEADER_VALUE = message([1, "key", "string"], [2, "value", "string"], [3, "rawValue", "bytes"]);
// biome-ignore format: table
const HEADER_MAP = message([1, "headers", "message", { shape: "list", message: HEADER_VALUE }]);
// biome-ignore format: table
const HTTP_REQUEST = message(
  [1,  "id",        "string"],
  [2,  "method",    "string"],
  [3,  "headers",   "string",  TEXT_MAP],
  [4,  "path",      "string"],
  [5,  "host",      "string"],
  [6,  "scheme",    "string"],
  [7,  "query",     "string"],
  [8,  "fragment",  "string"],
  [9,  "size",      "int64"],
  [10, "protocol",  "string"],
  [11, "body",      "string"],
  [12, "rawBody",   "bytes"],
  [13, "headerMap", "message", one(HEADER_MAP)],
);
// biome-ignore format: table
const REQUEST = message([1, "time", "message", one(TIMESTAMP)], [2, "http", "message", one(HTTP_REQUEST)]);
// biome-ignore format: table
const TLS_SESSION = message([1, "sni", "string"]);
// biome-ignore format: table
const ATTRIBUTE_CONTEXT = message(
  [1,  "source",               "message", one(PEER)],
  [2,  "destination",          "message", one(PEER)],
  [4,  "request",              "message", one(REQUEST)],
  [10, "contextExtensions",    "string",  TEXT_MAP],
  [11, "metadataContext",      "message", one(METADATA)],
  [12, "tlsSession",           "message", one(TLS_SESSION)],
  [13, "routeMetadataContext", "message", one(METADATA)],
);

/** envoy.service.auth.v3.CheckRequest */
export const CHECK_REQUEST: MessageType = message([1, "attributes", "message", one(ATTRIBUTE_CONTEXT)]);
