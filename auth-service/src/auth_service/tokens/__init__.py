"""What a token says and for whom: resources and audiences, access tokens, their revocation and introspection.

    resources.resolve ─▶ Resource ─▶ minter.mint ─▶ at+jwt ─▶ introspect · revoke · denied (auth:denied:*)

RFC 9068, RFC 8707, RFC 7009, RFC 7662.
"""
