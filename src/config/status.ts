import type { ServiceConfig } from "./bundles.ts";
import { ConfigError } from "./errors.ts";
import type { Section } from "./section.ts";

/** `status` */
export interface StatusConfig {
  readonly console: boolean;
  /** Absent when nothing is uploaded. */
  readonly service: ServiceConfig | undefined;
  readonly partitionName: string;
  readonly prometheus: boolean;
}

/**
 * Messages are OPA's (v1/plugins/status).
 *
 * @returns undefined where nobody would be told.
 * @throws {ConfigError}
 */
export function readStatus(root: Section, services: readonly ServiceConfig[]): StatusConfig | undefined {
  if (!root.has("status")) return undefined;
  const section = root.section("status");
  const plugin = section.string("plugin");
  if (plugin !== undefined) throw new ConfigError(`invalid plugin name ${JSON.stringify(plugin)} in status`);
  const tells = { console: section.boolean("console", false), prometheus: section.boolean("prometheus", false) };
  const name = section.string("service", "");
  const service =
    name === ""
      ? tells.console || tells.prometheus
        ? undefined
        : services[0]
      : services.find((candidate) => candidate.name === name);
  if (name !== "" && service === undefined)
    throw new ConfigError(`invalid service name ${JSON.stringify(name)} in status`);
  if (section.choice("trigger", ["periodic", "manual"], "periodic") === "manual")
    throw new ConfigError("status.trigger: manual is not supported, for nothing here can trigger it; use periodic");
  const status: StatusConfig = { ...tells, service, partitionName: section.string("partition_name", "") };
  section.expect("prometheus_config");
  section.finish();
  return tells.console || tells.prometheus || service !== undefined ? status : undefined;
}
