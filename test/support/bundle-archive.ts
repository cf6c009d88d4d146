import { gzipSync } from "node:zlib";
import tar from "tar-stream";

/** A bundle as servers send it. */
export async function bundleArchive(
  files: Readonly<Record<string, string>>,
  manifest: { readonly revision?: string; readonly roots?: readonly string[] } = {},
): Promise<Buffer> {
  const pack = tar.pack();
  for (const [name, text] of [[".manifest", JSON.stringify(manifest)], ...Object.entries(files)] as const)
    pack.entry({ name }, text);
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack as AsyncIterable<Buffer>) chunks.push(chunk);
  return gzipSync(Buffer.concat(chunks));
}
