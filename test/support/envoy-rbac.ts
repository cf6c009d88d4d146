import { quotePattern } from "../../src/istio/templates.ts";

/** A policy as a case has it: JSON, already known to be valid. */
export interface PlainPolicy {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly action?: string;
    readonly selector?: unknown;
    readonly targetRefs?: unknown;
    readonly rules?: readonly PlainRule[];
  };
}

interface PlainRule {
  readonly from?: readonly { readonly source: Lists }[];
  readonly to?: readonly { readonly operation: Lists }[];
  readonly when?: readonly {
    readonly key: string;
    readonly values?: readonly string[];
    readonly notValues?: readonly string[];
  }[];
}
type Lists = Readonly<Record<string, readonly string[]>>;
type Json = { readonly [key: string]: unknown };

/** Thrown for what this translation leaves out; such a case is not asked of Envoy. */
export class Untranslatable extends Error {}

/**
 * Policies as the RBAC filters istiod makes of them: DENY, then ALLOW. It shares nothing with the product's own lowering,
 * so that the two can disagree. @source istio pilot/pkg/security/authz/{builder,model,matcher}
 */
export function toRbacFilters(policies: readonly PlainPolicy[]): readonly Json[] {
  const filters: Json[] = [];
  for (const action of ["DENY", "ALLOW"]) {
    const chosen = policies.filter(({ spec }) => (spec.action ?? "ALLOW") === action);
    if (chosen.length === 0) continue;
    const rules: Record<string, Json> = {};
    for (const { metadata, spec } of chosen) {
      const list = spec.rules ?? [];
      if (list.length === 0)
        rules[`${metadata.namespace}/${metadata.name}`] = {
          permissions: [{ not_rule: { any: true } }],
          principals: [{ not_id: { any: true } }],
        };
      list.forEach((rule, i) => {
        rules[`${metadata.namespace}/${metadata.name}/${i}`] = translateRule(rule, metadata.namespace);
      });
    }
    filters.push({
      name: `envoy.filters.http.rbac.${action}`,
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        rules: { action, policies: rules },
      },
    });
  }
  return filters;
}

function translateRule(rule: PlainRule, namespace: string): Json {
  const conditions = (rule.when ?? []).flatMap(({ key, values, notValues }) =>
    both(values, notValues, (value) => principalOf(key, value, namespace)),
  );
  const principals = (rule.from ?? [{ source: {} }]).map(({ source }) => {
    refuseUnknown(source, Object.keys(SOURCE));
    const ids = Object.keys(SOURCE).flatMap((field) =>
      both(source[field], source[twin(field)], (value) => principalOf(SOURCE[field] as string, value, namespace)),
    );
    return { and_ids: { ids: orAny([...ids, ...conditions]) } };
  });
  const permissions = (rule.to ?? [{ operation: {} }]).map(({ operation }) => {
    const known = ["hosts", "methods", "paths"];
    refuseUnknown(operation, known);
    const all = known.flatMap((field) => {
      const lists: Json[] = [];
      if (operation[field] !== undefined)
        lists.push({ or_rules: { rules: operation[field].map((value) => permissionOf(field, value)) } });
      const not = operation[twin(field)];
      if (not !== undefined)
        lists.push({ not_rule: { or_rules: { rules: not.map((value) => permissionOf(field, value)) } } });
      return lists;
    });
    return { and_rules: { rules: orAny(all) } };
  });
  return { permissions, principals };
}

const SOURCE: Readonly<Record<string, string>> = {
  principals: "source.principal",
  requestPrincipals: "request.auth.principal",
  namespaces: "source.namespace",
  serviceAccounts: "source.serviceAccount",
};

function refuseUnknown(lists: Lists, known: readonly string[]): void {
  const names = known.flatMap((name) => [name, twin(name)]);
  for (const field of Object.keys(lists)) if (!names.includes(field)) throw new Untranslatable(field);
}

function twin(field: string): string {
  return `not${field.charAt(0).toUpperCase()}${field.slice(1)}`;
}

function orAny(list: readonly Json[]): readonly Json[] {
  return list.length === 0 ? [{ any: true }] : list;
}

function both(
  values: readonly string[] | undefined,
  notValues: readonly string[] | undefined,
  one: (value: string) => Json,
): readonly Json[] {
  const lists: Json[] = [];
  if (values !== undefined && values.length > 0) lists.push({ or_ids: { ids: values.map(one) } });
  if (notValues !== undefined && notValues.length > 0) lists.push({ not_id: { or_ids: { ids: notValues.map(one) } } });
  return lists;
}

function permissionOf(field: string, value: string): Json {
  if (field === "hosts") return { header: headerMatch(":authority", value, true) };
  if (field === "methods") return { header: headerMatch(":method", value, false) };
  if (/\{\*\*?\}/.test(value)) {
    const template = value.replaceAll("{**}", "**").replaceAll("{*}", "*");
    const config = {
      "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
      path_template: template,
    };
    return { uri_template: { name: "uri-template", typed_config: config } };
  }
  return { url_path: { path: stringMatch(value) } };
}

function principalOf(key: string, value: string, namespace: string): Json {
  const authenticated = (match: Json) => ({ authenticated: { principal_name: match } });
  if (key === "source.principal") return authenticated(stringMatch(value, "spiffe://"));
  if (key === "source.namespace")
    return authenticated(regex(`.*/ns/${value.split("*").map(quotePattern).join(".*")}/.*`));
  if (key === "source.serviceAccount") {
    const [name, ns] = value.split("/").reverse() as [string, string | undefined];
    return authenticated(regex(`spiffe://.+/ns/${quotePattern(ns ?? namespace)}/(.+/|)sa/${quotePattern(name)}(/.+)?`));
  }
  if (key === "request.auth.principal") return tokenPrincipal(value);
  if (key === "request.auth.audiences") return claim(["aud"], value);
  if (key === "request.auth.presenter") return claim(["azp"], value);
  const header = /^request\.headers\[(.*)\]$/.exec(key);
  if (header !== null) return { header: headerMatch(header[1] as string, value, false) };
  const claims = /^request\.auth\.claims((?:\[[^[\]]+\])+)$/.exec(key);
  if (claims !== null)
    return claim(
      [...(claims[1] as string).matchAll(/\[([^[\]]+)\]/g)].map((match) => match[1] as string),
      value,
    );
  throw new Untranslatable(key);
}

function headerMatch(name: string, value: string, ignoresCase: boolean): Json {
  if (value === "*") return { name, present_match: true };
  return { name, string_match: { ...stringMatch(value), ...(ignoresCase && { ignore_case: true }) } };
}

function stringMatch(value: string, prefix = ""): Json {
  if (value === "*") return regex(".+");
  if (value.startsWith("*"))
    return prefix === "" ? { suffix: value.slice(1) } : regex(`${prefix}.*${quotePattern(value.slice(1))}`);
  if (value.endsWith("*")) return { prefix: prefix + value.slice(0, -1) };
  return { exact: prefix + value };
}

function regex(pattern: string): Json {
  return { safe_regex: { regex: pattern } };
}

function metadata(path: readonly string[], value: Json): Json {
  return {
    metadata: {
      filter: "envoy.filters.http.jwt_authn",
      path: [{ key: "payload" }, ...path.map((key) => ({ key }))],
      value,
    },
  };
}

/** A string claim, or any string in a list. */
function claim(path: readonly string[], value: string): Json {
  const match = { string_match: stringMatch(value) };
  return metadata(path, { or_match: { value_matchers: [match, { list_match: { one_of: match } }] } });
}

function tokenPrincipal(value: string): Json {
  const slash = value.lastIndexOf("/");
  let [iss, sub] = slash === -1 ? [value, ""] : [value.slice(0, slash), value.slice(slash + 1)];
  if (value === "*") [iss, sub] = ["*", "*"];
  else if (slash === -1 && value.startsWith("*")) [iss, sub] = ["*", value];
  else if (slash === -1 && value.endsWith("*")) [iss, sub] = [value, "*"];
  const exact = (text: string) => ({ string_match: { exact: text } });
  const half = (text: string, isExact: boolean) => (isExact ? exact(text) : { string_match: stringMatch(text) });
  const atStart = slash !== -1 && value.startsWith("*");
  const ids = [
    metadata(["iss"], half(iss, slash !== -1 && !atStart)),
    metadata(["sub"], half(sub, (slash !== -1 && (atStart || !value.endsWith("*"))) || sub === "")),
  ];
  return { and_ids: { ids } };
}
