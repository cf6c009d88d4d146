import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Config,
  ConfigError,
  loadConfig,
  nearest,
  type PlainObject,
  publicConfig,
  readConfig,
} from "../../src/config/index.ts";
import { applyOverride } from "../../src/config/overrides.ts";

function read(document: PlainObject): { config: Config; warnings: string[] } {
  const warnings: string[] = [];
  return { config: readConfig(document, (message) => warnings.push(message)), warnings };
}

const plugin = (settings: PlainObject): PlainObject => ({ plugins: { envoy_ext_authz_grpc: settings } });

describe("the plugin's section", () => {
  test("defaults", () => {
    expect(read(plugin({})).config.plugin).toEqual({
      addr: ":9191",
      path: "envoy/authz/allow",
      query: "",
      dryRun: false,
      enableReflection: false,
      protoDescriptor: "",
      maxReceiveBytes: 4_194_304,
      maxSendBytes: 2_147_483_647,
      skipRequestBodyParse: false,
      enablePerformanceMetrics: false,
      durationBuckets: [1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 3e-3, 5e-3, 0.1, 1],
    });
  });

  test("nothing listens without it", () => {
    expect(read({}).config.plugin).toBeUndefined();
  });

  test("null and the legacy name configure it, keys match in any case", () => {
    expect(read({ plugins: { envoy_ext_authz_grpc: null } }).config.plugin?.addr).toBe(":9191");
    expect(read({ plugins: { "envoy.ext_authz.grpc": { Addr: ":1" } } })).toMatchObject({
      config: { plugin: { addr: ":1" } },
      warnings: [],
    });
  });

  test("status reports go to the first service unless they have another place", () => {
    const services = { s: { url: "https://example.com" } };
    expect(read({ services, status: {} }).config.status).toMatchObject({ service: { name: "s" }, console: false });
    expect(read({ services, status: { console: true } }).config.status).toMatchObject({ service: undefined });
    expect(read({ services, status: { prometheus: true, service: "s" } }).config.status).toMatchObject({
      service: { name: "s" },
      prometheus: true,
    });
    expect(read({ status: {} }).config.status).toBeUndefined();
  });

  test("a path and a query exclude each other", () => {
    expect(() => read(plugin({ path: "a", query: "b" }))).toThrow(
      new ConfigError('invalid config: specify a value for only the "path" field'),
    );
  });
});

describe("what is wrong is named", () => {
  test.for([
    { document: plugin({ addr: 1 }), message: "plugins.envoy_ext_authz_grpc.addr: expected a string, got number 1" },
    {
      document: plugin({ "dry-run": "yes" }),
      message: 'plugins.envoy_ext_authz_grpc.dry-run: expected a boolean, got string "yes"',
    },
    { document: { plugins: [] }, message: "plugins: expected an object, got array" },
    { document: { labels: { a: 1 } }, message: "labels.a: expected a string, got number" },
    {
      document: { cardea: { on_error: "denny" } },
      message:
        'cardea.on_error: expected one of deny, error_response, rpc_error, got string "denny"; did you mean "deny"?',
    },
    {
      document: { cardea: { limits: { evaluation_ms: 0 } } },
      message: "cardea.limits.evaluation_ms: expected a whole number of at least 1, got number 0",
    },
    { document: { decision_logs: { service: "x" } }, message: 'invalid service name "x" in decision_logs' },
    {
      document: { decision_logs: { reporting: { min_delay_seconds: 5 } } },
      message: "reporting configuration missing 'max_delay_seconds' in decision_logs",
    },
    {
      document: { bundles: { b: { service: "x" } } },
      message: 'invalid configuration for bundle "b": service name "x" not found',
    },
    {
      document: { bundles: { b: { resource: "file:///x", polling: { min_delay_seconds: 9, max_delay_seconds: 1 } } } },
      message: 'invalid configuration for bundle "b": max polling delay must be >= min polling delay',
    },
    {
      document: { services: [{ name: "s", credentials: { bearer: {}, client_tls: {} } }] },
      message: "services[0].credentials: a maximum one credential method must be specified",
    },
    // What opa-envoy-plugin and opa refuse is refused in their words; what only they can do is named.
    { document: { plugins: { other: {} } }, message: 'plugin "other" not registered' },
    // github.com/open-policy-agent/opa v1/plugins/server
    ...[
      { server: { decoding: { max_length: 0 } }, problem: "decoding.max_length field, should be a positive number" },
      {
        server: { decoding: { gzip: { max_length: -1 } } },
        problem: "decoding.gzip.max_length field, should be a positive number",
      },
      {
        server: { encoding: { gzip: { min_length: 0 } } },
        problem: "encoding.gzip.min_length field, should be a positive number",
      },
      {
        server: { encoding: { gzip: { compression_level: 5 } } },
        problem: "encoding.gzip.compression_level field, accepted values are 0, 1 or 9",
      },
    ].map(({ server, problem }) => ({ document: { server }, message: `invalid value for server.${problem}` })),
    {
      document: { server: { metrics: { prom: { http_request_duration_seconds: { buckets: [1, 1] } } } } },
      message: "server.metrics.prom.http_request_duration_seconds.buckets: expected ascending numbers",
    },
    // github.com/open-policy-agent/opa v1/plugins/discovery/config.go
    { document: { discovery: { service: "s" } }, message: "missing required discovery.resource field" },
    {
      document: { discovery: { resource: "d", service: "s" } },
      message: 'invalid configuration for discovery service: service name "s" not found',
    },
    {
      document: { discovery: { resource: "d" }, services: { a: {}, b: {} } },
      message: "invalid configuration for discovery service: more than one service is defined",
    },
    {
      document: { discovery: { resource: "d", trigger: "manual" }, services: { a: {} } },
      message: "discovery.trigger: manual is not supported, for nothing here can trigger it; use periodic",
    },
    { document: { status: { service: "x" } }, message: 'invalid service name "x" in status' },
    { document: { status: { plugin: "x" } }, message: 'invalid plugin name "x" in status' },
    {
      document: { status: { console: true, trigger: "manual" } },
      message: "status.trigger: manual is not supported, for nothing here can trigger it; use periodic",
    },
    {
      document: { services: { s: { type: "oci" } } },
      message: "services.s.type: oci registries are not supported; serve the bundle over HTTP",
    },
    {
      document: { services: { s: { credentials: { plugin: "p" } } } },
      message:
        "services.s.credentials.plugin: this credential method is not supported; use bearer, client_tls, oauth2, s3_signing, gcp_metadata, azure_managed_identity",
    },
    {
      document: { services: { s: { credentials: { bearer: { token: "a", token_path: "b" } } } } },
      message:
        'services.s.credentials.bearer: invalid config: specify a value for either the "token" or "token_path" field',
    },
    // github.com/open-policy-agent/opa v1/plugins/rest/auth.go
    ...[
      { settings: { token_url: "http://a" }, problem: ": token_url required to use https scheme" },
      { settings: { grant_type: "x" }, problem: ": grant_type must be either client_credentials or jwt_bearer" },
      { settings: { grant_type: "jwt_bearer" }, problem: ": signing_key required for jwt_bearer grant type" },
      {
        settings: {},
        problem:
          ": please provide one of client_secret, signing_key, aws_kms, azure_keyvault, client_assertion, or client_assertion_path required",
      },
      {
        settings: { client_id: "i", client_secret: "s", client_assertion: "a" },
        problem:
          ": can only use one of client_secret, signing_key, aws_kms, azure_keyvault, client_assertion, or client_assertion_path",
      },
      { settings: { client_secret: "s" }, problem: ": client_id and client_secret required" },
      { settings: { signing_key: "k" }, problem: ": signing_key refers to non-existent key" },
      {
        settings: { signing_key: "public" },
        problem: ": referenced signing_key does not include a private key (keys.public.private_key)",
      },
      {
        settings: { signing_key: "odd" },
        problem: ": unknown signature algorithm: none (keys.odd.algorithm)",
      },
      {
        settings: { signing_key: "hmac", thumbprint: "x" },
        problem: '.thumbprint: expected the hexadecimal digits of a fingerprint, got string "x"',
      },
      ...["aws_kms", "azure_keyvault"].map((vault) => ({
        settings: { client_id: "i", [vault]: {} },
        problem: `.${vault}: keys in a remote vault are not supported; use signing_key, client_assertion or client_assertion_path`,
      })),
    ].map(({ settings, problem }) => ({
      document: {
        keys: {
          public: { key: "k" },
          odd: { private_key: "k", algorithm: "none" },
          hmac: { private_key: "k", algorithm: "HS256" },
        },
        services: { s: { credentials: { oauth2: { token_url: "https://a", ...settings } } } },
      },
      message: `services.s.credentials.oauth2${problem}`,
    })),
    // github.com/open-policy-agent/opa v1/plugins/rest/aws.go
    ...[
      { settings: {}, problem: ": a AWS credential service must be specified when S3 signing is enabled" },
      {
        settings: { environment_credentials: {}, service: "ECR" },
        problem: ': aws service "ecr" must be used with service type "oci"',
      },
      {
        settings: { metadata_credentials: { iam_role: "r" } },
        problem: ".metadata_credentials: at least aws_region must be specified for AWS metadata credential service",
      },
      {
        settings: { assume_role_credentials: {} },
        problem:
          ".assume_role_credentials: a AWS signing plugin must be specified when AssumeRole credential provider is enabled (aws_signing)",
      },
      {
        settings: { assume_role_credentials: { aws_signing: { sso_credentials: {} } } },
        problem:
          ".assume_role_credentials.aws_signing: unsupported AWS signing plugin with AssumeRole credential provider",
      },
      {
        settings: { sso_credentials: {} },
        problem:
          ".sso_credentials: single sign-on is not supported; use profile_credentials or assume_role_credentials",
      },
      {
        settings: { environment_credentials: {}, signature_version: "3" },
        problem: '.signature_version: expected one of 4, 4a, got string "3"; did you mean "4"?',
      },
    ].map(({ settings, problem }) => ({
      document: { services: { s: { credentials: { s3_signing: settings } } } },
      message: `services.s.credentials.s3_signing${problem}`,
    })),
    ...[
      { settings: {}, problem: ": audience or scopes is required when gcp metadata is enabled" },
      {
        settings: { audience: "a", scopes: ["s"] },
        problem: ": either audience or scopes can be set, not both, when gcp metadata is enabled",
      },
      {
        settings: { audience: "a", endpoint: "metadata" },
        problem: '.endpoint: expected a URL of http or https, got string "metadata"',
      },
    ].map(({ settings, problem }) => ({
      document: { services: { s: { credentials: { gcp_metadata: settings } } } },
      message: `services.s.credentials.gcp_metadata${problem}`,
    })),
  ])("$message", ({ document, message }) => {
    expect(() => read(document as unknown as PlainObject)).toThrow(new ConfigError(message));
  });

  test.for([
    {
      document: plugin({ pth: "a" }),
      warning: 'plugins.envoy_ext_authz_grpc.pth is not a known key; did you mean "path"?',
    },
    { document: { descision_logs: {} }, warning: 'descision_logs is not a known key; did you mean "decision_logs"?' },
    {
      document: { cardea: { limits: { evaluationMs: 5 } } },
      warning: 'cardea.limits.evaluationMs is not a known key; did you mean "evaluation_ms"?',
    },
    { document: { storage: {} }, warning: "storage has no effect here" },
    { document: { whatever_this_is: 1 }, warning: "whatever_this_is is not a known key" },
  ])("$warning", ({ document, warning }) => {
    expect(read(document as unknown as PlainObject).warnings).toEqual([warning]);
  });

  test("words that are nothing alike get no advice", () => {
    expect(nearest("zebra", ["path", "addr"])).toBeUndefined();
  });
});

// github.com/helm strvals, which OPA uses
describe("--set", () => {
  test.for([
    { text: "a=1,b.c=x,d=true,e=null", want: { a: 1, b: { c: "x" }, d: true, e: null } },
    { text: "a={x,2,true}", want: { a: ["x", 2, true] } },
    { text: "a={}", want: { a: [] } },
    { text: "a[0].b=1,a[1].b=2", want: { a: [{ b: 1 }, { b: 2 }] } },
    { text: "a=x\\,y,b\\.c=1", want: { a: "x,y", "b.c": 1 } },
    { text: "a=007,b=1.5,c=-3", want: { a: "007", b: "1.5", c: -3 } },
    {
      text: "plugins.envoy_ext_authz_grpc.addr=0.0.0.0:9191",
      want: { plugins: { envoy_ext_authz_grpc: { addr: "0.0.0.0:9191" } } },
    },
    { text: "a=", want: { a: "" } },
  ])("$text", ({ text, want }) => {
    const config = {};
    applyOverride(config, text);
    expect(config).toEqual(want);
  });

  test("replaces what is there", () => {
    const config = { a: { b: 1, c: 2 }, l: [{ x: 1, y: 2 }] };
    applyOverride(config, "a.b=9,l[0].x=5");
    expect(config).toEqual({ a: { b: 9, c: 2 }, l: [{ x: 5, y: 2 }] });
  });

  test("cannot reach a prototype", () => {
    applyOverride({}, "__proto__.polluted=1");
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  test.for(["a", "a[x]=1", "a[0=1", "a={1,2"])("%s is refused", (text) => {
    expect(() => applyOverride({}, text)).toThrow(ConfigError);
  });
});

describe("the file", () => {
  let root = "";
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "cardea-config-"));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  async function load(text: string, more: { set?: string[]; setFile?: string[] } = {}): Promise<Config> {
    const file = join(root, "config.yaml");
    await writeFile(file, text);
    return loadConfig(
      { file, set: more.set ?? [], setFile: more.setFile ?? [], env: { PORT: "1234" } },
      () => undefined,
    );
  }

  test("environment variables are replaced, unknown ones by nothing", async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of the configuration file
    const config = await load('plugins:\n  envoy_ext_authz_grpc:\n    addr: ":${PORT}"\nlabels: {a: "x${NONE}y"}\n');
    expect([config.plugin?.addr, config.labels]).toEqual([":1234", { a: "xy" }]);
  });

  test("flags come over the file", async () => {
    await writeFile(join(root, "token"), "a,b");
    const config = await load("labels: {a: file, b: file}", {
      set: ["labels.a=flag"],
      setFile: [`labels.c=${join(root, "token")}`],
    });
    expect(config.labels).toEqual({ a: "flag", b: "file", c: "a,b" });
  });

  test("an empty file is an empty configuration", async () => {
    expect((await load("")).plugin).toBeUndefined();
  });

  test.for([{ text: "[1]" }, { text: "a: [" }, { text: "just words" }])("$text is refused", async ({ text }) => {
    await expect(load(text)).rejects.toThrow(ConfigError);
  });
});

test("what is shown holds no secrets", () => {
  const { config } = read({
    services: { s: { url: "https://example.com", credentials: { bearer: { token: "t0ken" } } } },
    keys: { k: { key: "s3cret", algorithm: "HS256", private_key: "pr1vate" } },
  });
  const text = JSON.stringify(publicConfig(config, { id: "i" }));
  expect(text).not.toMatch(/t0ken|s3cret|pr1vate/);
  expect(text).toContain("https://example.com");
});
