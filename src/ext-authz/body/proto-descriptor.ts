import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor.js";
import protojson from "protobufjs/ext/protojson.js";
import { InputError } from "../errors.ts";
import type { DecodeMessage } from "./grpc.ts";

/** A file is no usable FileDescriptorSet. */
export class ProtoDescriptorError extends Error {
  override readonly name = "ProtoDescriptorError";
}

/**
 * Reads a serialized FileDescriptorSet (`protoc --include_imports --descriptor_set_out`) and decodes messages by it, with
 * protojson's rules: 64-bit integers as strings, enums by name, well-known types in their own forms.
 *
 * @throws {ProtoDescriptorError}
 */
export function readProtoDescriptor(bytes: Buffer): DecodeMessage {
  const root = readRoot(bytes);
  return (serviceName, methodName, message) => {
    const method = methodOf(root, serviceName, methodName);
    if (method === undefined || method.requestStream === true) return undefined;
    method.resolve();
    const type = method.resolvedRequestType;
    if (type === null) return undefined;
    try {
      const decoded = type.decode(message);
      shortenFloats(type, decoded);
      return protojson.toJsonString(type, decoded);
    } catch (cause) {
      // Go's text for any fault in the bytes; an Any of an unknown type cannot be shown either.
      throw new InputError("proto: cannot parse invalid wire-format data", { cause });
    }
  };
}

function readRoot(bytes: Buffer): protobuf.Root {
  try {
    const set = descriptor.FileDescriptorSet.decode(bytes);
    const { file } = set as unknown as { file: { name?: string; syntax?: string; dependency?: string[] }[] };
    if (file.length === 0) throw new ProtoDescriptorError("no files in it");
    const names = new Set(file.map(({ name }) => name));
    for (const { name, dependency } of file) {
      const missing = dependency?.find((other) => !names.has(other));
      if (missing !== undefined)
        throw new ProtoDescriptorError(
          `proto: file ${JSON.stringify(name)} imports ${JSON.stringify(missing)}, which is not in the set`,
        );
    }
    return (protobuf.Root as unknown as { fromDescriptor(set: unknown): protobuf.Root })
      .fromDescriptor(set)
      .resolveAll() as protobuf.Root;
  } catch (cause) {
    if (cause instanceof ProtoDescriptorError) throw cause;
    throw new ProtoDescriptorError(
      `proto: cannot parse invalid wire-format data: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

function methodOf(root: protobuf.Root, serviceName: string, methodName: string): protobuf.Method | undefined {
  const service = root.lookup(serviceName);
  if (!(service instanceof protobuf.Service) || service.fullName !== `.${serviceName}`) return undefined;
  return Object.hasOwn(service.methods, methodName) ? service.methods[methodName] : undefined;
}

/** protojson prints a float with the fewest digits that give it again, not with those of the double it is held in. */
function shortenFloats(type: protobuf.Type, message: object): void {
  const members = message as Record<string, unknown>;
  for (const field of type.fieldsArray) {
    const inner = field.resolvedType instanceof protobuf.Type ? field.resolvedType : undefined;
    if ((field.type !== "float" && inner === undefined) || !Object.hasOwn(members, field.name)) continue;
    const shorten = (value: unknown): unknown => {
      if (inner === undefined) return shortFloat(value as number);
      shortenFloats(inner, value as object);
      return value;
    };
    const value = members[field.name];
    if (field.repeated) members[field.name] = (value as unknown[]).map(shorten);
    else if (field.map) {
      const entries = value as Record<string, unknown>;
      for (const key of Object.keys(entries)) entries[key] = shorten(entries[key]);
    } else if (value !== null && value !== undefined) members[field.name] = shorten(value);
  }
}

function shortFloat(value: number): number {
  if (!Number.isFinite(value)) return value;
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}
