import { load, type LoadOptions } from "./h2-load.ts";

/** Reads one LoadOptions as JSON (messages in base64) from the command line, prints the LoadResult as JSON. */
const options = JSON.parse(process.argv[2] as string) as Omit<LoadOptions, "messages"> & {
  readonly messages: readonly string[];
};
const result = await load({ ...options, messages: options.messages.map((text) => Buffer.from(text, "base64")) });
process.stdout.write(`${JSON.stringify(result)}\n`);
