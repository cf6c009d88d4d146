import type { PluginConfig } from "../config/index.ts";
import type { Accept } from "../policy/index.ts";
import type { Checks } from "./compose-checks.ts";

/** The ports for checks: there from the start, or as soon as a discovered configuration has them. They are made once. */
export class CheckPorts {
  readonly #compose: (plugin: PluginConfig) => Promise<Checks>;
  #checks: Checks | undefined;
  #open: ((checks: Checks) => Promise<void>) | undefined;

  constructor(compose: (plugin: PluginConfig) => Promise<Checks>) {
    this.#compose = compose;
  }

  /** Absent as long as no ext_authz plugin is configured. */
  get current(): Checks | undefined {
    return this.#checks;
  }

  /** Has the last word about policies that are read anew. */
  readonly accept: Accept = (candidate, live) => this.#checks?.accept(candidate, live);

  /** @returns whether the ports are there by this very configuration. @throws {ConfigError} */
  async configure(plugin: PluginConfig | undefined): Promise<boolean> {
    if (plugin === undefined || this.#checks !== undefined) return false;
    this.#checks = await this.#compose(plugin);
    await this.#open?.(this.#checks);
    return true;
  }

  /** Opens the ports, now or once they are there. */
  async whenThere(open: (checks: Checks) => Promise<void>): Promise<void> {
    this.#open = open;
    if (this.#checks !== undefined) await open(this.#checks);
  }
}
