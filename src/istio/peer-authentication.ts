import { readSelector } from "./attachment.ts";
import type { FieldReader } from "./fields.ts";
import type { YamlEntry, YamlNode } from "./node.ts";
import type { Meta, MtlsMode, PeerAuthentication } from "./policies.ts";

const MODES = ["UNSET", "DISABLE", "PERMISSIVE", "STRICT"] as const;

/** Reads and validates one PeerAuthentication. @source istio pkg/config/validation/validation.go ValidatePeerAuthentication */
export function readPeerAuthentication(
  reader: FieldReader,
  meta: Meta,
  spec: YamlNode | undefined,
): PeerAuthentication {
  const members = reader.members(spec, "spec", ["selector", "mtls", "portLevelMtls"]);
  const selector = readSelector(reader, members.get("selector")?.value);
  const mode = readMode(reader, members.get("mtls")?.value, "spec.mtls");
  return {
    ...meta,
    kind: "PeerAuthentication",
    selector,
    mode,
    portModes: readPorts(reader, members.get("portLevelMtls"), selector.size === 0),
  };
}

function readMode(reader: FieldReader, node: YamlNode | undefined, field: string): MtlsMode {
  return reader.oneOf(reader.members(node, field, ["mode"]).get("mode")?.value, `${field}.mode`, MODES) ?? "UNSET";
}

function readPorts(
  reader: FieldReader,
  entry: YamlEntry | undefined,
  isUnselective: boolean,
): ReadonlyMap<number, MtlsMode> {
  const modes = new Map<number, MtlsMode>();
  if (entry === undefined) return modes;
  const entries = reader.map(entry.value, "spec.portLevelMtls")?.entries ?? [];
  if (entries.length === 0) {
    reader.refuse(
      "istio_value_error",
      entry,
      "spec.portLevelMtls",
      "port level mTLS, if defined, must have at least one element",
    );
  } else if (isUnselective) {
    reader.refuse(
      "istio_value_error",
      entry,
      "spec.portLevelMtls",
      "mesh/namespace peer authentication cannot have port level mTLS",
      "add a selector: ports are set for the workloads it selects",
    );
  }
  for (const port of entries) {
    const field = `spec.portLevelMtls[${port.key}]`;
    const number = Number(port.key);
    if (!/^[0-9]{1,5}$/.test(port.key) || number < 1 || number > 65535) {
      reader.refuse("istio_value_error", port, field, "port must be in range 1..65535");
      continue;
    }
    modes.set(number, readMode(reader, port.value, field));
  }
  return modes;
}
