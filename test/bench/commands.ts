import path from "node:path";
import { freePort } from "../support/free-port.ts";
import type { ServerCommand } from "./server.ts";

/** The flags that Cardea and OPA with its Envoy plugin have in common, serving the example policies. */
export async function exampleServer(
  name: string,
  head: readonly string[],
  { log, policies = "policies", more = [] }: { log: boolean; policies?: string; more?: readonly string[] },
): Promise<ServerCommand & { readonly port: number }> {
  const port = await freePort();
  const command = [
    ...head,
    "run",
    "--server",
    "--addr=127.0.0.1:0",
    `--set=plugins.envoy_ext_authz_grpc.addr=127.0.0.1:${port}`,
    "--set=plugins.envoy_ext_authz_grpc.path=envoy/authz/allow",
    `--set=decision_logs.console=${log}`,
    "--log-level=error",
    "--ignore=istio",
    ...more,
    policies,
  ];
  return { name, command, port };
}

/** The server of this repository as it was built, under the flags of its first line. */
export function cardea(main: string): readonly string[] {
  return [path.resolve(main)];
}
