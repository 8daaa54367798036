"""Verification of access tokens: the trusted issuers, their keys, and the rules that a token must keep.

    token ─▶ structure ─▶ issuer ─▶ header rules ─▶ key by (issuer, kid) ─▶ signature ─▶ claim rules ─▶ AccessToken
                                                       ▲
     issuer's metadata ─▶ jwks_uri ─▶ bounded fetch ─▶ IssuerKeys: refreshed ahead, kept through outages

issuers       an issuer and how its tokens look   metadata      where an issuer keeps its keys (RFC 8414)
presets       how the tokens of vendors look      fetch         one document, bounded in size and time
structure     bytes to parts, strictly            keys          a JWK set, usable keys only (RFC 7517)
rules         header and claims, one rule each    signatures    algorithms, and the keys that fit them
claim_values  single claims, typed                issuer_keys   when to fetch, what to keep
verifier      the pipeline and its cache          context       who is calling, for code below

Access tokens are RFC 9068 JWTs, or what an issuer's profile declares, verified as RFC 8725 advises: declared asymmetric
algorithms, types and audiences only, and typed claims.
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
