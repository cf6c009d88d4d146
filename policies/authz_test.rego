package envoy.authz_test

import data.envoy.authz

probe(method, path) := {
	"attributes": {"request": {"http": {"method": method, "path": path}}},
	"parsed_path": split(trim_left(path, "/"), "/"),
}

frontend := "spiffe://cluster.local/ns/shop/sa/frontend"

call(principal, method, path) := object.union(probe(method, path), {
	"attributes": {"source": {"principal": principal}, "request": {"http": {"method": method, "path": path}}},
	"source_principal": principal,
})

# 2026-03-10T10:00:00Z, a Tuesday
tuesday := 1773136800000000000

test_health_is_open if authz.allow with input as probe("GET", "/healthz")

test_health_is_read_only if not authz.allow with input as probe("POST", "/healthz")

test_health_is_exact if not authz.allow with input as probe("GET", "/healthz/secrets")

test_nothing_else_is_open if not authz.allow with input as probe("GET", "/orders")

test_no_input_is_denied if not authz.allow with input as {}

test_service_in_hours if {
	authz.allow with input as call(frontend, "POST", "/orders") with time.now_ns as tuesday
}

test_service_at_night if {
	not authz.allow with input as call(frontend, "POST", "/orders") with time.now_ns as tuesday + (((12 * 60) * 60) * 1000000000)
}

test_unknown_caller_is_told_to_sign_in if {
	answer := authz.decision with input as probe("GET", "/orders")
	answer.http_status == 401
}

test_known_caller_is_forbidden if {
	answer := authz.decision with input as call(frontend, "DELETE", "/orders") with time.now_ns as tuesday
	answer.http_status == 403
}

test_subject_goes_upstream if {
	answer := authz.decision with input as call(frontend, "GET", "/orders") with time.now_ns as tuesday
	answer == {"allowed": true, "headers": {"x-authz-subject": frontend}}
}
