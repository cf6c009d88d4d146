import { parseJson } from "../../rego/value/index.ts";
import { InputError } from "../errors.ts";
import type { ParsedBody } from "./parsed-body.ts";

/** Decodes the first message of a gRPC request body. */
export interface GrpcBodyDecoder {
  /**
   * @param path  `parsed_path`: service and method.
   * @throws {InputError}
   */
  decode(path: readonly string[], raw: Buffer): ParsedBody;
}

/** Decodes a message of a known type to protojson text; undefined for a method it does not know or a client stream. */
export type DecodeMessage = (service: string, method: string, bytes: Buffer) => string | undefined;

const NOT_PARSED: ParsedBody = { body: null, isTruncated: false };
const TRUNCATED: ParsedBody = { body: null, isTruncated: true };
/** Compression flag and length, before each message. */
const FRAME_HEADER_BYTES = 5;

/**
 * Takes messages out of gRPC's framing. Only the first message is read; compressed ones are left alone
 * (envoyauth/request.go getGRPCBody).
 */
export function grpcBodyDecoder(decodeMessage: DecodeMessage): GrpcBodyDecoder {
  return {
    decode(path, raw) {
      const [service, method, ...more] = path;
      if (service === undefined || method === undefined || more.length > 0) throw new InputError("invalid parsed path");
      if (raw.length < FRAME_HEADER_BYTES) throw new InputError("less than 5 bytes");
      if (raw[0] !== 0) return NOT_PARSED;
      const length = raw.readUInt32BE(1);
      if (length > raw.length - FRAME_HEADER_BYTES) return TRUNCATED;
      const text = decodeMessage(service, method, raw.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + length));
      return text === undefined ? NOT_PARSED : { body: parseJson(text), isTruncated: false };
    },
  };
}
