import { Server, ServerCredentials } from "@grpc/grpc-js";

/** The least a grpc-js server can do for a check: bytes in, a constant allow out. Prints its port. */
const ALLOW = Buffer.from([0x0a, 0x00]); // CheckResponse{status: {}}

const server = new Server();
server.addService(
  {
    Check: {
      path: "/envoy.service.auth.v3.Authorization/Check",
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: Buffer) => value,
      requestDeserialize: (value: Buffer) => value,
      responseSerialize: (value: Buffer) => value,
      responseDeserialize: (value: Buffer) => value,
    },
  },
  { Check: (_call: unknown, callback: (error: null, value: Buffer) => void) => callback(null, ALLOW) },
);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`${port}\n`);
});
