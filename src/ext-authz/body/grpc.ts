import type { ParsedBody } from "./index.ts";

/** Decodes the first message of a gRPC request body. */
export interface GrpcBodyDecoder {
  /**
   * @param path  `parsed_path`: service and method.
   * @throws {InputError}
   */
  decode(path: readonly string[], raw: Buffer): ParsedBody;
}
