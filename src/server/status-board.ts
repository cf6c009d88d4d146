import type { JsonObject } from "../rego/value/index.ts";
import type { PluginStates, PluginStatus } from "../telemetry/index.ts";
import { pluginsOf } from "./group-status.ts";

export interface StatusBoardOptions {
  readonly states: PluginStates;
  /** The status of this process. */
  readonly own: () => JsonObject;
  /** There is something to report. */
  readonly report: () => void;
}

/** How the server is: this process, or all workers as one where there are several. */
export class StatusBoard {
  readonly #options: StatusBoardOptions;
  #tellOthers: (() => void) | undefined;
  #group: { readonly document: JsonObject; readonly plugins: ReadonlyMap<string, PluginStatus> } | undefined;

  constructor(options: StatusBoardOptions) {
    this.#options = options;
    options.states.onChange(() => this.changed());
  }

  /** What `/v1/status` shows. */
  readonly document = (): JsonObject => this.#group?.document ?? this.#options.own();

  readonly own = (): JsonObject => this.#options.own();

  /** What `/health` goes by. */
  readonly plugins = (): ReadonlyMap<string, PluginStatus> => this.#group?.plugins ?? this.#options.states.all();

  /** Something about this process changed. */
  changed(): void {
    if (this.#tellOthers === undefined) this.#options.report();
    else this.#tellOthers();
  }

  /** From now on others report as well: changes are told to them, and come back as those of all. */
  shareWith(tellOthers: () => void): void {
    this.#tellOthers = tellOthers;
    tellOthers();
  }

  /** @param isReporter  Whether reports are this process's affair. */
  setGroup(document: JsonObject, isReporter: boolean): void {
    this.#group = { document, plugins: pluginsOf(document) };
    if (isReporter) this.#options.report();
  }
}
