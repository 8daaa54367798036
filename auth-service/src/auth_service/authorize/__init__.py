"""Signing people in and asking them: the authorization endpoint, what stands behind its pages, and logout.

    /oauth2/authorize ─▶ rules ─▶ AuthorizationRequest ─▶ Flow: what is missing?
        ├─ a sign-in ──▶ 303 /oauth2/sign-in ──┐ each page leads back to Flow,
        ├─ a consent ──▶ 303 /oauth2/consent ──┘ none to another page
        └─ nothing ────▶ 303 redirect_uri?code&state&iss

The request is kept here under an id, bound by a cookie of its own to the browser that began it. What counts is what is
kept. Forms carry the id, and `resume`, the query of the request: a page that comes back too late can start the same
request again with it. A form that is sent twice gets one answer (`repeatable_answers`).

RFC 6749 section 4.1, RFC 7636, RFC 8707, RFC 9207, OpenID Connect Core section 3.1, RP-Initiated Logout. Keys:
`auth:interaction:{<id>}`, `auth:page-answer:{<id>}:*`, `auth:code:*`, `auth:consent:<sub>`.
"""
