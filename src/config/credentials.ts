import { createPrivateKey } from "node:crypto";
import { ConfigError } from "./errors.ts";
import type { KeyConfig } from "./keys.ts";
import type { Plain, Section } from "./section.ts";

/** `services.*.credentials`: one method. */
export type Credentials =
  | BearerConfig
  | ClientTlsConfig
  | Oauth2Config
  | AwsSigningConfig
  | GcpMetadataConfig
  | AzureIdentityConfig;

export interface BearerConfig {
  readonly kind: "bearer";
  readonly token: string | undefined;
  /** Read anew for each request. */
  readonly tokenPath: string | undefined;
  readonly scheme: string;
}

export interface ClientTlsConfig {
  readonly kind: "client_tls";
  readonly certFile: string;
  readonly keyFile: string;
  readonly passphrase: string | undefined;
}

/** The grants `client_credentials` (RFC 6749 section 4.4) and `jwt-bearer` (RFC 7523). */
export interface Oauth2Config {
  readonly kind: "oauth2";
  /** https only. */
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly proof: Oauth2Proof;
  readonly scopes: readonly string[];
  readonly additionalHeaders: Readonly<Record<string, string>>;
  readonly additionalParameters: Readonly<Record<string, string>>;
}

/** How the client proves who it is. */
export type Oauth2Proof =
  | { readonly kind: "secret"; readonly secret: string }
  | { readonly kind: "assertion"; readonly text: string; readonly type: string }
  /** Read anew for each token. */
  | { readonly kind: "assertion_file"; readonly path: string; readonly type: string }
  | SignedProof;

export interface SignedProof {
  readonly kind: "signed";
  /** PEM, or the secret of an HMAC. */
  readonly privateKey: string;
  readonly algorithm: string;
  /** SHA-1 of the certificate, as the header has it; empty for none. */
  readonly x5t: string;
  readonly claims: Readonly<Record<string, Plain>>;
  readonly includesJti: boolean;
  /** The assertion is the grant itself instead of the client's proof. */
  readonly isGrant: boolean;
}

/** `s3_signing`: AWS signatures. */
export interface AwsSigningConfig {
  readonly kind: "s3_signing";
  readonly service: string;
  readonly version: "4" | "4a";
  /** Asked in turn until one has keys. */
  readonly sources: readonly AwsKeySource[];
}

/** Empty texts are looked up in the environment. */
export type AwsKeySource =
  | { readonly kind: "environment" }
  | { readonly kind: "profile"; readonly path: string; readonly profile: string; readonly region: string }
  /** EC2's service for a named role, else the one ECS names in the environment. */
  | { readonly kind: "metadata"; readonly role: string; readonly region: string }
  | {
      readonly kind: "web_identity";
      readonly roleArn: string;
      readonly tokenFile: string;
      readonly region: string;
      readonly sessionName: string;
      readonly domain: string;
    }
  | {
      readonly kind: "assume_role";
      readonly roleArn: string;
      readonly region: string;
      readonly sessionName: string;
      readonly domain: string;
      /** Whose keys sign the request for the role. */
      readonly signedBy: AwsKeySource;
      readonly version: "4" | "4a";
    };

export interface GcpMetadataConfig {
  readonly kind: "gcp_metadata";
  readonly endpoint: string;
  readonly accessTokenPath: string;
  readonly identityTokenPath: string;
  /** Of an identity token; empty for an access token with the scopes. */
  readonly audience: string;
  readonly scopes: readonly string[];
}

export interface AzureIdentityConfig {
  readonly kind: "azure_managed_identity";
  /** Empty: the environment's, or the metadata service of the virtual machine. */
  readonly endpoint: string;
  readonly apiVersion: string;
  readonly resource: string;
  readonly objectId: string;
  readonly clientId: string;
  readonly resourceId: string;
  readonly usesAppService: boolean;
}

const METHODS = ["bearer", "client_tls", "oauth2", "s3_signing", "gcp_metadata", "azure_managed_identity", "plugin"];

/** Messages are OPA's (v1/plugins/rest). @throws {ConfigError} */
export function readCredentials(section: Section, keys: ReadonlyMap<string, KeyConfig>): Credentials | undefined {
  const given = METHODS.filter((method) => section.has(method));
  if (given.length > 1) throw new ConfigError(`${section.path}: a maximum one credential method must be specified`);
  section.finish();
  const [method] = given;
  switch (method) {
    case undefined:
      return undefined;
    case "bearer":
      return readBearer(section.section(method));
    case "client_tls":
      return readClientTls(section.section(method));
    case "oauth2":
      return readOauth2(section.section(method), keys);
    case "s3_signing":
      return readAwsSigning(section.section(method));
    case "gcp_metadata":
      return readGcpMetadata(section.section(method));
    case "azure_managed_identity":
      return readAzureIdentity(section.section(method));
    default:
      throw new ConfigError(
        `${section.path}.${method}: this credential method is not supported; use ${METHODS.slice(0, -1).join(", ")}`,
      );
  }
}

function readBearer(section: Section): BearerConfig {
  const token = section.string("token");
  const tokenPath = section.string("token_path");
  if ((token ?? "") !== "" && (tokenPath ?? "") !== "")
    throw new ConfigError(
      `${section.path}: invalid config: specify a value for either the "token" or "token_path" field`,
    );
  const scheme = section.string("scheme", "");
  section.finish();
  return { kind: "bearer", token, tokenPath, scheme: scheme === "" ? "Bearer" : scheme };
}

function readClientTls(section: Section): ClientTlsConfig {
  const clientTls: ClientTlsConfig = {
    kind: "client_tls",
    certFile: section.string("cert", ""),
    keyFile: section.string("private_key", ""),
    passphrase: section.string("private_key_passphrase"),
  };
  section.finish();
  return clientTls;
}

const PROOFS = [
  "client_secret",
  "signing_key",
  "aws_kms",
  "azure_keyvault",
  "client_assertion",
  "client_assertion_path",
];
const ALL_PROOFS = "client_secret, signing_key, aws_kms, azure_keyvault, client_assertion, or client_assertion_path";
const CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

function readOauth2(section: Section, keys: ReadonlyMap<string, KeyConfig>): Oauth2Config {
  const { path } = section;
  const grant = section.string("grant_type", "client_credentials");
  if (grant !== "client_credentials" && grant !== "jwt_bearer")
    throw new ConfigError(`${path}: grant_type must be either client_credentials or jwt_bearer`);
  const tokenUrl = section.string("token_url", "");
  if (!tokenUrl.startsWith("https://")) throw new ConfigError(`${path}: token_url required to use https scheme`);
  const remote = ["aws_kms", "azure_keyvault"].find((key) => section.has(key));
  if (remote !== undefined)
    throw new ConfigError(
      `${path}.${remote}: keys in a remote vault are not supported; use signing_key, client_assertion or client_assertion_path`,
    );
  const clientId = section.string("client_id", "");
  const oauth2: Oauth2Config = {
    kind: "oauth2",
    tokenUrl,
    clientId,
    proof: grant === "jwt_bearer" ? readSigned(section, keys, true) : readProof(section, keys, clientId),
    scopes: section.strings("scopes") ?? [],
    additionalHeaders: section.texts("additional_headers"),
    additionalParameters: section.texts("additional_parameters"),
  };
  section.expect(...PROOFS, "client_assertion_type", "thumbprint", "additional_claims", "include_jti_claim");
  section.expect("aws_signing", "azure_signing");
  section.finish();
  return oauth2;
}

function readProof(section: Section, keys: ReadonlyMap<string, KeyConfig>, clientId: string): Oauth2Proof {
  const { path } = section;
  const proofs = PROOFS.filter((key) => section.string(key, "") !== "");
  const [proof] = proofs;
  if (proof === undefined) throw new ConfigError(`${path}: please provide one of ${ALL_PROOFS} required`);
  if (proofs.length > 1) throw new ConfigError(`${path}: can only use one of ${ALL_PROOFS}`);
  if (proof === "signing_key") return readSigned(section, keys, false);
  if (clientId === "") throw new ConfigError(`${path}: client_id and ${proof} required`);
  const value = section.string(proof, "");
  if (proof === "client_secret") return { kind: "secret", secret: value };
  const given = section.string("client_assertion_type", "");
  const type = given === "" ? CLIENT_ASSERTION_TYPE : given;
  return proof === "client_assertion"
    ? { kind: "assertion", text: value, type }
    : { kind: "assertion_file", path: value, type };
}

function readSigned(section: Section, keys: ReadonlyMap<string, KeyConfig>, isGrant: boolean): SignedProof {
  const { path } = section;
  const id = section.string("signing_key", "");
  if (id === "") throw new ConfigError(`${path}: signing_key required for jwt_bearer grant type`);
  const key = keys.get(id);
  if (key === undefined) throw new ConfigError(`${path}: signing_key refers to non-existent key`);
  if (key.privateKey === "")
    throw new ConfigError(`${path}: referenced signing_key does not include a private key (keys.${id}.private_key)`);
  if (!/^([EPR]S|HS)(256|384|512)$/.test(key.algorithm))
    throw new ConfigError(`${path}: unknown signature algorithm: ${key.algorithm} (keys.${id}.algorithm)`);
  if (!key.algorithm.startsWith("HS")) checkPrivateKey(`keys.${id}.private_key`, key.privateKey);
  const thumbprint = section.string("thumbprint", "");
  if (!/^([0-9A-Fa-f]{2})*$/.test(thumbprint))
    throw section.wrong("thumbprint", "the hexadecimal digits of a fingerprint", thumbprint);
  return {
    kind: "signed",
    privateKey: key.privateKey,
    algorithm: key.algorithm,
    // Padded, as OPA writes it.
    x5t: Buffer.from(thumbprint, "hex").toString("base64").replaceAll("+", "-").replaceAll("/", "_"),
    claims: section.object("additional_claims"),
    includesJti: section.boolean("include_jti_claim", false),
    isGrant,
  };
}

function checkPrivateKey(path: string, pem: string): void {
  try {
    createPrivateKey(pem);
  } catch (cause) {
    throw new ConfigError(`${path}: expected a private key in PEM: ${(cause as Error).message}`, { cause });
  }
}

function readAwsSigning(section: Section): AwsSigningConfig {
  const { path } = section;
  const sources = readAwsSources(section);
  if (sources.length === 0)
    throw new ConfigError(`${path}: a AWS credential service must be specified when S3 signing is enabled`);
  const service = section.string("service", "").toLowerCase();
  if (service === "ecr") throw new ConfigError(`${path}: aws service "ecr" must be used with service type "oci"`);
  const version = readSignatureVersion(section);
  section.finish();
  return { kind: "s3_signing", service: service === "" ? "s3" : service, version, sources };
}

function readSignatureVersion(section: Section): "4" | "4a" {
  return section.choice("signature_version", ["4", "4a"], "4");
}

/** In the order in which OPA asks them, which is that of AWS's own libraries. */
function readAwsSources(section: Section): readonly AwsKeySource[] {
  const sources: AwsKeySource[] = [];
  if (section.has("environment_credentials")) sources.push(readEnvironmentSource(section));
  if (section.has("assume_role_credentials")) sources.push(readAssumeRole(section.section("assume_role_credentials")));
  if (section.has("web_identity_credentials")) sources.push(readWebIdentity(section, false));
  if (section.has("profile_credentials")) sources.push(readProfile(section));
  if (section.has("metadata_credentials")) {
    const metadata = readMetadata(section);
    if (metadata.region === "")
      throw new ConfigError(
        `${section.path}.metadata_credentials: at least aws_region must be specified for AWS metadata credential service`,
      );
    sources.push(metadata);
  }
  if (section.has("sso_credentials"))
    throw new ConfigError(
      `${section.path}.sso_credentials: single sign-on is not supported; use profile_credentials or assume_role_credentials`,
    );
  return sources;
}

function readEnvironmentSource(section: Section): AwsKeySource {
  section.section("environment_credentials").finish();
  return { kind: "environment" };
}

function readProfile(parent: Section): AwsKeySource {
  const section = parent.section("profile_credentials");
  const source: AwsKeySource = {
    kind: "profile",
    path: section.string("path", ""),
    profile: section.string("profile", ""),
    region: section.string("aws_region", ""),
  };
  section.finish();
  return source;
}

function readMetadata(parent: Section): AwsKeySource & { readonly kind: "metadata" } {
  const section = parent.section("metadata_credentials");
  const source = {
    kind: "metadata" as const,
    role: section.string("iam_role", ""),
    region: section.string("aws_region", ""),
  };
  section.finish();
  return source;
}

/** @param namesRole  By itself, role and token file are the environment's, as OPA has it. */
function readWebIdentity(parent: Section, namesRole: boolean): AwsKeySource {
  const section = parent.section("web_identity_credentials");
  const source: AwsKeySource = {
    kind: "web_identity",
    roleArn: namesRole ? section.string("iam_role_arn", "") : "",
    tokenFile: namesRole ? section.string("web_identity_token_file", "") : "",
    region: section.string("aws_region", ""),
    sessionName: section.string("session_name", ""),
    domain: section.string("aws_domain", ""),
  };
  if (namesRole && source.roleArn === "")
    throw new ConfigError(
      `${section.path}: RoleArn must be set in configuration for AWS Web Identity signing plugin (iam_role_arn)`,
    );
  section.finish();
  return source;
}

function readAssumeRole(section: Section): AwsKeySource {
  const { path } = section;
  if (!section.has("aws_signing"))
    throw new ConfigError(
      `${path}: a AWS signing plugin must be specified when AssumeRole credential provider is enabled (aws_signing)`,
    );
  const signing = section.section("aws_signing");
  const signedBy = signing.has("environment_credentials")
    ? readEnvironmentSource(signing)
    : signing.has("profile_credentials")
      ? readProfile(signing)
      : signing.has("web_identity_credentials")
        ? readWebIdentity(signing, true)
        : signing.has("metadata_credentials")
          ? readMetadata(signing)
          : undefined;
  if (signedBy === undefined)
    throw new ConfigError(`${path}.aws_signing: unsupported AWS signing plugin with AssumeRole credential provider`);
  const version = readSignatureVersion(signing);
  signing.expect("service");
  signing.finish();
  const source: AwsKeySource = {
    kind: "assume_role",
    roleArn: section.string("iam_role_arn", ""),
    region: section.string("aws_region", ""),
    sessionName: section.string("session_name", ""),
    domain: section.string("aws_domain", ""),
    signedBy,
    version,
  };
  section.finish();
  return source;
}

const GCP_ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default";

function readGcpMetadata(section: Section): GcpMetadataConfig {
  const { path } = section;
  const audience = section.string("audience", "");
  const scopes = section.strings("scopes") ?? [];
  if (audience === "" && scopes.length === 0)
    throw new ConfigError(`${path}: audience or scopes is required when gcp metadata is enabled`);
  if (audience !== "" && scopes.length > 0)
    throw new ConfigError(`${path}: either audience or scopes can be set, not both, when gcp metadata is enabled`);
  const config: GcpMetadataConfig = {
    kind: "gcp_metadata",
    endpoint: section.url("endpoint", "http://metadata.google.internal"),
    accessTokenPath: section.string("access_token_path", `${GCP_ACCOUNT}/token`),
    identityTokenPath: section.string("identity_token_path", `${GCP_ACCOUNT}/identity`),
    audience,
    scopes,
  };
  section.finish();
  return config;
}

function readAzureIdentity(section: Section): AzureIdentityConfig {
  const config: AzureIdentityConfig = {
    kind: "azure_managed_identity",
    endpoint: section.url("endpoint", ""),
    apiVersion: section.string("api_version", ""),
    resource: section.string("resource", "https://storage.azure.com/"),
    objectId: section.string("object_id", ""),
    clientId: section.string("client_id", ""),
    resourceId: section.string("mi_res_id", ""),
    usesAppService: section.boolean("use_app_service_msi", false),
  };
  section.finish();
  return config;
}
