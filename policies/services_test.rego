package authz.services_test

import data.authz.services

grants := {"spiffe://cluster.local/ns/a/sa/b": [{"path": "/orders", "methods": ["GET"]}]}

call(principal, method, path) := {
	"attributes": {"source": {"principal": principal}, "request": {"http": {"method": method, "path": path}}},
	"parsed_path": split(trim_left(path, "/"), "/"),
}

allowed(principal, method, path) if {
	services.may_call with input as call(principal, method, path) with data.settings.grants as grants
}

test_granted if allowed("spiffe://cluster.local/ns/a/sa/b", "GET", "/orders/42")

test_prefix_is_by_segment if not allowed("spiffe://cluster.local/ns/a/sa/b", "GET", "/orders-secret")

test_other_method if not allowed("spiffe://cluster.local/ns/a/sa/b", "DELETE", "/orders/42")

test_other_caller if not allowed("spiffe://cluster.local/ns/a/sa/c", "GET", "/orders/42")

test_no_caller if not allowed("", "GET", "/orders/42")
