"""Splits and decodes a compact JWS (RFC 7515 section 7.1) strictly, before its signature is verified."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from security_common.strict_json import parse_json
from security_common.tokens.errors import TokenRejected

__all__ = ["UnverifiedToken", "parse_compact_jws"]

MAX_JSON_DEPTH = 16
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# The characters that may end a segment, by the length of the segment modulo 4.
_LAST_CHARACTERS = (_ALPHABET, "", _ALPHABET[::16], _ALPHABET[::4])
_COMPACT_JWS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """The parts of a token whose signature has not been verified."""

    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    header: Mapping[str, Any]
    claims: Mapping[str, Any] = field(repr=False)
    payload: bytes = field(repr=False)
    size_bytes: int


def parse_compact_jws(token: str) -> UnverifiedToken:
    """The parts of the token. Raises `TokenRejected`.

    joserfc parses less strictly: it accepts duplicate members and several encodings of the same bytes.
    """
    parts = _COMPACT_JWS.fullmatch(token)
    if parts is None:
        raise TokenRejected("malformed", "the token is not a signed JWT")
    header, payload, signature = parts.groups()
    decoded_payload = _decode(payload, "payload")
    return UnverifiedToken(
        signed=token[: -len(signature) - 1].encode(),
        signature=_decode(signature, "signature"),
        header=_parse_object(_decode(header, "header"), "header"),
        claims=_parse_object(decoded_payload, "payload"),
        payload=decoded_payload,
        size_bytes=len(token),
    )


def _parse_object(decoded: bytes, name: str) -> Mapping[str, Any]:
    try:
        value = parse_json(decoded, max_depth=MAX_JSON_DEPTH)
    except (ValueError, RecursionError) as error:
        raise TokenRejected("malformed", f"the token's {name} cannot be read") from error
    if not isinstance(value, dict):
        raise TokenRejected("malformed", f"the token's {name} is not a JSON object")
    return cast("dict[str, Any]", value)


def _decode(segment: str, name: str) -> bytes:
    # The last character of a segment can have bits that are not part of any byte. They must be zero (RFC 4648
    # section 3.5): otherwise one token has several spellings, which the caches would treat as different tokens.
    if segment[-1] not in _LAST_CHARACTERS[len(segment) % 4]:
        raise TokenRejected("malformed", f"the token's {name} cannot be read")
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
