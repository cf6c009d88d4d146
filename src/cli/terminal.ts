import { writeSync } from "node:fs";

/** What a command may touch besides files. Tests pass their own. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** All of standard input. */
  input(): Promise<string>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Writes whole texts even to a slow pipe: the process may exit right after. */
function writeAll(descriptor: 1 | 2, text: string): void {
  let bytes: Uint8Array = new TextEncoder().encode(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(descriptor, bytes));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN") continue;
      if (code === "EPIPE") return;
      throw error;
    }
  }
}

export const terminal: Terminal = {
  out: (text) => writeAll(1, text),
  err: (text) => writeAll(2, text),
  async input() {
    const chunks: Uint8Array[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array);
    return Buffer.concat(chunks).toString("utf8");
  },
  env: process.env,
};
