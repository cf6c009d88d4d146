import { isJsonObject, type JsonObject, type Value } from "../rego/value/index.ts";
import { lowerAscii } from "./attributes.ts";
import type { Attachment, JwtRule, RequestAuthentication } from "./policies.ts";
import type { MeshSettings } from "./settings.ts";

/** What is known of a request's destination: the same reading as the evaluator's, which policies are chosen by. */
export interface Workload {
  /** Undefined where unknown. */
  readonly namespace: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly isWaypoint: boolean;
}

const GATEWAY_LABEL = "gateway.networking.k8s.io/gateway-name";

/** The destination of an input document: by its identity, by configuration, or by the host's Kubernetes name. */
export function workloadOf(input: JsonObject, { workloads, defaultWorkload }: MeshSettings): Workload {
  const attributes = member(input, "attributes");
  const destination = member(attributes, "destination");
  const identity = /^spiffe:\/\/[^/]*\/ns\/([^/]*)\/sa\/([^/]*)$/.exec(text(destination, "principal"));
  const configured =
    identity === null
      ? defaultWorkload
      : workloads.find(({ namespace, serviceAccount }) => namespace === identity[1] && serviceAccount === identity[2]);
  const given = member(destination, "labels");
  const labels = (Object.keys(given).length > 0 ? given : (configured?.labels ?? {})) as Readonly<
    Record<string, string>
  >;
  return {
    namespace: identity?.[1] ?? defaultWorkload?.namespace ?? serviceOf(attributes)?.namespace,
    labels,
    isWaypoint:
      (configured !== undefined && "waypoint" in configured && configured.waypoint === true) ||
      own(labels, "gateway.istio.io/managed") === "istio.io-mesh-controller",
  };
}

/** `<service>.<namespace>.svc…`, the name of a Kubernetes service. */
function serviceOf(attributes: JsonObject): { readonly name: string; readonly namespace: string } | undefined {
  const host = lowerAscii(text(member(member(attributes, "request"), "http"), "host"));
  const [name, namespace, svc] = (host.split(":")[0] as string).split(".");
  return name === undefined || namespace === undefined || svc !== "svc" ? undefined : { name, namespace };
}

/** The namespaces whose policies may be for the destination of an input document; undefined where it is unknown. */
export function namespacesFor(input: JsonObject, mesh: MeshSettings): ReadonlySet<string> | undefined {
  const workload = workloadOf(input, mesh);
  return workload.namespace === undefined ? undefined : namespacesOf(workload, backendOf(workload, input), mesh);
}

/** The root namespace first. */
function namespacesOf(
  { namespace }: Workload,
  backend: ReturnType<typeof serviceOf>,
  { rootNamespace }: MeshSettings,
): ReadonlySet<string> {
  const namespaces = new Set([rootNamespace]);
  if (namespace !== undefined) namespaces.add(namespace);
  if (backend !== undefined) namespaces.add(backend.namespace);
  return namespaces;
}

/** The service that a waypoint answers for. */
function backendOf({ isWaypoint }: Workload, input: JsonObject): ReturnType<typeof serviceOf> {
  return isWaypoint ? serviceOf(member(input, "attributes")) : undefined;
}

/** What of a RequestAuthentication rules for tokens are chosen by. */
export type TokenDocument = Pick<RequestAuthentication, "namespace" | "attachment" | "jwtRules">;

/** Chooses the rules of RequestAuthentications that are for a request's destination. */
export class TokenRules<Document extends TokenDocument> {
  readonly #byNamespace = new Map<string, Document[]>();
  readonly #mesh: MeshSettings;
  /** Lists by the documents they are made of, so that equal choices are one list. */
  readonly #lists = new Map<string, readonly JwtRule[]>();
  readonly #ids = new Map<Document, number>();

  constructor(documents: readonly Document[], mesh: MeshSettings) {
    this.#mesh = mesh;
    for (const document of documents) {
      this.#ids.set(document, this.#ids.size);
      const known = this.#byNamespace.get(document.namespace);
      if (known === undefined) this.#byNamespace.set(document.namespace, [document]);
      else known.push(document);
    }
  }

  /**
   * The rules for the destination of an input document, sorted by issuer as istiod does; the same list for the same
   * choice. For an unknown destination, the root namespace's: other tokens are not looked at, and give no identity.
   */
  for(input: JsonObject): readonly JwtRule[] {
    if (this.#ids.size === 0) return NONE;
    const chosen = this.documentsFor(input);
    const key = chosen.map((document) => this.#ids.get(document)).join(",");
    let list = this.#lists.get(key);
    if (list === undefined) {
      list = chosen
        .flatMap(({ jwtRules }) => jwtRules)
        .sort((a, b) => (a.issuer < b.issuer ? -1 : a.issuer > b.issuer ? 1 : 0));
      this.#lists.set(key, list);
    }
    return list;
  }

  /** The RequestAuthentications that are for the destination of an input document: the root namespace's first. */
  documentsFor(input: JsonObject): readonly Document[] {
    const workload = workloadOf(input, this.#mesh);
    const service = backendOf(workload, input);
    return [...namespacesOf(workload, service, this.#mesh)].flatMap((namespace) =>
      (this.#byNamespace.get(namespace) ?? []).filter(({ attachment }) =>
        this.#isAttached(attachment, namespace, workload, service?.name),
      ),
    );
  }

  /** @source istio pilot/pkg/model/policyattachment.go */
  #isAttached(
    { selector, targetRefs }: Attachment,
    namespace: string,
    workload: Workload,
    service: string | undefined,
  ): boolean {
    const { labels, isWaypoint } = workload;
    const gateway = own(labels, GATEWAY_LABEL);
    if (targetRefs.length === 0) {
      return !isWaypoint && [...selector].every(([key, value]) => own(labels, key) === value);
    }
    return targetRefs.some(({ kind, name }) => {
      if (kind === "Gateway") return gateway === name && namespace === workload.namespace;
      if (kind === "GatewayClass")
        return isWaypoint && name === "istio-waypoint" && namespace === this.#mesh.rootNamespace;
      return kind === "Service" && isWaypoint && name === service;
    });
  }
}

const NONE: readonly JwtRule[] = [];
const EMPTY: JsonObject = Object.freeze({});

function own(labels: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

function member(object: JsonObject, key: string): JsonObject {
  const value: Value | undefined = Object.hasOwn(object, key) ? object[key] : undefined;
  return value !== undefined && isJsonObject(value) ? value : EMPTY;
}

function text(object: JsonObject, key: string): string {
  const value: Value | undefined = Object.hasOwn(object, key) ? object[key] : undefined;
  return typeof value === "string" ? value : "";
}
