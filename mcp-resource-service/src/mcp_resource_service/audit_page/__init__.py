"""The audit page: everyone's audit trail in a browser, for users with the scope mcp.audit.

    /audit ── no session ─▶ /audit/sign-in ─▶ auth-service (code, PKCE, private_key_jwt) ─▶ /audit/callback
       ▲                                                                                          │
       └──────── session in Redis, its id in a cookie   ◀── token verified, has mcp.audit ◀───────┘
    /audit/review    the monthly review of access records, to print and sign
    /audit/sign-out ── session ended ─▶ auth-service ends its own session (id_token_hint) ─▶ /audit/signed-out

    page             the router, and errors as pages      trail_query      the filters in the query string
    sign_in_pages    sign-in, callback, sign-out          charts           event counts over time, as SVG geometry
    trail_pages      overview, one event, download        rendering        templates and texts in two languages
    auditors         the signed-in auditor, audit events  oauth_sign_in    this page as an OAuth client
    sessions         contents and cookies of sessions

A session protects these pages, not a bearer token. They contain no JavaScript: the Content-Security-Policy allows none.
Each view of the trail is an audit event, and so is a download, with its reason.
This package owns the Redis keys `mcp:audit_page:*`.
"""

from mcp_resource_service.audit_page.oauth_sign_in import OAuthSignIn
from mcp_resource_service.audit_page.page import AuditPage
from mcp_resource_service.audit_page.sessions import open_sessions

__all__ = ["AuditPage", "OAuthSignIn", "open_sessions"]
