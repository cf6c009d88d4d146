import { readFileSync } from "node:fs";
import { toInput } from "../../src/ext-authz/input.ts";
import { readCheckRequest } from "../../src/ext-authz/request.ts";
import { DEFAULT_MESH, type MeshSettings, type PolicyText } from "../../src/istio/index.ts";
import type { JsonObject } from "../../src/rego/value/index.ts";
import { caseFolder } from "./cases.ts";

/** A case of istio-authz.json: policies, a request, and what the mesh would answer. */
export interface IstioCase {
  readonly id: string;
  readonly category: string;
  readonly policies: readonly unknown[];
  readonly check_request_wire: string;
  readonly expect: "allow" | "deny" | "unauthenticated";
  readonly why: string;
  /** Claims of a token that the proxy has verified. */
  readonly jwt_claims?: JsonObject;
  /** Seconds since the epoch. */
  readonly now?: number;
  readonly mesh?: {
    readonly rootNamespace?: string;
    readonly trustDomain?: string;
    readonly trustDomainAliases?: readonly string[];
    readonly numTrustedProxies?: number;
  };
  readonly workload?: {
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly waypoint: boolean;
  };
}

export function readIstioCases(): readonly IstioCase[] {
  const file = caseFolder("istio-authz.json");
  return file === undefined ? [] : (JSON.parse(readFileSync(file, "utf8")) as IstioCase[]);
}

export function filesOf(tc: IstioCase): readonly PolicyText[] {
  return tc.policies.map((policy, i) => ({ file: `p${i}.yaml`, text: JSON.stringify(policy, null, 1) }));
}

export function meshOf({ mesh, workload }: IstioCase): MeshSettings {
  const workloads = workload === undefined ? [] : [{ ...workload, serviceAccount: "api" }];
  return { ...DEFAULT_MESH, ...mesh, workloads };
}

/** The input document of the request's bytes, with the identity that Cardea puts beside the plugin's document. */
export function inputOf(tc: IstioCase): JsonObject {
  const request = readCheckRequest(Buffer.from(tc.check_request_wire, "base64"), "v3");
  const input = toInput(request, { skipBody: false, grpcBodies: undefined });
  return tc.jwt_claims === undefined ? input : { ...input, cardea: { identity: { claims: tc.jwt_claims } } };
}
