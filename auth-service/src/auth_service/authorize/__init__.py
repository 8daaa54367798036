"""Signing people in and asking them: the authorization endpoint, what stands behind its pages, and logout.

    /oauth2/authorize ─▶ rules ─▶ AuthorizationRequest ─▶ Flow: what is missing?
        ├─ a sign-in ──▶ 303 /oauth2/sign-in ──┐ each page leads back to Flow,
        ├─ a consent ──▶ 303 /oauth2/consent ──┘ none to another page
        └─ nothing ────▶ 303 redirect_uri?code&state&iss

The request is kept here under an id that only its own browser may use; forms carry that id and nothing of the request,
so nothing a person could alter in a page matters. RFC 6749 section 4.1, RFC 7636, RFC 8707, RFC 9207, OpenID Connect
Core section 3.1, RP-Initiated Logout. Keys: `auth:interaction:*`, `auth:code:*`, `auth:consent:<sub>`.
"""
