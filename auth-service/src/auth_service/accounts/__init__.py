"""The users: local accounts, and what the users have allowed clients.

    username, password ──▶ LocalAccounts.sign_in ──▶ Account ──▶ the session      (passwords: argon2id, RFC 9106)
    sub of a token     ──▶ AccountDirectory.find ──▶ Account ──▶ grants, ID token, userinfo

Every way of signing in ends in an `Account`: nothing outside this package depends on passwords. Redis keys:
`auth:account:<sub>`, `auth:account-name:<name>`, `auth:password:<sub>`, `auth:consent:<sub>`.
"""
