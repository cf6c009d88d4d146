import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type AwsKeys, signV4, signV4a } from "../aws/index.ts";
import type { AwsKeySource } from "../config/index.ts";
import { type Environment, firstGiven } from "./environment.ts";
import type { Exchange, Outgoing } from "./exchange.ts";

type SourceOf<K extends AwsKeySource["kind"]> = Extract<AwsKeySource, { readonly kind: K }>;

/** Addresses within EC2 and ECS. */
const EC2_KEYS = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";
const EC2_TOKEN = "http://169.254.169.254/latest/api/token";
const ECS_KEYS = "http://169.254.170.2";

/** Keys that expire within this time are replaced. */
const MIN_LIFETIME_MS = 5 * 60_000;
const ANSWER_MS = 10_000;
const MAX_ANSWER_BYTES = 1024 * 1024;
const DEFAULT_SESSION = "open-policy-agent";

interface Borrowed {
  readonly keys: AwsKeys;
  readonly expiresAtMs: number;
}

/** Keys for AWS signatures, from where OPA takes them (v1/plugins/rest/aws.go). */
export class AwsKeyring {
  readonly #sources: readonly AwsKeySource[];
  readonly #env: Environment;
  readonly #exchange: Exchange;
  /** Those that a service lent. */
  readonly #borrowed = new Map<AwsKeySource, Borrowed>();
  #underWay: Promise<AwsKeys> | undefined;

  constructor(sources: readonly AwsKeySource[], env: Environment, exchange: Exchange) {
    this.#sources = sources;
    this.#env = env;
    this.#exchange = exchange;
  }

  /** Keys of the first source that has some; however many ask, one looks at a time. @throws */
  current(): Promise<AwsKeys> {
    this.#underWay ??= this.#find().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  /** The next request borrows new ones. */
  forget(): void {
    this.#borrowed.clear();
  }

  async #find(): Promise<AwsKeys> {
    const problems: string[] = [];
    for (const source of this.#sources) {
      try {
        return await this.#from(source);
      } catch (cause) {
        problems.push(cause instanceof Error ? cause.message : String(cause));
      }
    }
    throw new Error(`failed to get aws credentials: all AWS credential providers failed: ${problems.join("; ")}`);
  }

  #from(source: AwsKeySource): Promise<AwsKeys> {
    switch (source.kind) {
      case "environment":
        return this.#fromEnvironment();
      case "profile":
        return this.#fromProfile(source);
      case "metadata":
        return this.#borrow(source, () => this.#fromMetadata(source));
      case "web_identity":
        return this.#borrow(source, () => this.#fromWebIdentity(source));
      case "assume_role":
        return this.#borrow(source, () => this.#fromRole(source));
    }
  }

  async #borrow(source: AwsKeySource, ask: () => Promise<Borrowed>): Promise<AwsKeys> {
    const known = this.#borrowed.get(source);
    if (known !== undefined && known.expiresAtMs - Date.now() > MIN_LIFETIME_MS) return known.keys;
    const fresh = await ask();
    this.#borrowed.set(source, fresh);
    return fresh.keys;
  }

  async #fromEnvironment(): Promise<AwsKeys> {
    return {
      accessKey: this.#variable("AWS_ACCESS_KEY_ID"),
      secretKey: this.#variable("AWS_SECRET_ACCESS_KEY"),
      region: this.#variable("AWS_REGION"),
      sessionToken: firstGiven(this.#env["AWS_SESSION_TOKEN"], this.#env["AWS_SECURITY_TOKEN"]),
    };
  }

  async #fromProfile(source: SourceOf<"profile">): Promise<AwsKeys> {
    const { AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: profile, HOME: home = "" } = this.#env;
    const path = firstGiven(source.path, file, join(home, ".aws", "credentials"));
    const name = firstGiven(source.profile, profile, "default");
    const section = readProfiles(await readText(path)).get(name);
    if (section === undefined) throw new Error(`${path}: there is no profile ${JSON.stringify(name)}`);
    const setting = (key: string): string => {
      const value = section.get(key) ?? "";
      if (value !== "") return value;
      throw new Error(`profile ${JSON.stringify(name)} in credentials file ${path} does not contain "${key}"`);
    };
    return {
      accessKey: setting("aws_access_key_id"),
      secretKey: setting("aws_secret_access_key"),
      sessionToken: section.get("aws_session_token") ?? "",
      region: this.#region(source.region),
    };
  }

  async #fromMetadata({ role, region }: SourceOf<"metadata">): Promise<Borrowed> {
    const {
      AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: relative,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: full,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: token,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile,
    } = this.#env;
    const url = role !== "" ? EC2_KEYS + role : relative !== undefined ? ECS_KEYS + relative : full;
    if (url === undefined)
      throw new Error("metadata endpoint cannot be determined from settings and environment (iam_role)");
    const headers: Record<string, string> = {};
    if (full !== undefined) {
      const text = tokenFile === undefined ? token : await readText(tokenFile);
      if (text === undefined) throw new Error("unable to get ECS metadata authorization token");
      headers["authorization"] = text.trim();
    }
    if (full === undefined && relative === undefined) {
      // Version 2 of EC2's service gives nothing without a session: that stops requests forged through a server.
      const session = { method: "PUT", headers: { "x-aws-ec2-metadata-token-ttl-seconds": "60" } } as const;
      headers["x-aws-ec2-metadata-token"] = await this.#ask("metadata token", EC2_TOKEN, session);
    }
    const answer = readObject("metadata", await this.#ask("metadata", url, { method: "GET", headers }));
    // ECS does not tell.
    if (role !== "" && answer["Code"] !== "Success")
      throw new Error(`metadata service query did not succeed: ${String(answer["Code"])}`);
    return borrowed("metadata", { ...answer, SessionToken: answer["Token"] }, this.#region(region));
  }

  async #fromWebIdentity(source: SourceOf<"web_identity">): Promise<Borrowed> {
    const roleArn = source.roleArn === "" ? this.#variable("AWS_ROLE_ARN") : source.roleArn;
    const file = source.tokenFile === "" ? this.#variable("AWS_WEB_IDENTITY_TOKEN_FILE") : source.tokenFile;
    const region = this.#region(source.region);
    const form = {
      Action: "AssumeRoleWithWebIdentity",
      RoleArn: roleArn,
      RoleSessionName: firstGiven(source.sessionName, DEFAULT_SESSION),
      Version: "2011-06-15",
      WebIdentityToken: await readText(file),
    };
    return this.#askSts(source, region, form);
  }

  async #fromRole(source: SourceOf<"assume_role">): Promise<Borrowed> {
    const form = {
      Action: "AssumeRole",
      RoleArn: source.roleArn === "" ? this.#variable("AWS_ROLE_ARN") : source.roleArn,
      RoleSessionName: firstGiven(source.sessionName, DEFAULT_SESSION),
      Version: "2011-06-15",
    };
    const region = this.#region(source.region);
    return this.#askSts(source, region, form, { keys: await this.#from(source.signedBy), version: source.version });
  }

  async #askSts(
    source: SourceOf<"web_identity" | "assume_role">,
    region: string,
    form: Readonly<Record<string, string>>,
    signing?: { readonly keys: AwsKeys; readonly version: "4" | "4a" },
  ): Promise<Borrowed> {
    const domain = firstGiven(source.domain, this.#env["AWS_DOMAIN"], "amazonaws.com").toLowerCase();
    const url = new URL(`https://sts.${region.toLowerCase()}.${domain}/`);
    const body = Buffer.from(new URLSearchParams(form).toString());
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const signed = signing && {
      method: "POST",
      host: url.host,
      path: url.pathname,
      query: "",
      headers: new Map(Object.entries(headers)),
      body,
      service: "sts",
      keys: signing.keys,
      ms: Date.now(),
    };
    const proof = signed && (signing.version === "4a" ? signV4a : signV4)(signed);
    const text = await this.#ask("STS", url.href, {
      method: "POST",
      headers: {
        ...headers,
        ...(proof !== undefined && { ...Object.fromEntries(proof.added), authorization: proof.authorization }),
      },
      body,
    });
    return borrowed("STS", readStsAnswer(text), region);
  }

  async #ask(name: string, url: string, request: Pick<Outgoing, "method" | "headers" | "body">): Promise<string> {
    const limits = { timeoutMs: ANSWER_MS, totalMs: ANSWER_MS, maxBytes: MAX_ANSWER_BYTES };
    const { status, body } = await this.#exchange(new URL(url), { ...request, ...limits });
    if (status !== 200) throw new Error(`${name} HTTP request returned unexpected status: ${status}`);
    return Buffer.from(body).toString("utf8");
  }

  #region(configured: string): string {
    return configured === "" ? this.#variable("AWS_REGION", " or configuration") : configured;
  }

  #variable(name: string, elsewhere = ""): string {
    const value = this.#env[name] ?? "";
    if (value === "") throw new Error(`no ${name} set in environment${elsewhere}`);
    return value;
  }
}

async function readText(path: string): Promise<string> {
  return readFile(path, "utf8");
}

/** The INI file that AWS's tools share. */
export function readProfiles(text: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const profiles = new Map<string, Map<string, string>>();
  let profile = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const plain = line.replace(/(^|\s)[#;].*$/, "").trim();
    const [, name] = /^\[(.*)\]$/.exec(plain) ?? [];
    if (name !== undefined) {
      profile = profiles.get(name.trim()) ?? new Map();
      profiles.set(name.trim(), profile);
      continue;
    }
    const [, key, value] = /^([^=:]+?)\s*[=:]\s*(.*)$/.exec(plain) ?? [];
    if (key !== undefined && value !== undefined) profile.set(key, value.replace(/^(["'])(.*)\1$/, "$2"));
  }
  return profiles;
}

function readObject(name: string, text: string): Readonly<Record<string, unknown>> {
  const answer: unknown = parse(name, text);
  if (typeof answer === "object" && answer !== null) return answer as Record<string, unknown>;
  throw new Error(`failed to parse credential response from ${name} service: it is not an object`);
}

function parse(name: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    // The text holds secrets, and the parser's message would quote it.
    throw new Error(`failed to parse credential response from ${name} service: it is not JSON`, { cause });
  }
}

const STS_MEMBERS = ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"];

/** The four texts of `Credentials` in an answer of STS, which is XML without attributes there. */
function readStsAnswer(text: string): Readonly<Record<string, string | undefined>> {
  const credentials = between(text, "Credentials") ?? "";
  return Object.fromEntries(STS_MEMBERS.map((member) => [member, between(credentials, member)]));
}

function between(text: string, tag: string): string | undefined {
  const start = text.indexOf(`<${tag}>`);
  const end = text.indexOf(`</${tag}>`, start);
  if (start === -1 || end === -1) return undefined;
  return text
    .slice(start + tag.length + 2, end)
    .replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => XML_ENTITIES.get(name) ?? "")
    .trim();
}

const XML_ENTITIES: ReadonlyMap<string, string> = new Map([
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["apos", "'"],
  ["amp", "&"],
]);

function borrowed(name: string, answer: Readonly<Record<string, unknown>>, region: string): Borrowed {
  const member = (key: string): string => {
    const value = answer[key];
    if (typeof value === "string" && value !== "") return value;
    throw new Error(`failed to parse credential response from ${name} service: it has no ${key}`);
  };
  const expiresAtMs = Date.parse(member("Expiration"));
  if (Number.isNaN(expiresAtMs))
    throw new Error(`failed to parse credential response from ${name} service: Expiration is no time`);
  const keys = {
    accessKey: member("AccessKeyId"),
    secretKey: member("SecretAccessKey"),
    sessionToken: member("SessionToken"),
    region,
  };
  return { keys, expiresAtMs };
}
