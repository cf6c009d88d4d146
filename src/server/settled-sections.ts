import { isDeepStrictEqual } from "node:util";
import type { Config, Plain } from "../config/index.ts";
import type { Logger } from "../telemetry/index.ts";

/** Sections that count as they were when the server started. */
const SETTLED = ["cardea", "caching", "distributed_tracing", "plugins", "server", "storage"];

/** Says which sections of a discovered configuration have no effect until the server is started again. */
export class SettledSections {
  readonly #sections: Map<string, Plain | undefined>;
  readonly #logger: Logger;
  #told: readonly string[] = [];

  constructor(boot: Config, logger: Logger) {
    this.#sections = new Map(SETTLED.map((name) => [name, boot.raw[name]]));
    this.#logger = logger;
  }

  /** A section has taken effect after all. */
  settle(name: string, { raw }: Config): void {
    this.#sections.set(name, raw[name]);
  }

  /** Each configuration is told of once. */
  compare({ raw }: Config): void {
    const changed = [...this.#sections].filter(([name, value]) => !isDeepStrictEqual(raw[name], value));
    const names = changed.map(([name]) => name);
    if (names.length > 0 && !isDeepStrictEqual(names, this.#told))
      this.#logger.warning("Changes of the configuration have no effect until the next start.", { sections: names });
    this.#told = names;
  }
}
