import type { AzureIdentityConfig, GcpMetadataConfig } from "../config/index.ts";
import { type Environment, firstGiven } from "./environment.ts";
import type { Exchange } from "./exchange.ts";

/** Tokens that the machine's own metadata service gives (OPA v1/plugins/rest/gcp.go and azure.go). They are asked for each time: it keeps them itself. */

const ANSWER_MS = 5000;
const MAX_ANSWER_BYTES = 1024 * 1024;

export async function gcpToken(config: GcpMetadataConfig, exchange: Exchange): Promise<string> {
  const { endpoint, audience, scopes, identityTokenPath, accessTokenPath } = config;
  const isIdentity = audience !== "";
  const url = new URL(endpoint + (isIdentity ? identityTokenPath : accessTokenPath));
  if (isIdentity) url.searchParams.set("audience", audience);
  else url.searchParams.set("scopes", scopes.join(","));
  const { status, text } = await get(url, { "metadata-flavor": "Google" }, exchange);
  const kind = isIdentity ? "identity" : "access";
  const fail = (reason: string): Error =>
    new Error(`error retrieving ${kind} token from gcp metadata service: ${url.href} ${status}: ${reason}`);
  if (status !== 200)
    throw fail(status === 400 ? "invalid request" : status === 404 ? "not found" : "unexpected error");
  const token = isIdentity ? text.trim() : accessTokenOf(text);
  if (token === undefined || token === "") throw fail("the answer has no token");
  return token;
}

const AZURE_METADATA = "http://169.254.169.254/metadata/identity/oauth2/token";

export async function azureToken(config: AzureIdentityConfig, env: Environment, exchange: Exchange): Promise<string> {
  const { IDENTITY_ENDPOINT: ownEndpoint = "", IDENTITY_HEADER: ownHeader = "" } = env;
  const usesAppService = config.usesAppService || (config.endpoint === "" && ownEndpoint !== "");
  const url = new URL(firstGiven(config.endpoint, ownEndpoint, AZURE_METADATA));
  url.searchParams.set("api-version", firstGiven(config.apiVersion, usesAppService ? "2019-08-01" : "2018-02-01"));
  url.searchParams.set("resource", config.resource);
  if (config.objectId !== "") url.searchParams.set("object_id", config.objectId);
  if (config.clientId !== "") url.searchParams.set("client_id", config.clientId);
  if (config.resourceId !== "") url.searchParams.set("mi_res_id", config.resourceId);
  url.searchParams.sort();
  if (usesAppService && ownHeader === "")
    throw new Error("azure managed identities auth: IDENTITY_HEADER env var not found");
  const headers: Record<string, string> = usesAppService ? { "x-identity-header": ownHeader } : { metadata: "true" };
  const { status, text } = await get(url, headers, exchange);
  if (status !== 200) throw new Error(`${status} retrieving azure token from ${url.href}: ${text.slice(0, 500)}`);
  const token = accessTokenOf(text);
  if (token === undefined || token === "")
    throw new Error(`retrieving azure token from ${url.href}: the answer has no token`);
  return token;
}

async function get(
  url: URL,
  headers: Readonly<Record<string, string>>,
  exchange: Exchange,
): Promise<{ status: number; text: string }> {
  const limits = { timeoutMs: ANSWER_MS, totalMs: ANSWER_MS, maxBytes: MAX_ANSWER_BYTES };
  const { status, body } = await exchange(url, { method: "GET", headers, ...limits });
  return { status, text: Buffer.from(body).toString("utf8") };
}

/** Nothing of an answer goes into messages: it holds secrets. */
function accessTokenOf(text: string): string | undefined {
  try {
    const { access_token: token } = JSON.parse(text) as { access_token?: unknown };
    return typeof token === "string" ? token.trim() : undefined;
  } catch {
    return undefined;
  }
}
