import { type NumberValue, parseNumber, setOwn, type Value } from "../../rego/value/index.ts";
import { WireError } from "../errors.ts";
import type { Field, FieldKind, MessageType } from "./messages.ts";
import { WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT, WireReader } from "./reader.ts";

/** Messages within messages, Struct's included. Envoy's own parser stops at 100 as well. */
const MAX_DEPTH = 100;

type Members = Record<string, Value>;

/**
 * Decodes a message straight into the document policies see: JSON names; defaults without presence left out; set messages
 * kept though empty; 64-bit integers as numbers; enums as numbers; bytes as base64; Struct as plain JSON. That is what the
 * plugin's reflective walk yields (envoyauth/protomap.go), and not protojson.
 *
 * @throws {WireError}
 */
export function decodeMessage(type: MessageType, bytes: Buffer): Members {
  const members: Members = {};
  decodeInto(members, type, new WireReader(bytes), bytes.length, 0);
  return members;
}

function decodeInto(members: Members, type: MessageType, reader: WireReader, end: number, depth: number): void {
  if (depth > MAX_DEPTH) throw new WireError("message is nested too deep");
  while (reader.at < end) {
    const tag = reader.tag();
    const field = type[tag >>> 3];
    if (field === undefined || (tag & 7) !== field.wireType) reader.skip(tag & 7);
    else readField(members, type, field, reader, depth);
  }
  endAt(reader, end);
}

/** What lies within a field must end with it, and not run on into what follows. */
function endAt(reader: WireReader, end: number): void {
  if (reader.at !== end) throw new WireError("unexpected end of message");
}

function readField(members: Members, type: MessageType, field: Field, reader: WireReader, depth: number): void {
  if (field.shape === "map") readEntry(members, field, reader, depth);
  else if (field.shape === "list") {
    members[field.name] ??= [];
    (members[field.name] as Value[]).push(readSingle(field, reader, depth, undefined));
  } else if (field.oneof !== undefined) {
    const value = readSingle(field, reader, depth, members[field.name]);
    for (const other of type) {
      if (other !== undefined && other.oneof === field.oneof && other !== field && members[other.name] !== undefined)
        delete members[other.name];
    }
    members[field.name] = value;
  } else {
    const value = readSingle(field, reader, depth, members[field.name]);
    // The last occurrence wins, and a default is no member: so it also removes what came before.
    if (!isDefault(value)) members[field.name] = value;
    else if (members[field.name] !== undefined) delete members[field.name];
  }
}

/** @param existing  An earlier occurrence of a message field: protobuf merges the two. */
function readSingle(field: Field, reader: WireReader, depth: number, existing: Value | undefined): Value {
  if (field.kind !== "message") return readScalar(field.kind, reader, depth);
  const end = reader.lengthEnd();
  const members = (existing ?? {}) as Members;
  decodeInto(members, field.message as MessageType, reader, end, depth + 1);
  return members;
}

function readEntry(members: Members, field: Field, reader: WireReader, depth: number): void {
  members[field.name] ??= {};
  const end = reader.lengthEnd();
  let key = "";
  let value: Value | undefined;
  while (reader.at < end) {
    const tag = reader.tag();
    if (tag === ((1 << 3) | WIRE_LENGTH)) key = reader.name();
    else if (tag === ((2 << 3) | WIRE_LENGTH)) value = readSingle(field, reader, depth + 1, undefined);
    else reader.skip(tag & 7);
  }
  endAt(reader, end);
  setOwn(members[field.name] as Members, key, value ?? (field.kind === "string" ? "" : {}));
}

function readScalar(kind: Exclude<FieldKind, "message">, reader: WireReader, depth: number): Value {
  switch (kind) {
    case "string":
      return reader.string();
    case "bytes":
      return reader.raw().toString("base64");
    case "int64":
      return reader.int64();
    case "int32":
      return reader.uint32() | 0;
    case "uint32":
      return reader.uint32();
    case "bool":
      return reader.bool();
    case "struct":
      return readStruct(reader, reader.lengthEnd(), depth + 1);
  }
}

function isDefault(value: Value): boolean {
  return value === "" || value === 0 || value === false;
}

/** google.protobuf.Struct */
function readStruct(reader: WireReader, end: number, depth: number): Value {
  if (depth > MAX_DEPTH) throw new WireError("message is nested too deep");
  const members: Members = {};
  while (reader.at < end) {
    const tag = reader.tag();
    if (tag !== ((1 << 3) | WIRE_LENGTH)) {
      reader.skip(tag & 7);
      continue;
    }
    const entryEnd = reader.lengthEnd();
    let key = "";
    let value: Value = null;
    while (reader.at < entryEnd) {
      const inner = reader.tag();
      if (inner === ((1 << 3) | WIRE_LENGTH)) key = reader.name();
      else if (inner === ((2 << 3) | WIRE_LENGTH)) value = readStructValue(reader, reader.lengthEnd(), depth);
      else reader.skip(inner & 7);
    }
    endAt(reader, entryEnd);
    setOwn(members, key, value);
  }
  endAt(reader, end);
  return members;
}

/** google.protobuf.Value; one without a kind reads as null, as Go's AsInterface does. */
function readStructValue(reader: WireReader, end: number, depth: number): Value {
  if (depth > MAX_DEPTH) throw new WireError("message is nested too deep");
  let value: Value = null;
  while (reader.at < end) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | WIRE_VARINT:
        reader.uint64();
        value = null;
        break;
      case (2 << 3) | WIRE_FIXED64:
        value = doubleValue(reader.double());
        break;
      case (3 << 3) | WIRE_LENGTH:
        value = reader.string();
        break;
      case (4 << 3) | WIRE_VARINT:
        value = reader.bool();
        break;
      case (5 << 3) | WIRE_LENGTH:
        value = readStruct(reader, reader.lengthEnd(), depth + 1);
        break;
      case (6 << 3) | WIRE_LENGTH:
        value = readList(reader, reader.lengthEnd(), depth + 1);
        break;
      default:
        reader.skip(tag & 7);
    }
  }
  endAt(reader, end);
  return value;
}

function readList(reader: WireReader, end: number, depth: number): Value {
  if (depth > MAX_DEPTH) throw new WireError("message is nested too deep");
  const items: Value[] = [];
  while (reader.at < end) {
    const tag = reader.tag();
    if (tag === ((1 << 3) | WIRE_LENGTH)) items.push(readStructValue(reader, reader.lengthEnd(), depth));
    else reader.skip(tag & 7);
  }
  endAt(reader, end);
  return items;
}

/**
 * A double as Go hands it to Rego (strconv 'g', shortest): from 1e6 on its text has an exponent, which `sprintf` shows.
 * What is not finite becomes a string, as structpb does.
 */
function doubleValue(n: number): NumberValue | string {
  if (Number.isNaN(n)) return "NaN";
  if (!Number.isFinite(n)) return n > 0 ? "Infinity" : "-Infinity";
  const size = Math.abs(n);
  if (size === 0) return Object.is(n, -0) ? parseNumber("-0") : 0;
  if (size >= 1e-4 && size < 1e6) return n;
  const [mantissa, exponent] = n.toExponential().split("e") as [string, string];
  return parseNumber(`${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`);
}
