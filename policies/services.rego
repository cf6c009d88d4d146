# METADATA
# title: Calls between workloads
# description: The caller is the SPIFFE ID that the mesh authenticated; data.settings.grants says what it may do.
package authz.services

default may_call := false

may_call if {
	some grant in data.settings.grants[input.attributes.source.principal]
	input.attributes.request.http.method in grant.methods
	segments := split(trim(grant.path, "/"), "/")
	array.slice(input.parsed_path, 0, count(segments)) == segments
}
