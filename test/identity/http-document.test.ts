import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { documentFetcher } from "../../src/identity/http-document.ts";

const BLOCKED = ["169.254.0.0/16", "fe80::/10"];
let server: Server;
let origin: string;

beforeAll(async () => {
  server = createServer((request, response: ServerResponse) => {
    switch (request.url) {
      case "/good":
        response.end("{}");
        break;
      case "/redirect":
        response.writeHead(302, { location: "/good" }).end();
        break;
      case "/huge":
        response.write("x".repeat(64 * 1024));
        break; // and never ends
      case "/cut":
        response.writeHead(200, { "content-length": "100" });
        response.write("{", () => response.socket?.destroy());
        break;
      case "/form":
        request.on("data", (chunk: Buffer) => response.write(`${request.method} ${chunk.toString()}`));
        request.on("end", () => response.end());
        break;
      default: // never answers
    }
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe("documentFetcher", () => {
  const fetchDocument = documentFetcher({ allowsHttp: true, blockedRanges: BLOCKED });
  const get = (path: string, timeoutMs = 5000) => fetchDocument({ url: `${origin}${path}`, timeoutMs, maxBytes: 1024 });

  test("fetches", async () => {
    expect(await get("/good")).toEqual({ status: 200, body: "{}" });
  });

  test("sends forms", async () => {
    const response = await fetchDocument({ url: `${origin}/form`, timeoutMs: 5000, maxBytes: 1024, form: "token=a" });
    expect(response.body).toBe("POST token=a");
  });

  test("does not follow redirects", async () => {
    expect((await get("/redirect")).status).toBe(302);
  });

  test.for([
    ["/huge", 5000, "longer than 1024 bytes"],
    ["/cut", 5000, "/cut: "],
    ["/slow", 50, "timed out"],
  ] as const)("refuses %s", async ([path, timeoutMs, message]) => {
    await expect(get(path, timeoutMs)).rejects.toThrow(message);
  });

  test.for([
    ["http://169.254.169.254/latest/meta-data", "address 169.254.169.254 is blocked"],
    ["http://[fe80::1]/", "address fe80::1 is blocked"],
    ["file:///etc/passwd", "file URLs are not allowed"],
    ["nonsense", "not a URL"],
  ] as const)("never connects to %s", async ([url, message]) => {
    await expect(fetchDocument({ url, timeoutMs: 1000, maxBytes: 1024 })).rejects.toThrow(message);
  });

  test("names that lead to blocked addresses are not followed", async () => {
    const strict = documentFetcher({ allowsHttp: true, blockedRanges: ["127.0.0.0/8", "::1/128"] });
    const url = origin.replace("127.0.0.1", "localhost");
    await expect(strict({ url: `${url}/good`, timeoutMs: 5000, maxBytes: 1024 })).rejects.toThrow("is blocked");
  });

  test("takes plain HTTP only where that is allowed", async () => {
    const strict = documentFetcher({ allowsHttp: false, blockedRanges: [] });
    await expect(strict({ url: `${origin}/good`, timeoutMs: 5000, maxBytes: 1024 })).rejects.toThrow(
      "http URLs are not allowed",
    );
  });
});
