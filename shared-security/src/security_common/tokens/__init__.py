"""Who may come in: the keys of the trusted issuers, and the judge of access tokens.

    token ─▶ structure ─▶ issuer ─▶ header rules ─▶ key by (issuer, kid) ─▶ signature ─▶ claim rules ─▶ AccessToken
                                                       ▲
     issuer's metadata ─▶ jwks_uri ─▶ bounded fetch ─▶ IssuerKeys: refreshed ahead, kept through outages

structure     bytes to parts, strictly            metadata      where an issuer keeps its keys (RFC 8414)
rules         header and claims, one rule each    fetch         one document, bounded in size and time
verifier      the pipeline and its cache          keys          a JWK set, usable keys only (RFC 7517)
context       who is calling, for code below      issuer_keys   when to fetch, what to keep

Access tokens are RFC 9068 JWTs, judged as RFC 8725 advises: RS256 only, one type, one audience, typed claims.
"""

from security_common.tokens.claims import AccessToken
from security_common.tokens.context import Caller, current_caller
from security_common.tokens.errors import KeysUnavailable, TokenRejected
from security_common.tokens.issuers import TrustedIssuer
from security_common.tokens.verifier import TokenVerifier

__all__ = [
    "AccessToken",
    "Caller",
    "KeysUnavailable",
    "TokenRejected",
    "TokenVerifier",
    "TrustedIssuer",
    "current_caller",
]
