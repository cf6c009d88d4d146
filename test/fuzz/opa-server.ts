import { type ChildProcess, spawn } from "node:child_process";
import { freePort } from "../support/free-port.ts";

/** A real `opa run --server`, asked over loopback: the oracle of differential tests. */
export class OpaServer {
  readonly #process: ChildProcess;
  readonly #url: string;

  private constructor(process: ChildProcess, url: string) {
    this.#process = process;
    this.#url = url;
  }

  /** @param binary path of the real `opa`. */
  static async start(binary: string): Promise<OpaServer> {
    const port = await freePort();
    const child = spawn(
      binary,
      ["run", "--server", "--disable-telemetry", `--addr=127.0.0.1:${port}`, "--log-level=error"],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    const server = new OpaServer(child, `http://127.0.0.1:${port}`);
    for (let attempt = 0; attempt < 200; attempt++) {
      try {
        if ((await fetch(`${server.#url}/health`)).ok) return server;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    child.kill();
    throw new Error("opa did not start");
  }

  stop(): void {
    this.#process.kill();
  }

  async call(
    method: string,
    path: string,
    body: string,
    type = "application/json",
  ): Promise<{ readonly status: number; readonly text: string }> {
    const reply = await fetch(`${this.#url}${path}`, { method, body, headers: { "content-type": type } });
    return { status: reply.status, text: await reply.text() };
  }
}
