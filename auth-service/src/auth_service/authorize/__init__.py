"""The authorization endpoint, its pages for sign-in and consent, and logout.

    /oauth2/authorize ─▶ REQUEST_RULES ─▶ AuthorizationRequest ─▶ AuthorizationFlow: which interaction is needed?
        ├─ sign-in ──▶ 303 /oauth2/sign-in ──┐ each submitted form leads back to the flow,
        ├─ consent ──▶ 303 /oauth2/consent ──┘ which chooses the next page
        └─ none ─────▶ 303 redirect_uri?code&state&iss

The request is stored here under an id, bound by a cookie of its own to the browser that began it; only the stored
request counts. Forms contain the id, and `resume`, the query of the request: a page that is sent too late can start the
same request again with it. A form that is sent twice gets one response (`repeatable_responses`).

    SentRequest (parameters) ─▶ AuthorizationRequest (accepted by all rules) ─▶ Interaction (stored, waits for its user)
    ─▶ Visit (a browser at one of its pages)

In this package `request` is the authorization request, and `http` is the HTTP request of the browser.

RFC 6749 section 4.1, RFC 7636, RFC 8707, RFC 9207, OpenID Connect Core section 3.1, RP-Initiated Logout. Keys:
`auth:interaction:{<id>}`, `auth:page-response:{<id>}:*`.
"""
