# METADATA
# title: Roles of people
# description: |
#  The role is a claim of a verified token. `data.settings.jwt` says how to verify: the constraints of io.jwt.decode_verify,
#  such as {"cert": "<JWKS>", "iss": "https://issuer.example", "aud": "orders"}. Without it no token counts.
package authz.roles

methods := {
	"admin": {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"},
	"editor": {"GET", "HEAD", "POST", "PUT", "PATCH"},
	"viewer": {"GET", "HEAD"},
}

claims := payload if {
	[scheme, token] := split(input.attributes.request.http.headers.authorization, " ")
	lower(scheme) == "bearer"
	[valid, _, payload] := io.jwt.decode_verify(token, data.settings.jwt)
	valid
}

default may_call := false

may_call if input.attributes.request.http.method in methods[claims.role]
