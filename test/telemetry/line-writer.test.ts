import { closeSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { FileDescriptorWriter, Metrics } from "../../src/telemetry/index.ts";

function open(): { readonly file: string; readonly fd: number } {
  const file = path.join(mkdtempSync(path.join(tmpdir(), "cardea-lines-")), "log");
  return { file, fd: openSync(file, "w") };
}

test("lines come out in the order they went in, made or not", async () => {
  const { file, fd } = open();
  const writer = new FileDescriptorWriter(fd);
  const made: string[] = [];
  writer.write("1");
  writer.write(() => {
    made.push("2");
    return "2";
  });
  writer.write("3");
  expect(made).toEqual([]);
  await writer.flush();
  writer.write("4");
  await writer.flush();
  expect(readFileSync(file, "utf8")).toBe("1\n2\n3\n4\n");
  closeSync(fd);
});

test("the last moments of a process lose nothing", () => {
  const { file, fd } = open();
  const writer = new FileDescriptorWriter(fd);
  writer.write("1");
  writer.write(() => "2");
  writer.flushSync();
  expect(readFileSync(file, "utf8")).toBe("1\n2\n");
});

test("a line that cannot be made is counted, and the others are written", async () => {
  const { file, fd } = open();
  const writer = new FileDescriptorWriter(fd);
  writer.write(() => {
    throw new Error("no line");
  });
  writer.write("1");
  await writer.flush();
  expect(readFileSync(file, "utf8")).toBe("1\n");
  expect(writer.dropped).toBe(1);
});

test("what waits is bounded", async () => {
  const { file, fd } = open();
  const writer = new FileDescriptorWriter(fd, 10);
  for (const line of ["12345", "67890", "x"]) writer.write(() => line);
  await writer.flush();
  expect(readFileSync(file, "utf8")).toBe("12345\n67890\n");
  expect(writer.dropped).toBe(1);
});

test("a device that fails loses its lines, and nobody waits for it", async () => {
  const { fd } = open();
  closeSync(fd);
  const writer = new FileDescriptorWriter(fd);
  for (const line of ["1", "2", "3"]) writer.write(line);
  await writer.flush();
  expect(writer.dropped).toBe(3);
});

test("lost lines show in the metrics, each once", async () => {
  const metrics = new Metrics();
  let lost = 2;
  metrics.countLostLines(() => lost);
  const line = 'cardea_decision_log_dropped_total{sink="console",reason="write"}';
  expect(await metrics.text()).toContain(`${line} 2`);
  lost = 5;
  expect(await metrics.text()).toContain(`${line} 5`);
});
