"""Who we are, for machines: the two metadata documents, the key set, `/`, and whether we live and are ready.

    /.well-known/oauth-authorization-server ─┐ same content    /.well-known/jwks.json   the published keys
    /.well-known/openid-configuration ───────┘                 /  401, points on        /livez  /readyz

RFC 8414, OpenID Connect Discovery 1.0, RFC 7517. Every document has a strong ETag and is served from memory.
"""
