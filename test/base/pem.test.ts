import { describe, expect, test } from "vitest";
import { decodePem } from "../../src/base/index.ts";

const block = "-----BEGIN A-----\nZm9v\n-----END A-----\n";

describe("decodePem", () => {
  // As Go's encoding/pem does.
  test.for([
    ["a block and what follows", `${block}rest`, "rest"],
    ["text before it", `text\n${block}`, ""],
    ["headers", "-----BEGIN A-----\nProc-Type: 4\n\nZm9v\n-----END A-----", ""],
    ["a body over several lines", "-----BEGIN A-----\nZm\n9v\n-----END A-----", ""],
    ["carriage returns", block.replaceAll("\n", "\r\n"), ""],
    ["a malformed block before it", `-----BEGIN A-----\n!!\n-----END A-----\n${block}`, ""],
    ["an unfinished block before it", `-----BEGIN A-----\nZm9v\n${block}`, ""],
  ] as const)("%s", ([, text, rest]) => {
    const found = decodePem(text);
    expect(found?.block.type).toBe("A");
    expect(Buffer.from(found?.block.bytes ?? []).toString()).toBe("foo");
    expect(found?.rest).toBe(rest);
  });

  test("an empty block", () => {
    expect(decodePem("-----BEGIN A-----\n-----END A-----")?.block.bytes.length).toBe(0);
  });

  test.for([
    ["nothing", ""],
    ["no end", "-----BEGIN A-----\nZm9v\n"],
    ["another type at the end", "-----BEGIN A-----\nZm9v\n-----END B-----"],
    ["bad base64", "-----BEGIN A-----\nZm9\n-----END A-----"],
  ] as const)("%s is no block", ([, text]) => {
    expect(decodePem(text)).toBeUndefined();
  });
});
