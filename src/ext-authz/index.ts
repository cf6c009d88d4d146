export { type DecodeMessage, type GrpcBodyDecoder, grpcBodyDecoder } from "./body/grpc.ts";
export { loadProtoDescriptor } from "./body/load-proto-descriptor.ts";
export { Code, FAULTS, type FaultCode, type OnError } from "./faults.ts";
export { HttpAuthorization, type HttpAuthorizationOptions } from "./http/http-authorization.ts";
export type { HttpProxy } from "./http/original-request.ts";
export type { ApiVersion } from "./request.ts";
export { RpcError } from "./response.ts";
export { AuthorizationService, type Observer, type ServiceOptions } from "./service.ts";
