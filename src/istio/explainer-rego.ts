/** Rules beside the evaluator's that say why: asked on demand only, for they look at every rule that applies. */
export const EXPLAINER_FILE = "cardea/explain.rego";
export const EXPLAINER = `# Why data.cardea.istio.decision is what it is. Result: data.cardea.istio.explanation.
package cardea.istio

import data.cardea.tables
import rego.v1

explanation := {
	"decision": decision,
	"namespace": namespace_or_none,
	"labels": labels_or_none,
	"applying": [describe(id) |
		some action in ["deny", "allow", "audit", "dry_deny", "dry_allow"]
		some id in sort(applying(action))
	],
	"nearest": [{"rule": describe(id), "lacks": [lack(condition) | some condition in missed(tables.rules[id])]} |
		decision.reason == "default_deny"
		some [_, id] in array.slice(by_distance, 0, 3)
	],
}

# What policies are chosen by.
destination := {"places": sort(places), "labels": labels_or_none, "peer": peer}

default namespace_or_none := ""

namespace_or_none := namespace

applying(action) := {id |
	by_place := tables.index[protocol][action]
	some place in places
	some ids in by_place[place]
	some id in ids
	selected(tables.rules[id])
}

by_distance := sort([[count(missed(tables.rules[id])), id] | some id in applying("allow")])

# What one rule lacks, with the alternatives of from and to that lack least. Counters are left alone.
missed(rule) := array.concat(failing(rule.when), array.concat(fewest(rule.from), fewest(rule.to)))

failing(conditions) := [condition | some condition in conditions; not holds(condition)]

fewest(alternatives) := [] if count(alternatives) == 0

fewest(alternatives) := best[0] if {
	lists := [failing(alternative) | some alternative in alternatives]
	least := min([count(list) | some list in lists])
	best := [list | some list in lists; count(list) == least]
}

lack(condition) := {
	"field": condition.field,
	"line": condition.line,
	"negated": object.get(condition, "negated", false),
	"got": got(condition),
}

got(condition) := values(condition.attribute, condition) if {
	condition.kind == "text"
} else := [address(condition.attribute)] if {
	condition.kind == "ip"
} else := [concat("/", [claims.iss, claims.sub])] if {
	condition.kind == "token"
} else := []
`;
