import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cardea, exampleServer } from "./commands.ts";
import { freePort } from "../support/free-port.ts";
import { peakRssMiB, rssMiB, startServer } from "./server.ts";

/** Memory of servers that hold a large JSON document. */
export interface DataMemoryFigure {
  readonly documentMiB: number;
  readonly rows: readonly {
    readonly name: string;
    readonly rssMiB: number;
    readonly peakMiB: number;
    readonly readyMs: number;
  }[];
  /** Ours by OPA's. */
  readonly ratio?: number;
}

const POLICY = `package envoy.authz

default allow := false

allow if "admin" in data.users[input.attributes.request.http.headers["x-user"]].roles
`;
/** Servers give back what loading took only after a while. */
const SETTLE_MS = 5000;

export async function benchDataMemory(
  main: string,
  { opa, mebibytes }: { opa: string | undefined; mebibytes: number },
): Promise<DataMemoryFigure> {
  const folder = mkdtempSync(path.join(tmpdir(), "bench-data-"));
  try {
    writeFileSync(path.join(folder, "policy.rego"), POLICY);
    writeDocument(path.join(folder, "data.json"), mebibytes);
    const commands = [await exampleServer("cardea", cardea(main), { log: false, policies: folder })];
    if (opa !== undefined) {
      const port = await freePort();
      const command = [opa, "run", "--server", `--addr=127.0.0.1:${port}`, "--log-level=error", folder];
      commands.push({ name: "opa", command, port });
    }
    const rows = [];
    for (const command of commands) {
      const { child, readyMs } = await startServer(command);
      await sleep(SETTLE_MS);
      const pid = child.pid as number;
      rows.push({ name: command.name, rssMiB: rssMiB(pid), peakMiB: peakRssMiB(pid), readyMs });
      const ended = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGKILL");
      await ended;
    }
    const [ours, theirs] = rows;
    return {
      documentMiB: mebibytes,
      rows,
      ...(ours !== undefined && theirs !== undefined && { ratio: ours.rssMiB / theirs.rssMiB }),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Users with attributes, as an export of a directory has them. */
function writeDocument(file: string, mebibytes: number): void {
  const out = openSync(file, "w");
  let size = writeSync(out, '{"users":{');
  for (let i = 0; size < mebibytes * 1024 * 1024; ) {
    const users: string[] = [];
    for (const end = i + 10_000; i < end; i++) {
      const roles = [`role-${i % 50}`, `role-${i % 7}`, ...(i % 100 === 0 ? ["admin"] : [])];
      const user = {
        id: i,
        name: `User Number ${i}`,
        email: `user.${i}@example.com`,
        active: i % 11 !== 0,
        roles,
        team: { name: `team-${i % 400}`, site: `site-${i % 12}` },
        limit: (i % 1000) / 8,
      };
      users.push(`${JSON.stringify(`user-${i}`)}:${JSON.stringify(user)}`);
    }
    size += writeSync(out, `${size > 10 ? "," : ""}${users.join(",")}`);
  }
  writeSync(out, "}}");
  closeSync(out);
}
