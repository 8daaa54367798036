"""What this server publishes about itself: the two metadata documents, the key set and the response of `/`.

    /.well-known/oauth-authorization-server ─┐ same content    /.well-known/jwks.json   the published keys
    /.well-known/openid-configuration ───────┘                 /  401 with the address of the token endpoint

RFC 8414, OpenID Connect Discovery 1.0, RFC 7517. The documents have a strong ETag and are served from memory.
"""
