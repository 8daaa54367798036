"""The token endpoint (RFC 6749 section 3.2). The steps that every grant shares are in `endpoint`, once.

form, no repeated parameter ─▶ grant type is known ─▶ client authenticates, or the grant proves it (`ClientFinder`)
─▶ client may use the grant ─▶ scope and resource are well-formed ─▶ GrantHandler.exchange checks them against it
─▶ audit event on disk ─▶ 200, no-store

Each step can end in an OAuthError ─▶ audit event ─▶ error response.
"""
