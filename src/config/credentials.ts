import { ConfigError } from "./errors.ts";
import type { Section } from "./section.ts";

/** `services.*.credentials`: at most one of them. */
export interface Credentials {
  readonly bearer: BearerConfig | undefined;
  readonly clientTls: ClientTlsConfig | undefined;
  readonly oauth2: Oauth2Config | undefined;
}

export interface BearerConfig {
  readonly token: string | undefined;
  /** Read anew for each request. */
  readonly tokenPath: string | undefined;
  readonly scheme: string;
}

export interface ClientTlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
  readonly passphrase: string | undefined;
}

/** The grant `client_credentials` (RFC 6749 section 4.4). */
export interface Oauth2Config {
  /** https only. */
  readonly tokenUrl: string;
  readonly clientId: string;
  /** How the client proves who it is: one of the three. */
  readonly clientSecret: string;
  readonly clientAssertion: string;
  /** Read anew for each token. */
  readonly clientAssertionPath: string;
  readonly clientAssertionType: string;
  readonly scopes: readonly string[];
  readonly additionalHeaders: Readonly<Record<string, string>>;
  readonly additionalParameters: Readonly<Record<string, string>>;
}

const METHODS = ["bearer", "client_tls", "oauth2", "s3_signing", "gcp_metadata", "azure_managed_identity", "plugin"];
const NONE: Credentials = { bearer: undefined, clientTls: undefined, oauth2: undefined };

/** Messages are OPA's (v1/plugins/rest). @throws {ConfigError} */
export function readCredentials(section: Section): Credentials {
  const given = METHODS.filter((method) => section.has(method));
  if (given.length > 1) throw new ConfigError(`${section.path}: a maximum one credential method must be specified`);
  section.finish();
  const [method] = given;
  switch (method) {
    case undefined:
      return NONE;
    case "bearer":
      return { ...NONE, bearer: readBearer(section.section(method)) };
    case "client_tls":
      return { ...NONE, clientTls: readClientTls(section.section(method)) };
    case "oauth2":
      return { ...NONE, oauth2: readOauth2(section.section(method)) };
    default:
      throw new ConfigError(
        `${section.path}.${method}: this credential method is not supported; use bearer, client_tls or oauth2`,
      );
  }
}

function readBearer(section: Section): BearerConfig {
  const bearer: BearerConfig = {
    token: section.string("token"),
    tokenPath: section.string("token_path"),
    scheme: section.string("scheme", "Bearer"),
  };
  section.finish();
  return bearer;
}

function readClientTls(section: Section): ClientTlsConfig {
  const clientTls: ClientTlsConfig = {
    certFile: section.string("cert", ""),
    keyFile: section.string("private_key", ""),
    passphrase: section.string("private_key_passphrase"),
  };
  section.finish();
  return clientTls;
}

/** Ways to sign an assertion for the token server. */
const SIGNERS = ["signing_key", "aws_kms", "azure_keyvault"];
const PROOFS = ["client_secret", "client_assertion", "client_assertion_path"];
const ALL_PROOFS = "client_secret, signing_key, aws_kms, azure_keyvault, client_assertion, or client_assertion_path";

function readOauth2(section: Section): Oauth2Config {
  const { path } = section;
  const grant = section.string("grant_type", "client_credentials");
  if (grant === "jwt_bearer")
    throw new ConfigError(`${path}.grant_type: jwt_bearer is not supported; use client_credentials`);
  if (grant !== "client_credentials")
    throw new ConfigError(`${path}: grant_type must be either client_credentials or jwt_bearer`);
  const tokenUrl = section.string("token_url", "");
  if (!tokenUrl.startsWith("https://")) throw new ConfigError(`${path}: token_url required to use https scheme`);
  const signer = SIGNERS.find((key) => section.has(key));
  if (signer !== undefined)
    throw new ConfigError(
      `${path}.${signer}: signed assertions are not supported; use client_secret, client_assertion or client_assertion_path`,
    );
  const proofs = PROOFS.filter((key) => section.string(key, "") !== "");
  const [proof] = proofs;
  if (proof === undefined) throw new ConfigError(`${path}: please provide one of ${ALL_PROOFS} required`);
  if (proofs.length > 1) throw new ConfigError(`${path}: can only use one of ${ALL_PROOFS}`);
  const clientId = section.string("client_id", "");
  if (clientId === "") throw new ConfigError(`${path}: client_id and ${proof} required`);
  const oauth2: Oauth2Config = {
    tokenUrl,
    clientId,
    clientSecret: section.string("client_secret", ""),
    clientAssertion: section.string("client_assertion", ""),
    clientAssertionPath: section.string("client_assertion_path", ""),
    clientAssertionType: section.string(
      "client_assertion_type",
      "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    ),
    scopes: section.strings("scopes") ?? [],
    additionalHeaders: section.texts("additional_headers"),
    additionalParameters: section.texts("additional_parameters"),
  };
  section.expect("thumbprint", "additional_claims", "include_jti_claim");
  section.finish();
  return oauth2;
}
