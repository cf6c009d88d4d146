import { type ChildProcess, spawn } from "node:child_process";
import { freePort } from "../support/free-port.ts";

/** A real OPA Envoy plugin as a process of its own. */
export class PluginProcess {
  readonly #process: ChildProcess;
  readonly address: string;

  private constructor(process: ChildProcess, address: string) {
    this.#process = process;
    this.address = address;
  }

  /** @param settings  Of `plugins.envoy_ext_authz_grpc`. */
  static async start(
    binary: string,
    policy: string,
    settings: Readonly<Record<string, string>>,
  ): Promise<PluginProcess> {
    const [port, api] = [await freePort(), await freePort()];
    const sets = Object.entries({ ...settings, addr: `127.0.0.1:${port}` }).map(
      ([key, value]) => `--set=plugins.envoy_ext_authz_grpc.${key}=${value}`,
    );
    const child = spawn(
      binary,
      ["run", "--server", "--skip-version-check", `--addr=127.0.0.1:${api}`, "--log-level=error", ...sets, policy],
      {
        stdio: ["ignore", "ignore", "inherit"],
      },
    );
    const started = new PluginProcess(child, `127.0.0.1:${port}`);
    for (let attempt = 0; attempt < 200 && child.exitCode === null; attempt++) {
      try {
        if ((await fetch(`http://127.0.0.1:${api}/health?plugins`)).ok) return started;
      } catch {
        // Not listening yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    child.kill();
    throw new Error("the plugin did not start");
  }

  stop(): void {
    this.#process.kill();
  }
}
