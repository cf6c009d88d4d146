import { eachInSteps, finish, Source, type Steps } from "../base/index.ts";
import { readAuthorizationPolicy } from "./authorization-policy.ts";
import type { IstioDiagnostic } from "./diagnostic.ts";
import { readRateLimit, readSchedule } from "./extensions.ts";
import { FieldReader, nearest, type Text } from "./fields.ts";
import { API_KINDS, isMisspelt, isOurGroup, versionOfKind } from "./heads.ts";
import { Places, type YamlMap, type YamlNode } from "./node.ts";
import { readPeerAuthentication } from "./peer-authentication.ts";
import type { FieldValues, Meta, PolicyDocument } from "./policies.ts";
import { readRequestAuthentication } from "./request-authentication.ts";
import { readYaml, type YamlDocument } from "./yaml.ts";

export interface PolicyText {
  /** As messages shall name it. */
  readonly file: string;
  readonly text: string;
}

/** A document of another API, which Cardea has no use for. */
export interface ForeignDocument {
  readonly file: string;
  readonly row: number;
  readonly apiVersion: string;
  readonly kind: string;
}

export interface PolicySet {
  readonly documents: readonly PolicyDocument[];
  readonly foreign: readonly ForeignDocument[];
  readonly diagnostics: readonly IstioDiagnostic[];
}

export interface ReadLimits {
  /** UTF-16 units of one file. */
  readonly fileLength: number;
  /** Policy rules over all files. */
  readonly rules: number;
  /** UTF-16 units of one pattern or name. */
  readonly valueLength: number;
}

/** Room for ten thousand large policies; a mesh that needs more can say so. */
export const DEFAULT_READ_LIMITS: ReadLimits = { fileLength: 32 * 1024 * 1024, rules: 50_000, valueLength: 4096 };

/**
 * Reads and validates policy files. Nothing is pruned or guessed: every finding is a diagnostic, and a set with
 * diagnostics must not be served.
 */
export function readPolicies(files: readonly PolicyText[], limits: ReadLimits = DEFAULT_READ_LIMITS): PolicySet {
  return finish(readPoliciesInSteps(files, limits));
}

/** The same document by document. */
export function* readPoliciesInSteps(
  files: readonly PolicyText[],
  limits: ReadLimits = DEFAULT_READ_LIMITS,
): Steps<PolicySet> {
  const documents: PolicyDocument[] = [];
  const foreign: ForeignDocument[] = [];
  const diagnostics: IstioDiagnostic[] = [];
  let rules = 0;
  for (const { file, text } of files) {
    if (text.length > limits.fileLength) {
      const message = `the file has ${text.length} characters; the limit fileLength is ${limits.fileLength}`;
      const at = new Places(new Source(file, "")).at({ start: 0, end: 0 });
      diagnostics.push({ code: "istio_limit_error", message, field: "", at });
      continue;
    }
    for (const document of readYaml(file, text, diagnostics)) {
      const before = documents.length;
      readDocument(document, document.root, { documents, foreign, diagnostics });
      for (const read of documents.slice(before)) rules += read.kind === "AuthorizationPolicy" ? read.rules.length : 0;
      if (rules > limits.rules) break;
      yield;
    }
    // What is too much need not be read to its end.
    if (rules > limits.rules) break;
  }
  yield* checkDuplicates(documents, diagnostics);
  yield* checkLimits(documents, limits, diagnostics);
  yield* checkReferences(documents, diagnostics);
  return { documents, foreign, diagnostics };
}

interface Sink {
  readonly documents: PolicyDocument[];
  readonly foreign: ForeignDocument[];
  readonly diagnostics: IstioDiagnostic[];
}

function readDocument(document: YamlDocument, root: YamlNode, sink: Sink): void {
  const { places } = document;
  const reader = new FieldReader(places, sink.diagnostics);
  if (root.kind !== "map") {
    reader.refuse("istio_kind_error", root, "", "is not a policy document: it is no mapping");
    return;
  }
  const member = (name: string) => root.entries.find((entry) => entry.key === name);
  const scalar = (name: string): string => {
    const node = member(name)?.value;
    return node?.kind === "scalar" && typeof node.value === "string" ? node.value : "";
  };
  const apiVersion = scalar("apiVersion");
  const kind = scalar("kind");
  const itemsEntry = member("items");
  if (itemsEntry?.value.kind === "seq" && kind.endsWith("List")) {
    for (const item of itemsEntry.value.items) readDocument(document, item, sink); // kubectl get -o yaml
    return;
  }
  const first = root.entries[0] ?? root;
  if (API_KINDS.get(apiVersion)?.includes(kind) !== true) {
    refuseKind({ reader, root, apiVersion, kind }, () =>
      sink.foreign.push({ file: places.source.name, row: places.row(root.start), apiVersion, kind }),
    );
    return;
  }
  const members = reader.members(root, "", ["apiVersion", "kind", "metadata", "spec", "status"]);
  const metadata = readMetadata(reader, members.get("metadata")?.value);
  const meta: Meta = {
    kind,
    name: metadata.name,
    namespace: metadata.namespace,
    places,
    start: first.start,
    end: first.end,
  };
  if (metadata.name === "")
    reader.refuse("istio_field_error", members.get("metadata") ?? first, "metadata.name", "is required");
  sink.documents.push(readSpec(reader, meta, members.get("spec")?.value, metadata.annotations));
}

/** Says what is wrong with a head that is none of ours, or calls back where it is another API's. */
function refuseKind(
  {
    reader,
    root,
    apiVersion,
    kind,
  }: { readonly reader: FieldReader; readonly root: YamlMap; readonly apiVersion: string; readonly kind: string },
  onForeign: () => void,
): void {
  const refuse = (field: "apiVersion" | "kind", message: string, hint?: string): void => {
    const entry = root.entries.find(({ key }) => key === field) ?? root.entries[0] ?? root;
    reader.refuse("istio_kind_error", entry, field, message, hint);
  };
  const kinds = API_KINDS.get(apiVersion);
  const version = versionOfKind(kind);
  if (apiVersion === "" || kind === "") {
    const field = apiVersion === "" ? "apiVersion" : "kind";
    const misspelt = root.entries.find(({ key }) => key !== field && nearest(key, [field]) !== undefined);
    const hint = field === "apiVersion" && version !== undefined ? `write apiVersion: ${version}` : undefined;
    refuse(field, "is required", misspelt === undefined ? hint : `did you mean ${field} instead of ${misspelt.key}?`);
  } else if (kinds !== undefined) {
    const near = nearest(kind, kinds);
    const hint = near === undefined ? `known: ${kinds.join(", ")}` : `did you mean ${near}?`;
    refuse("kind", `${apiVersion} has no kind ${kind}`, hint);
  } else if (version !== undefined || isOurGroup(apiVersion) || isMisspelt(apiVersion, kind)) {
    const all = [...API_KINDS.keys()];
    const near = nearest(apiVersion, all) ?? version;
    const message = isOurGroup(apiVersion)
      ? `unknown version ${apiVersion}`
      : `${apiVersion} has no kind ${kind} that is known`;
    refuse("apiVersion", message, near === undefined ? `known: ${all.join(", ")}` : `did you mean ${near}?`);
  } else onForeign();
}

function readSpec(
  reader: FieldReader,
  meta: Meta,
  spec: YamlNode | undefined,
  annotations: ReadonlyMap<string, Text>,
): PolicyDocument {
  switch (meta.kind) {
    case "AuthorizationPolicy":
      return readAuthorizationPolicy(reader, meta, spec, annotations);
    case "PeerAuthentication":
      return readPeerAuthentication(reader, meta, spec);
    case "RequestAuthentication":
      return readRequestAuthentication(reader, meta, spec, annotations);
    case "Schedule":
      return readSchedule(reader, meta, spec);
    case "RateLimit":
      return readRateLimit(reader, meta, spec);
    default:
      throw new TypeError(`no reader for ${meta.kind}`);
  }
}

interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly annotations: ReadonlyMap<string, Text>;
}

/** Only what matters is looked at: the rest of the metadata is Kubernetes' own and comes along with `kubectl get`. */
function readMetadata(reader: FieldReader, node: YamlNode | undefined): Metadata {
  const members = reader.members(node, "metadata", undefined);
  const name = reader.string(members.get("name")?.value, "metadata.name")?.text ?? "";
  const namespace = reader.string(members.get("namespace")?.value, "metadata.namespace");
  const annotations = new Map<string, Text>();
  for (const { key, value } of reader.map(members.get("annotations")?.value, "metadata.annotations")?.entries ?? []) {
    const text = reader.string(value, `metadata.annotations[${JSON.stringify(key)}]`);
    if (text !== undefined) annotations.set(key, text);
  }
  if (namespace !== undefined && !/^(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)?$/.test(namespace.text)) {
    const hint = "a namespace is a DNS label: lower-case letters, digits and -";
    const message = `${JSON.stringify(namespace.text)} is no namespace`;
    reader.refuse("istio_value_error", namespace, "metadata.namespace", message, hint);
  }
  return {
    name,
    namespace: namespace === undefined || namespace.text === "" ? "default" : namespace.text,
    annotations,
  };
}

function checkDuplicates(documents: readonly PolicyDocument[], diagnostics: IstioDiagnostic[]): Steps<void> {
  const seen = new Map<string, PolicyDocument>();
  return eachInSteps(documents, (document) => {
    // Conditions name schedules and limits without a namespace.
    const isGlobal = document.kind === "Schedule" || document.kind === "RateLimit";
    const id = `${document.kind} ${isGlobal ? "" : `${document.namespace}/`}${document.name}`;
    const earlier = seen.get(id);
    if (earlier === undefined) {
      seen.set(id, document);
      return;
    }
    const at = document.places.at(document);
    const where = `${earlier.places.source.name}:${earlier.places.row(earlier.start)}`;
    diagnostics.push({
      code: "istio_field_error",
      field: "metadata.name",
      message: `${id} is already defined at ${where}`,
      at,
    });
  });
}

function checkLimits(
  documents: readonly PolicyDocument[],
  limits: ReadLimits,
  diagnostics: IstioDiagnostic[],
): Steps<void> {
  let rules = 0;
  return eachInSteps(documents, (document) => {
    if (document.kind !== "AuthorizationPolicy") return;
    const before = rules;
    rules += document.rules.length;
    if (before <= limits.rules && rules > limits.rules) {
      const message = `the files have more rules than the limit rules, ${limits.rules}`;
      diagnostics.push({ code: "istio_limit_error", field: "spec.rules", message, at: document.places.at(document) });
    }
    for (const { from, to, when } of document.rules) {
      for (const source of from) checkLengths(document, source, limits, diagnostics);
      for (const operation of to) checkLengths(document, operation, limits, diagnostics);
      checkLengths(document, when, limits, diagnostics);
    }
  });
}

function checkLengths(
  document: PolicyDocument,
  lists: readonly FieldValues[],
  limits: ReadLimits,
  diagnostics: IstioDiagnostic[],
): void {
  for (const { name, values } of lists) {
    for (const value of values) {
      if (value.text.length <= limits.valueLength) continue;
      const message = `a value has ${value.text.length} characters; the limit valueLength is ${limits.valueLength}`;
      diagnostics.push({ code: "istio_limit_error", field: name, message, at: document.places.at(value) });
    }
  }
}

/** A condition on a schedule or limit that is not there could neither hold nor fail. */
function checkReferences(documents: readonly PolicyDocument[], diagnostics: IstioDiagnostic[]): Steps<void> {
  const names = (kind: PolicyDocument["kind"]) =>
    new Set(documents.filter((document) => document.kind === kind).map(({ name }) => name));
  const known = new Map([
    ["schedule", names("Schedule")],
    ["rateLimit", names("RateLimit")],
  ]);
  return eachInSteps(documents, (document) => {
    if (document.kind !== "AuthorizationPolicy") return;
    for (const { when } of document.rules) {
      for (const list of when) {
        const set = known.get(list.attribute.kind);
        if (set === undefined) continue;
        for (const value of list.values) {
          if (set.has(value.text)) continue;
          const kind = list.attribute.kind === "schedule" ? "Schedule" : "RateLimit";
          const near = nearest(value.text, [...set]);
          diagnostics.push({
            code: "istio_reference_error",
            field: list.name,
            message: `no ${kind} is named ${JSON.stringify(value.text)}`,
            at: document.places.at(value),
            ...(near !== undefined && { hint: `did you mean ${near}?` }),
          });
        }
      }
    }
  });
}
