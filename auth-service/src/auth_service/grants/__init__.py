"""The token endpoint (RFC 6749 section 3.2). The steps that every grant shares are in `endpoint`, once.

form, no repeated parameter ─▶ grant type is known ─▶ client authenticates ─▶ client may use the grant
─▶ scope and resource are valid ─▶ GrantHandler.exchange ─▶ audit event on disk ─▶ 200, no-store
"""
