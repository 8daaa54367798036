"""Clients: where they come from, how they authenticate, and where they may redirect a browser.

    auth.yaml ──────────────────▶ declared client ───┐
    auth-service client create ─▶ operator's client ─┤
    POST /oauth2/register ──────▶ registered client ─┼─▶ ClientDirectory.find(client_id) ─▶ Client ─▶ authentication
    https://host/client.json ───▶ metadata document ─┘

Sources: RFC 6749 section 2.3, RFC 7591, RFC 7523, RFC 8252, Client ID Metadata Documents. Redis keys: `auth:client:*`,
`auth:assertion:*`.
"""
