"""Verification of access tokens: the trusted issuers, their keys, and the rules for the token.

    token ─▶ parse ─▶ issuer ─▶ header rules ─▶ key by (issuer, kid) ─▶ signature ─▶ claim rules ─▶ AccessToken
                                                  ▲
    issuer's metadata ─▶ jwks_uri ─▶ fetch ─▶ IssuerKeys: refreshed before they expire, kept during outages
    status of the token ─▶ fetch every ttl ─▶ StatusChecks: whether it was revoked since

    verifier            the steps above, and the cache of verified tokens
    compact_jws         splits and decodes a token strictly (RFC 7515)
    validation_rules    the rules for header and claims, among them the accepted algorithms
    claims              reads claims into typed values
    access_token        the result: AccessToken, and the Caller of the present request
    trusted_issuer      an issuer with the profile of its tokens: RS256 only, unless declared otherwise
    vendor_presets      profiles of Entra ID, Auth0, Okta, Keycloak, Cognito and Google
    verification_keys   JWK sets and signature algorithms (RFC 7517, RFC 7518)
    issuer_keys         when the keys of an issuer are fetched, and how long they are used
    issuer_metadata     where an issuer publishes its keys (RFC 8414)
    issuer_fetch        one document of an issuer, limited in size and time
    status_list         a signed list of revoked tokens (draft-ietf-oauth-status-list)
    status_checks       when lists are fetched, and what they decide
    errors              why a token was rejected, or why the keys of its issuer are not available

Access tokens are JWTs as in RFC 9068, or as the issuer's profile declares, and are verified as RFC 8725 recommends:
only declared asymmetric algorithms, token types and audiences are accepted.
"""

from security_common.tokens.access_token import AccessToken, Caller, current_caller
from security_common.tokens.errors import KeysUnavailable, TokenRejected
from security_common.tokens.status_checks import StatusPolicy
from security_common.tokens.trusted_issuer import TrustedIssuer
from security_common.tokens.verifier import TokenVerifier

__all__ = [
    "AccessToken",
    "Caller",
    "KeysUnavailable",
    "StatusPolicy",
    "TokenRejected",
    "TokenVerifier",
    "TrustedIssuer",
    "current_caller",
]
