import { encodeHex } from "../../base/index.ts";
import { fromBigInt, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";

/** 100 ns steps from 15 October 1582, where UUID time starts, to the Unix epoch. */
const EPOCH_OFFSET = 122192928000000000n;

/** The 16 bytes in any of the forms google/uuid reads: plain, without dashes, in braces, as a URN. */
function parseUuid(text: string): Uint8Array | undefined {
  let body = text;
  if (text.length === 45 && /^urn:uuid:/i.test(text)) body = text.slice(9);
  // The library takes 38 characters for braces without looking at the last one.
  else if (text.length === 38) body = text.slice(1, 37);
  else if (text.length === 32) {
    if (!/^[0-9a-fA-F]{32}$/.test(text)) return undefined;
    return bytesOf(text);
  }
  if (!/^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/.test(body)) return undefined;
  return bytesOf(body.replaceAll("-", ""));
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

function variantOf(byte: number): string {
  if ((byte & 0xc0) === 0x80) return "RFC4122";
  if ((byte & 0xe0) === 0xc0) return "Microsoft";
  return (byte & 0xe0) === 0xe0 ? "Future" : "Reserved";
}

function macVariables(byte: number): string {
  return `${(byte & 2) === 0 ? "global" : "local"}:${(byte & 1) === 0 ? "unicast" : "multicast"}`;
}

const DOMAINS = ["Person", "Group", "Org"];

/** @source OPA internal/uuid */
function describe(bytes: Uint8Array): Value {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = (bytes[6] as number) >> 4;
  const common = { version, variant: variantOf(bytes[8] as number) };
  if (version !== 1 && version !== 2) return common;
  const node = bytes.subarray(10);
  const steps =
    BigInt(view.getUint32(0)) | (BigInt(view.getUint16(4)) << 32n) | (BigInt(view.getUint16(6) & 0xfff) << 48n);
  const timed = {
    ...common,
    // Far times wrap, as Go's int64 nanoseconds do.
    time: fromBigInt(BigInt.asIntN(64, (steps - EPOCH_OFFSET) * 100n)),
    nodeid: Array.from(node, (byte) => encodeHex(Uint8Array.of(byte))).join("-"),
    macvariables: macVariables(node[0] as number),
    clocksequence: view.getUint16(8) & 0x3fff,
  };
  if (version === 1) return timed;
  const domain = bytes[9] as number;
  return { ...timed, id: view.getUint32(0), domain: DOMAINS[domain] ?? `Domain${domain}` };
}

export const uuidBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "uuid.rfc4122",
    category: "uuid",
    about: "A random UUID (version 4), the same for equal operands within one query.",
    nondeterministic: true,
    args: [arg("k", operands.string, "a name for the UUID")],
    result: result("output", types.string, "the UUID"),
    call: (context, k) => {
      const key = `uuid.rfc4122:${k}`;
      const known = context.memo.get(key);
      if (known !== undefined) return known;
      const bytes = new Uint8Array(16);
      context.random(bytes);
      bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
      bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
      const hex = encodeHex(bytes);
      const uuid = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
      context.memo.set(key, uuid);
      return uuid;
    },
  }),
  defineBuiltin({
    name: "uuid.parse",
    category: "uuid",
    about: "What a UUID says about itself; undefined for text that is no UUID.",
    args: [arg("uuid", operands.string, "the UUID")],
    result: result(
      "result",
      types.object(types.string, types.any),
      "its version and variant; with versions 1 and 2 also time, node and clock sequence",
    ),
    call: (_context, text) => {
      const bytes = parseUuid(text);
      return bytes === undefined ? undefined : describe(bytes);
    },
  }),
];
