package authz.roles_test

import data.authz.roles

secret := "only for this test"

constraints := {"secret": secret, "iss": "https://issuer.example", "aud": "orders"}

key := {"kty": "oct", "k": base64url.encode_no_pad(secret)}

token(role) := signed({"iss": "https://issuer.example", "aud": "orders", "sub": "ada", "role": role, "exp": 4102444800})

signed(payload) := io.jwt.encode_sign({"alg": "HS256", "typ": "JWT"}, payload, key)

request(method, header) := {"attributes": {"request": {"http": {"method": method, "headers": {"authorization": header}}}}}

may(role, method) if {
	roles.may_call with input as request(method, concat(" ", ["Bearer", token(role)]))
		with data.settings.jwt as constraints
}

test_admin_does_everything if {
	every method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
		may("admin", method)
	}
}

test_editor_reads_and_writes if {
	every method in ["GET", "POST", "PUT", "PATCH"] {
		may("editor", method)
	}
}

test_editor_does_not_delete if not may("editor", "DELETE")

test_viewer_reads if may("viewer", "GET")

test_viewer_does_not_write if not may("viewer", "POST")

test_unknown_role_does_nothing if not may("intern", "GET")

test_forged_token_does_nothing if {
	forged := io.jwt.encode_sign({"alg": "HS256"}, {"role": "admin"}, {"kty": "oct", "k": base64url.encode_no_pad("another secret")})
	not roles.may_call with input as request("GET", concat(" ", ["Bearer", forged])) with data.settings.jwt as constraints
}

test_expired_token_does_nothing if {
	old := signed({"iss": "https://issuer.example", "aud": "orders", "role": "admin", "exp": 1})
	not roles.may_call with input as request("GET", concat(" ", ["Bearer", old])) with data.settings.jwt as constraints
}

test_no_key_no_token if {
	not roles.may_call with input as request("GET", concat(" ", ["Bearer", token("admin")]))
}
