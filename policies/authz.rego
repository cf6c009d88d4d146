# METADATA
# title: Who may pass
# description: Deny by default. A request passes when one of the reasons below holds.
# entrypoint: true
package envoy.authz

import data.authz.hours
import data.authz.roles
import data.authz.services

request := input.attributes.request.http

default allow := false

# Probes carry no identity.
allow if {
	request.method in {"GET", "HEAD"}
	input.parsed_path[0] in {"healthz", "livez", "readyz"}
	count(input.parsed_path) == 1
}

# Workloads of the mesh, during business hours.
allow if {
	services.may_call
	hours.open
}

# People, by the role in their token.
allow if roles.may_call

# The whole answer for Envoy: who passed goes upstream, who did not learns whether to sign in.
decision := {"allowed": true, "headers": {"x-authz-subject": subject}} if allow

decision := {"allowed": false, "http_status": status, "body": body} if not allow

default subject := "anonymous"

subject := roles.claims.sub if roles.claims.sub

subject := input.source_principal if {
	input.source_principal
	not roles.claims.sub
}

default status := 401

status := 403 if roles.claims

status := 403 if input.source_principal

body := json.marshal({"error": "sign in first"}) if status == 401

body := json.marshal({"error": "not allowed"}) if status == 403
