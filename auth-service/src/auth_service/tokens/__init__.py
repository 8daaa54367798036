"""Everything that is issued, from the user's grant to the tokens, and what revokes it.

    authorization grant ─▶ authorization code ─▶ refresh tokens (one family per grant)
                                              └▶ access token, ID token ─▶ introspection, userinfo, revocation

RFC 6749 section 4.1, RFC 9068, RFC 8707, RFC 7009, RFC 7662. Redis keys: `auth:code:*`, `auth:code-redeemed:*`,
`auth:family:*`, `auth:refresh-response:*`, `auth:denied:*`, `auth:grant-provider:*`.
"""
