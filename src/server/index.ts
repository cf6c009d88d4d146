export { lowerBackgroundThreads } from "./background-threads.ts";
export { AddressError } from "./listen-address.ts";
export { packageRoot } from "./package-root.ts";
export { RegoIo } from "./rego-io.ts";
export { type Addresses, type ApiTlsOptions, CardeaServer, ReadyTimeoutError, type ServerOptions } from "./server.ts";
export { Supervisor } from "./supervisor.ts";
