"""A signed status list (draft-ietf-oauth-status-list): which tokens of an issuer are revoked."""

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from security_common.tokens.claims import read_time
from security_common.tokens.compact_jws import UnverifiedToken
from security_common.tokens.errors import IssuerUnreachable, TokenRejected
from security_common.tokens.trusted_issuer import TrustedIssuer, media_type
from security_common.tokens.validation_rules import LEEWAY_SECONDS
from security_common.tokens.verification_keys import algorithm_of

__all__ = ["DEFAULT_TTL_SECONDS", "MAX_LIST_BYTES", "MEDIA_TYPE", "StatusList", "check_list_header", "read_status_list"]

MEDIA_TYPE: Final = "application/statuslist+jwt"
MAX_LIST_BYTES: Final = 1024 * 1024
"""The largest list after decompression. One bit for each token is enough for eight million."""

_TOKEN_TYPE = "statuslist+jwt"  # noqa: S105 - a media type, not a password
_BITS = (1, 2, 4, 8)
DEFAULT_TTL_SECONDS: Final = 15.0
_MAX_TTL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class StatusList:
    """The statuses of a list, packed from the lowest bit of each byte. Times are in seconds.

    The list may be used for `ttl_seconds` before it is fetched again, and not after `expires_at_seconds`.
    """

    bits: int
    packed: bytes = field(repr=False)
    ttl_seconds: float
    expires_at_seconds: float

    def is_valid(self, index: int) -> bool:
        """Whether the status is 0, VALID. Raises `TokenRejected` for an index outside the list."""
        position = index * self.bits
        if position >> 3 >= len(self.packed):
            raise TokenRejected("bad_claim", "the token's status names an index that its list does not have")
        return not self.packed[position >> 3] >> (position & 7) & ((1 << self.bits) - 1)


def check_list_header(token: UnverifiedToken, issuer: TrustedIssuer) -> str:
    """The key id. Raises `IssuerUnreachable` for a document that is not a status list that the issuer can sign."""
    typ, key_id = token.header.get("typ"), token.header.get("kid")
    is_list = isinstance(typ, str) and media_type(typ) == _TOKEN_TYPE
    if not is_list or "crit" in token.header or algorithm_of(token.header) not in issuer.algorithms:
        raise _unusable(issuer, "is not a signed status list")
    if not isinstance(key_id, str) or not key_id:
        raise _unusable(issuer, "does not name its key")
    return key_id


def read_status_list(claims: Mapping[str, Any], issuer: TrustedIssuer, *, uri: str, now: float) -> StatusList:
    """The list in the claims of a verified document, fetched for `uri`. Raises `IssuerUnreachable`."""
    try:
        expires_at_seconds = read_time(claims["exp"], "exp") if "exp" in claims else now + _MAX_TTL_SECONDS
        is_from_future = read_time(claims.get("iat"), "iat") > now + LEEWAY_SECONDS
        ttl_seconds = read_time(claims.get("ttl", DEFAULT_TTL_SECONDS), "ttl")
    except TokenRejected as error:
        raise _unusable(issuer, "has a malformed time") from error
    if claims.get("sub") != uri or claims.get("iss", issuer.issuer) != issuer.issuer:
        raise _unusable(issuer, "is another list")
    if expires_at_seconds + LEEWAY_SECONDS <= now or is_from_future:
        raise _unusable(issuer, "has expired, or is not valid yet")
    bits, packed = _read_statuses(claims.get("status_list"), issuer)
    return StatusList(bits, packed, min(max(ttl_seconds, 1.0), _MAX_TTL_SECONDS), expires_at_seconds)


def _read_statuses(value: Any, issuer: TrustedIssuer) -> tuple[int, bytes]:
    members = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    bits, encoded = members.get("bits"), members.get("lst")
    if isinstance(bits, bool) or bits not in _BITS or not isinstance(encoded, str):
        raise _unusable(issuer, "has no statuses")
    decompressor = zlib.decompressobj()
    try:
        compressed = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        packed = decompressor.decompress(compressed, MAX_LIST_BYTES)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise _unusable(issuer, "cannot be decompressed") from error
    if not decompressor.eof or decompressor.unused_data:
        raise _unusable(issuer, f"is larger than {MAX_LIST_BYTES} bytes, or incomplete")
    return cast("int", bits), packed


def _unusable(issuer: TrustedIssuer, what: str) -> IssuerUnreachable:
    return IssuerUnreachable(f"a status list of {issuer.issuer} {what}")
