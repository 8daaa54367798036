"""SCIM 2.0: an identity provider adds, changes, deactivates and deletes its users before and after they sign in.

    bearer token ─▶ ScimTokens: the provider ─▶ request: filter, resource or patch, parsed to typed values
                                             ─▶ ProvisionedUsers: Identity (issuer, subject) and Account

A provider sees only its own people. `active: false` ends the sessions and grants of a user at once. RFC 7643, RFC 7644.
Nothing is stored that the accounts do not need: other attributes are accepted and ignored, passwords too.
"""
