export { type DecodeMessage, type GrpcBodyDecoder, grpcBodyDecoder, loadProtoDescriptor } from "./body/grpc.ts";
export { Code, FAULTS, type FaultCode, type OnError } from "./faults.ts";
export type { ApiVersion } from "./request.ts";
export { RpcError } from "./response.ts";
export { AuthorizationService, type Observer, type ServiceOptions } from "./service.ts";
