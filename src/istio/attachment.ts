import type { FieldReader } from "./fields.ts";
import type { YamlEntry, YamlNode } from "./node.ts";
import type { Attachment, Meta, TargetRef } from "./policies.ts";

const GATEWAY_API = "gateway.networking.k8s.io";
const MAX_TARGETS = 16;
const MAX_LABEL_VALUE = 63;

/** Kinds a policy may be attached to. @source istio pkg/config/validation/agent + validation.go validatePolicyTargetReference */
const TARGETS: readonly { readonly group: string; readonly kind: string }[] = [
  { group: GATEWAY_API, kind: "Gateway" },
  { group: GATEWAY_API, kind: "GatewayClass" },
  { group: "", kind: "Service" },
  { group: "networking.istio.io", kind: "ServiceEntry" },
];

export function readAttachment(reader: FieldReader, members: ReadonlyMap<string, YamlEntry>, meta: Meta): Attachment {
  const given = ["selector", "targetRef", "targetRefs"].flatMap((name) => members.get(name) ?? []);
  const [, second] = given;
  if (second !== undefined)
    reader.refuse(
      "istio_value_error",
      second,
      `spec.${second.key}`,
      "only one of selector, targetRef and targetRefs may be given",
    );
  const selector = readSelector(reader, members.get("selector")?.value);
  const targetRefs: TargetRef[] = [];
  const single = members.get("targetRef");
  if (single !== undefined) targetRefs.push(...readTarget(reader, single.value, "spec.targetRef"));
  const several = members.get("targetRefs");
  const items = reader.list(several?.value, "spec.targetRefs") ?? [];
  if (several !== undefined && items.length > MAX_TARGETS) {
    reader.refuse(
      "istio_limit_error",
      several,
      "spec.targetRefs",
      `has ${items.length} entries; Istio takes ${MAX_TARGETS}`,
    );
  }
  items.forEach((item, i) => {
    targetRefs.push(...readTarget(reader, item, `spec.targetRefs[${i}]`));
  });
  const { start, end } = given[0] ?? meta;
  return { selector, targetRefs, start, end };
}

export function readSelector(reader: FieldReader, node: YamlNode | undefined): ReadonlyMap<string, string> {
  const labels = reader.members(node, "spec.selector", ["matchLabels"]).get("matchLabels");
  const selector = new Map<string, string>();
  for (const entry of reader.map(labels?.value, "spec.selector.matchLabels")?.entries ?? []) {
    const field = `spec.selector.matchLabels[${JSON.stringify(entry.key)}]`;
    const value = reader.string(entry.value, field);
    if (entry.key === "") reader.refuse("istio_value_error", entry, field, "a label needs a name");
    if (entry.key.includes("*") || value?.text.includes("*") === true) {
      reader.refuse("istio_value_error", entry, field, "wildcards are not supported in selectors");
    }
    if (value === undefined) continue;
    if (value.text.length > MAX_LABEL_VALUE)
      reader.refuse("istio_value_error", value, field, `is longer than ${MAX_LABEL_VALUE} characters`);
    selector.set(entry.key, value.text);
  }
  return selector;
}

function readTarget(reader: FieldReader, node: YamlNode, field: string): readonly TargetRef[] {
  const members = reader.members(node, field, ["group", "kind", "name", "namespace"]);
  const group = reader.string(members.get("group")?.value, `${field}.group`)?.text ?? "";
  const kind = reader.string(members.get("kind")?.value, `${field}.kind`)?.text ?? "";
  const name = reader.string(members.get("name")?.value, `${field}.name`)?.text ?? "";
  const namespace = members.get("namespace");
  if (name === "") reader.refuse("istio_value_error", members.get("name") ?? node, `${field}.name`, "is required");
  if (namespace !== undefined && reader.string(namespace.value, `${field}.namespace`)?.text !== "") {
    reader.refuse(
      "istio_value_error",
      namespace,
      `${field}.namespace`,
      "must be empty: a policy is attached within its own namespace",
    );
  }
  const canonical = group === "core" ? "" : group;
  if (!TARGETS.some((target) => target.group === canonical && target.kind === kind)) {
    const known = TARGETS.map((target) => (target.group === "" ? target.kind : `${target.group}/${target.kind}`)).join(
      ", ",
    );
    reader.refuse(
      "istio_value_error",
      members.get("kind") ?? node,
      `${field}.kind`,
      `${group === "" ? kind : `${group}/${kind}`} cannot be a target`,
      `targets: ${known}`,
    );
  }
  return name === "" ? [] : [{ group: canonical, kind, name }];
}
