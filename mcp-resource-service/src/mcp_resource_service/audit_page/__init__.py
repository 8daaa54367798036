"""The audit page: everybody's trail, for people with the scope mcp.audit, in a browser.

    /audit ── no session ─▶ /audit/sign-in ─▶ auth-service (code, PKCE, private_key_jwt) ─▶ /audit/callback
       ▲                                                                                          │
       └──────── session in Redis, its name in a cookie ◀── token verified, mcp.audit in it ◀─────┘
    /audit/sign-out ── session ended ─▶ auth-service ends its own (id_token_hint) ─▶ /audit/signed-out

    query    what to show, from the address          figures   events into buckets of time
    charts   figures into geometry, drawn as SVG     exports   CSV and JSON Lines
    sessions who is signed in                        pages     the routes

It has its own guard, the session, and not the bearer one. No JavaScript: the content security policy allows none.
Looking at the trail is itself on the trail, and a download with its reason.
Owns the keys `mcp:audit_page:*` in Redis.
"""

from mcp_resource_service.audit_page.oauth_sign_in import SignIn
from mcp_resource_service.audit_page.routes import AuditPage
from mcp_resource_service.audit_page.sessions import Sessions

__all__ = ["AuditPage", "Sessions", "SignIn"]
