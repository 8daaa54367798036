"""The token endpoint (RFC 6749 section 3.2): the phases every grant shares live here once, a grant fills in its own.

form ─▶ no repeated parameter ─▶ client authenticates ─▶ grant known ─▶ client may use it ─▶ scope and resource parse
─▶ Grant.exchange ─▶ audit event on disk ─▶ 200, no-store
"""
