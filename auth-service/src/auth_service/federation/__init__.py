"""Sign-in through OpenID Connect providers: Entra ID, Google, Okta, Keycloak and others.

    auth.yaml ─▶ IdentityProvider (typed, frozen) ─▶ ProviderConnection: metadata, keys, token requests
    code ─▶ token response ─▶ ID_TOKEN_RULES ─▶ SignInAtProvider ─▶ People: (issuer, subject) ─▶ Account
    refresh token of the provider, encrypted ─▶ Rechecks: does the user still have the account?
    logout token ─▶ LOGOUT_TOKEN_RULES ─▶ BackchannelLogout: sessions and grants end
    ID-JAG of a client ─▶ ID_JAG_RULES ─▶ People ─▶ Account (redeemed in `grants.id_jag`)

The browser's part is in `authorize.provider_sign_in`. Nothing of the provider's tokens reaches a client, a log or an
audit event. OpenID Connect Core section 3.1, Discovery, Back-Channel Logout, RFC 7636, RFC 9207, RFC 9700. Keys:
`auth:provider-sign-in:{<interaction id>}:<digest>`, `auth:recheck:<provider>`, `auth:recheck-lock:<identity>`,
`auth:logout-token:<digest>`.
"""
