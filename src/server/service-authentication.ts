import { readFile } from "node:fs/promises";
import { signV4, signV4a } from "../aws/index.ts";
import type { AwsSigningConfig, BearerConfig, Credentials, Oauth2Config } from "../config/index.ts";
import { AwsKeyring } from "./aws-keyring.ts";
import type { Environment } from "./environment.ts";
import type { Exchange } from "./exchange.ts";
import { azureToken, gcpToken } from "./metadata-tokens.ts";
import { Oauth2Tokens } from "./oauth2-tokens.ts";

/** Shows a service who asks. */
export interface Authenticator {
  /** Headers for one request, which is whole but for them. @throws when there is nothing to show. */
  headersFor(url: URL, request: SignableRequest): Promise<Readonly<Record<string, string>>>;
  /** The service did not take what was shown. */
  refused?(): void;
}

export interface SignableRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export interface Surroundings {
  readonly env: Environment;
  /** For the services of a cloud. */
  readonly exchange: Exchange;
  /** For token servers: with the TLS settings of the service. */
  readonly exchangeTrusted: Exchange;
}

export function authenticatorOf(credentials: Credentials | undefined, surroundings: Surroundings): Authenticator {
  const { env, exchange } = surroundings;
  switch (credentials?.kind) {
    case undefined:
    case "client_tls":
      return { headersFor: async () => ({}) };
    case "bearer":
      return { headersFor: async () => ({ authorization: await bearer(credentials) }) };
    case "oauth2":
      return oauth2(credentials, surroundings);
    case "s3_signing":
      return awsSigner(credentials, surroundings);
    case "gcp_metadata":
      return { headersFor: async () => ({ authorization: `Bearer ${await gcpToken(credentials, exchange)}` }) };
    case "azure_managed_identity":
      return { headersFor: async () => ({ authorization: `Bearer ${await azureToken(credentials, env, exchange)}` }) };
  }
}

/** A token file is read anew each time: whoever rotates it need not tell us. */
async function bearer({ token, tokenPath, scheme }: BearerConfig): Promise<string> {
  return `${scheme} ${tokenPath === undefined ? (token ?? "") : (await readFile(tokenPath, "utf8")).trim()}`;
}

const MAX_TOKEN_BYTES = 1024 * 1024;
const TOKEN_MS = 10_000;

function oauth2(config: Oauth2Config, { exchangeTrusted }: Surroundings): Authenticator {
  const tokens = new Oauth2Tokens(config, (headers, body) =>
    exchangeTrusted(new URL(config.tokenUrl), {
      method: "POST",
      headers,
      body,
      timeoutMs: TOKEN_MS,
      totalMs: TOKEN_MS,
      maxBytes: MAX_TOKEN_BYTES,
    }),
  );
  return {
    headersFor: async () => ({ authorization: `Bearer ${await tokens.current()}` }),
    refused: () => tokens.forget(),
  };
}

function awsSigner({ service, version, sources }: AwsSigningConfig, { env, exchange }: Surroundings): Authenticator {
  const keyring = new AwsKeyring(sources, env, exchange);
  return {
    headersFor: async (url, { method, headers, body }) => {
      const { authorization, added } = (version === "4a" ? signV4a : signV4)({
        method,
        host: url.host,
        path: url.pathname,
        query: url.search.slice(1),
        headers: new Map(Object.entries(headers)),
        body: body ?? "",
        service,
        keys: await keyring.current(),
        ms: Date.now(),
      });
      return { ...Object.fromEntries(added), authorization };
    },
    refused: () => keyring.forget(),
  };
}
