/** What of the evaluator a set of policies needs: every rule costs time to compile, at every start. */
export interface EvaluatorParts {
  /** Some setting changes hosts or paths before they are compared. */
  readonly normalizes: boolean;
  readonly hasSchedules: boolean;
  readonly hasLimits: boolean;
}

export const EVALUATOR_FILE = "cardea/istio.rego";

/**
 * The Rego that decides by the tables of `lower.ts`: the same few rules whatever the number of policies. The tables are
 * data, and every look-up in them is by key, so ten thousand policies cost a request what ten cost. Plain OPA runs it
 * unchanged, which is what `cardea export` relies on.
 */
export function evaluator({ normalizes, hasSchedules, hasLimits }: EvaluatorParts): string {
  return [
    BASE,
    normalizes ? NORMALIZING : LITERAL,
    ...(hasSchedules ? [SCHEDULES] : []),
    ...(hasLimits ? [LIMITS] : []),
  ].join("\n");
}

const BASE = `# Istio's AuthorizationPolicy as Envoy evaluates it. Tables: data.cardea.tables. Result: data.cardea.istio.decision.
package cardea.istio

import data.cardea.tables
import rego.v1

decision := object.union(verdict, {
	"audit": [describe(id) | some id in sort(matched("audit"))],
	"dry_run": [describe(id) | some id in sort(dry_denied_by | dry_allowed_by)],
	"dry_run_allowed": dry_run_allowed,
})

# PeerAuthentication, then DENY, then ALLOW. No ALLOW policy for the workload: allowed. Some, and none matches: denied.
verdict := {"allowed": false, "reason": "mtls_required", "by": peer.by} if {
	mtls_required
} else := {"allowed": false, "reason": "default_deny"} if {
	tortuous
} else := {"allowed": false, "reason": "deny", "by": describe(min(denied_by))} if {
	count(denied_by) > 0
} else := {"allowed": true, "reason": "no_policy"} if {
	tables.restricting # without the tables nothing is known to be unrestricted
	not restricted("restricting")
} else := {"allowed": true, "reason": "allow", "by": describe(min(allowed_by))} if {
	count(allowed_by) > 0
} else := {"allowed": false, "reason": "default_deny"}

denied_by := matched("deny")

allowed_by := matched("allow")

dry_denied_by := matched("dry_deny")

dry_allowed_by := matched("dry_allow")

# The verdict if the dry-run policies were in force too.
default dry_run_allowed := true

dry_run_allowed := false if mtls_required

dry_run_allowed := false if tortuous

dry_run_allowed := false if count(denied_by) > 0

dry_run_allowed := false if count(dry_denied_by) > 0

dry_run_allowed := false if {
	any_restriction
	count(allowed_by) == 0
	count(dry_allowed_by) == 0
}

any_restriction if restricted("restricting")

any_restriction if restricted("dry_restricting")

describe(id) := object.union(tables.policies[rule.policy], {"rule": rule.index, "line": rule.line}) if rule := tables.rules[id]

# ---- candidates

matched(action) := {id |
	by_place := tables.index[protocol][action]
	some place in places
	by_anchor := by_place[place]
	some anchor in anchors
	some id in by_anchor[anchor]
	rule := tables.rules[id]
	selected(rule)
	rule_holds(rule)
}

# Does any policy of this kind select the workload, whether or not its rules match?
restricted(kind) if {
	some place in places
	some rest in tables[kind][place]
	selected(rest)
}

# The labels of a selector beyond the one it is filed under.
selected(entry) if not entry.selector

selected(entry) if {
	entry.selector
	every key, value in entry.selector { labels[key] == value }
}

selected(entry) if {
	entry.selector
	entry.closed
	not labels
}

anchors contains "*"

anchors contains concat("", ["principal:", principal])

anchors contains concat("", ["ns:", principal_parts[i + 1]]) if {
	some i, "ns" in principal_parts
	count(principal_parts) > i + 2
}

anchors contains concat("", ["sa:", principal_parts[i + 1]]) if some i, "sa" in principal_parts

principal_parts := split(principal, "/")

anchors contains concat("", ["host:", host])

anchors contains concat("", ["path:", path])

anchors contains concat("", ["dir:/", parts[1], "/"]) if {
	parts := split(path, "/")
	count(parts) > 2
	parts[0] == ""
}

anchors contains concat("", ["rp:", claims.iss, "/", claims.sub])

anchors contains concat("", ["header:", name, "=", value]) if {
	some name in tables.header_anchors
	some value in header_values(name)
}

anchors contains concat("", ["claim:", json.marshal(claim), "=", value]) if {
	some claim in tables.claim_anchors
	some value in claim_values(claim)
}

# ---- rules and conditions

# Conditions with a memory stand in "limits": they are asked only when all else holds.
rule_holds(rule) if {
	every condition in rule.when { holds(condition) }
	some_alternative(rule.from)
	some_alternative(rule.to)
	every condition in rule.limits { holds(condition) }
}

some_alternative([])

some_alternative(alternatives) if {
	some alternative in alternatives
	every condition in alternative { holds(condition) }
}

holds(condition) if {
	not condition.negated
	positive(condition.kind, condition)
}

holds(condition) if {
	condition.negated
	not positive(condition.kind, condition)
}

positive("text", condition) if {
	some value in values(condition.attribute, condition)
	text_matches(condition.match, value)
}

positive("ip", condition) if {
	some block in condition.blocks
	net.cidr_contains(block, address(condition.attribute))
}

# An address that cannot be read must neither slip past a DENY nor profit from an ALLOW's exception.
positive("ip", condition) if {
	condition.restricts
	unreadable(condition.attribute)
}

positive("token", condition) if {
	some pair in condition.pairs
	is_string(claims.iss)
	is_string(claims.sub)
	text_matches(pair.iss, claims.iss)
	text_matches(pair.sub, claims.sub)
}

positive("metadata", condition) if {
	value := input.attributes.metadataContext.filterMetadata[condition.namespace][condition.key]
	is_string(value)
	text_matches(condition.match, value)
}

positive("metadata", condition) if {
	value := input.attributes.metadataContext.filterMetadata[condition.namespace][condition.key]
	is_array(value)
	some element in value
	is_string(element)
	text_matches(condition.list, element)
}

text_matches(match, value) if {
	some text in match.equal
	value == text
}

text_matches(match, value) if match.exact[value]

text_matches(match, value) if strings.any_prefix_match(value, match.prefix)

text_matches(match, value) if strings.any_suffix_match(value, match.suffix)

text_matches(match, value) if {
	some part in match.contains
	contains(value, part)
}

text_matches(match, value) if {
	some pattern in match.pattern
	regex.match(pattern, value)
}

text_matches(match, value) if {
	match.present
	value != ""
}

text_matches(match, _) if match.exists

# ---- attributes of the request

http := input.attributes.request.http

default protocol := "tcp"

protocol := "http" if http

principal := name if {
	name := input.attributes.source.principal
	name != ""
}

# The parts of an identity of exactly the form spiffe://<trust domain>/ns/<namespace>/sa/<service account>.
spiffe := spiffe_parts(principal)

spiffe_parts(name) := parts if {
	parts := split(name, "/")
	count(parts) == 7
	parts[0] == "spiffe:"
	parts[1] == ""
	parts[3] == "ns"
	parts[5] == "sa"
}

method := name if {
	name := http.method
	name != ""
}

host := normal_host(ascii_lower(name)) if {
	name := http.host
	name != ""
}

port := format_int(input.attributes.destination.address.socketAddress.portValue, 10)

sni := name if {
	name := input.attributes.tlsSession.sni
	name != ""
} else := name if {
	not http # network ext_authz puts the server name here
	name := input.attributes.destination.service
	name != ""
}

claims := input.cardea.identity.claims

# For plain OPA, which has no token verification of Cardea's before it.
claims := payload if {
	tables.mesh.trust_jwt_authn_metadata
	not input.cardea.identity
	payload := input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].payload
}

space_delimited contains name if some name in ["scope", "permission"]

space_delimited contains name if some name in input.cardea.identity.spaceDelimitedClaims

claim_values(claim) := texts(object.get(claims, claim, null), claim)

texts(value, claim) := parts if {
	is_string(value)
	count(claim) == 1
	space_delimited[claim[0]]
	parts := [part | some part in split(value, " "); part != ""]
	count(parts) > 0
} else := [value] if {
	is_string(value)
} else := [element | some element in value; is_string(element)] if {
	is_array(value)
}

header_values(name) := lines if {
	all := http.headerMap.headers
	lines := [header_text(header) | some header in all; lower(header.key) == name]
} else := array.concat([joined], parts) if {
	joined := http.headers[name]
	parts := [trim_space(part) | tables.mesh.split_headers; contains(joined, ","); some part in split(joined, ",")]
} else := [http.host] if {
	name == ":authority"
	http.host != ""
} else := [http.method] if {
	name == ":method"
} else := [http.path] if {
	name == ":path"
} else := [http.scheme] if {
	name == ":scheme"
}

header_text(header) := base64.decode(header.rawValue) if {
	header.rawValue
} else := object.get(header, "value", "")

values("principal", _) := [principal]

values("method", _) := [method]

values("port", _) := [port]

values("sni", _) := [sni]

values("spiffe_trust_domain", _) := [spiffe[2]]

values("spiffe_namespace", _) := [spiffe[4]]

values("spiffe_service_account", _) := [spiffe[6]]

values("claim", condition) := claim_values(condition.path)

# Where only the joined line is known, its parts count against the request, never for it.
values("header", condition) := header_values(condition.name) if condition.restricts

values("header", condition) := lines if {
	not condition.restricts
	all := header_values(condition.name)
	lines := [line | some i, line in all; unsplit(i)]
}

unsplit(0)

unsplit(_) if http.headerMap.headers

# The zone of a link-local address says nothing about the block it is in.
address("sourceIp") := without_zone(input.attributes.source.address.socketAddress.address)

address("destinationIp") := without_zone(input.attributes.destination.address.socketAddress.address)

address("remoteIp") := remote_ip

without_zone(text) := split(text, "%")[0] if text != ""

is_address(text) if net.cidr_is_valid(concat("/", [text, "0"]))

unreadable(attribute) if {
	text := address(attribute)
	not is_address(text)
}

# Gateways have appended the peer to X-Forwarded-For before any filter runs; sidecars take its last entry.
remote_ip := hop if {
	hops := split(forwarded_for, ",")
	i := (count(hops) - 1) - tables.mesh.num_trusted_proxies
	i >= 0
	hop := trim_space(hops[i])
	is_address(hop)
} else := without_zone(input.attributes.source.address.socketAddress.address)

forwarded_for := concat(",", header_values("x-forwarded-for")) if {
	http.headerMap.headers
} else := http.headers["x-forwarded-for"]

# Envoy folds ASCII only; lower() would make the Kelvin sign a k.
ascii_lower(text) := text if {
	lower(text) == text
} else := strings.replace_n(ascii_letters, text)

ascii_letters := {"A": "a", "B": "b", "C": "c", "D": "d", "E": "e", "F": "f", "G": "g", "H": "h", "I": "i", "J": "j", "K": "k", "L": "l", "M": "m", "N": "n", "O": "o", "P": "p", "Q": "q", "R": "r", "S": "s", "T": "t", "U": "u", "V": "v", "W": "w", "X": "x", "Y": "y", "Z": "z"}

# ---- the destination, which decides what policies apply

identity := spiffe_parts(input.attributes.destination.principal)

# <service>.<namespace>.svc…, the name of a Kubernetes service.
service := parts if {
	parts := split(split(ascii_lower(http.host), ":")[0], ".")
	parts[2] == "svc"
}

namespace := identity[4] if {
	identity
} else := tables.default_workload.namespace if {
	tables.default_workload.namespace
} else := service[1]

workload := tables.workloads[concat("/", [identity[4], identity[6]])] if {
	identity
} else := tables.default_workload

labels := given if {
	given := input.attributes.destination.labels
	count(given) > 0
} else := workload.labels

gateway := labels["gateway.networking.k8s.io/gateway-name"]

waypoint if workload.waypoint

waypoint if labels["gateway.istio.io/managed"] == "istio.io-mesh-controller"

scopes contains tables.mesh.root_namespace

scopes contains namespace

# What policies are filed under: namespace/attachment.
places contains concat("", [scope, "/*"]) if {
	not waypoint
	some scope in scopes
}

places contains concat("", [scope, "/label:", key, "=", value]) if {
	not waypoint
	some scope in scopes
	some key, value in labels
}

# Only DENY policies are filed there: what their selector says of this workload is not known.
places contains concat("", [scope, "/unlabelled"]) if {
	not labels
	some scope in scopes
}

# An unknown destination: DENY policies of every namespace apply, and ALLOW policies restrict without allowing.
places contains "/*" if not namespace

places contains concat("", [namespace, "/gateway:", gateway])

places contains concat("", [service[1], "/service:", service[0]]) if waypoint

places contains concat("", [namespace, "/entry"]) if waypoint

places contains concat("", [tables.mesh.root_namespace, "/class:istio-waypoint"]) if waypoint

# ---- PeerAuthentication

# Gateways take connections from outside the mesh, and waypoints do not see the peer's identity.
mtls_required if {
	not principal
	namespace
	not gateway
	not waypoint
	not startswith(object.get(labels_or_none, "istio", ""), "ingressgateway")
	peer.mode == "STRICT"
}

default labels_or_none := {}

labels_or_none := labels

peer := {"mode": object.get(first.ports, port_or_none, first.mode), "by": first.by} if {
	first := peer_workloads[0]
} else := tables.peer.namespaces[namespace] if {
	tables.peer.namespaces[namespace]
} else := tables.peer.mesh

peer_workloads := [entry |
	some entry in tables.peer.workloads[namespace]
	every key, value in entry.selector { labels[key] == value }
]

default port_or_none := ""

port_or_none := port
`;

const LITERAL = `normal_host(name) := name

# RBAC compares the path without query and fragment, and decodes nothing.
path := split(split(http.path, "?")[0], "#")[0]

tortuous := false

values("path", _) := [path]

values("host", _) := [host]
`;

const NORMALIZING = String.raw`# ---- hardening beyond Istio's literal reading, by the settings under cardea.mesh

default normalizes_hosts := false

normalizes_hosts if tables.mesh.normalize_hosts

normal_host(name) := name if not normalizes_hosts

normal_host(name) := trim_suffix(regex.replace(name, ":[0-9]*$", ""), ".") if normalizes_hosts

default normalizes_paths := false

normalizes_paths if tables.mesh.path_normalization != "NONE"

literal_path := split(split(http.path, "?")[0], "#")[0]

path := literal_path if not normalizes_paths

path := without_dots(plain_path) if {
	normalizes_paths
	not tortuous
}

plain_path := merged(without_parameters(strings.replace_n(tables.mesh.path_escapes, literal_path)))

# So many segments with dots among them are no path anybody asks for, but work that grows with their square: denied.
default tortuous := false

tortuous if {
	normalizes_paths
	strings.count(plain_path, "/") > 64
	regex.match(dot_segment, plain_path)
}

dot_segment := "(^|/)\\.\\.?(/|$)"

without_parameters(text) := regex.replace(text, ";[^/]*", "") if {
	tables.mesh.ignore_path_parameters
} else := text

merged(text) := regex.replace(text, "/+", "/") if {
	tables.mesh.path_normalization in {"MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"}
} else := text

# RFC 3986, 5.2.4: a segment is gone when, from it on, more ".." than other segments have been seen at some point.
without_dots(text) := concat("/", array.concat(array.concat([parts[0]], kept), tail)) if {
	regex.match(dot_segment, text)
	parts := split(text, "/")
	climbs := [climb(part) | some part in parts]
	heights := [sum(array.slice(climbs, 0, i + 1)) | some i, _ in climbs]
	gone := {i | some i, height in heights; max(array.slice(heights, i + 1, count(heights))) > height}
	kept := [part | some i, part in parts; i > 0; not part in {".", ".."}; not i in gone]
	tail := [empty | empty := ""; parts[count(parts) - 1] in {".", ".."}]
} else := text

climb("..") := 1

climb(".") := 0

climb(part) := -1 if not part in {".", ".."}

# ---- values that no normalised request has: where they restrict, they also count as they are written

literal_host := ascii_lower(http.host)

anchors contains concat("", ["host:", literal_host])

anchors contains concat("", ["path:", literal_path])

anchors contains concat("", ["dir:/", parts[1], "/"]) if {
	parts := split(literal_path, "/")
	count(parts) > 2
	parts[0] == ""
}

values("path", condition) := [path] if not condition.literal

values("path", condition) := [path, literal_path] if condition.literal

values("host", condition) := [host] if not condition.literal

values("host", condition) := [host, literal_host] if condition.literal
`;

const SCHEDULES = `# ---- Schedule

positive("schedule", condition) if {
	some name in condition.names
	open(tables.schedules[name])
}

now := time.now_ns()

open(schedule) if {
	[date, weekday, minute] := local_time(schedule.zone, now)
	some hours in hours_of(schedule, date, weekday)
	minute >= hours.from
	minute < hours.end
}

# What began yesterday and goes on past midnight. A date with an exception has its own hours only.
open(schedule) if {
	[date, _, minute] := local_time(schedule.zone, now)
	not schedule.exceptions[date]
	[before, weekday, _] := local_time(schedule.zone, now - ((minute + 720) * 60000000000))
	some hours in hours_of(schedule, before, weekday)
	minute < hours.spill
}

hours_of(schedule, date, _) := schedule.exceptions[date]

hours_of(schedule, date, weekday) := schedule.days[weekday] if not schedule.exceptions[date]

local_time(zone, ns) := [date, time.weekday([ns, zone]), (60 * hour) + minute] if {
	[hour, minute, _] := time.clock([ns, zone])
	[year, month, day] := time.date([ns, zone])
	date := sprintf("%04d-%02d-%02d", [year, month, day])
}
`;

const LIMITS = `# ---- RateLimit

positive("limit", condition) if {
	some name in condition.names
	within_limit(name, limit_key(name))
}

limit_key(name) := json.marshal([part |
	some attribute in tables.limits[name].key
	part := limit_part(attribute)
])

limit_part(attribute) := concat(",", values(attribute.attribute, attribute)) if {
	attribute.kind == "text"
} else := address(attribute.attribute) if {
	attribute.kind == "ip"
} else := concat("/", [claims.iss, claims.sub]) if {
	attribute.kind == "token"
} else := input.attributes.metadataContext.filterMetadata[attribute.namespace][attribute.key] if {
	attribute.kind == "metadata"
} else := ""
`;
