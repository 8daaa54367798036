"""The people who sign in: local accounts, and the face that sign-in through a company's identity provider will join.

    user name, password ──▶ LocalAccounts.sign_in ──▶ Account ──▶ the session      (passwords: argon2id, RFC 9106)
    sub of a token      ──▶ AccountDirectory.find ──▶ Account ──▶ grants, ID token, userinfo

Another way of signing in has only to end in an `Account`: nothing outside this room knows of passwords. Keys:
`auth:account:<sub>`, `auth:account-name:<name>`, `auth:password:<sub>`.
"""
