export { AddressError } from "./listen-address.ts";
export { packageRoot } from "./package-root.ts";
export { type Addresses, CardeaServer, type ServerOptions } from "./server.ts";
