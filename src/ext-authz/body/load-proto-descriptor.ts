import type { DecodeMessage } from "./grpc.ts";

/**
 * A decoder for the services of a FileDescriptorSet. The protobuf library is loaded only here, where it is needed.
 *
 * @throws {ProtoDescriptorError}
 */
export async function loadProtoDescriptor(bytes: Buffer): Promise<DecodeMessage> {
  const { readProtoDescriptor } = await import("./proto-descriptor.ts");
  return readProtoDescriptor(bytes);
}
