"""Who may come in: the JWKS client and the access-token verifier (RFC 9068, RFC 8725)."""
