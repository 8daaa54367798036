"""The users: local accounts, those of identity providers, and what the users have allowed clients.

    username, password ──▶ LocalAccounts.check ──▶ Account ──▶ the session      (passwords: argon2id, RFC 9106)
    issuer, subject    ──▶ Identities.find ──▶ Identity ──▶ Account  (people at identity providers: `federation`)
    sub of a token     ──▶ AccountDirectory.find ──▶ Account ──▶ grants, ID token, userinfo

Every way of signing in ends in an `Account`: nothing outside this package depends on passwords. Redis keys:
`auth:account:<sub>`, `auth:account-name:<name>`, `auth:password:<sub>`, `auth:consent:<sub>`,
`auth:identity:<digest>`, `auth:account-identities:<sub>`, `auth:identity-issuers`, `auth:provider-session:<digest>`,
`auth:provider-logout:<digest>`.
"""
