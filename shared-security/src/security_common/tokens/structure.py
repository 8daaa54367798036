"""A compact JWS taken apart (RFC 7515 section 7.1): size and form before any parsing, nothing believed yet."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from security_common.tokens.errors import TokenRejected
from security_common.tokens.strict_json import parse_json

__all__ = ["UnverifiedToken", "read_structure"]

MAX_DEPTH = 16
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LAST_CHARACTERS = (_ALPHABET, "", _ALPHABET[::16], _ALPHABET[::4])
_COMPACT_JWS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """Header and claims of a token whose signature nobody has checked."""

    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    header: Mapping[str, Any]
    claims: Mapping[str, Any] = field(repr=False)
    payload: bytes = field(repr=False)
    size_bytes: int


def read_structure(token: str) -> UnverifiedToken:
    """The token's parts. Raises `TokenRejected`."""
    parts = _COMPACT_JWS.fullmatch(token)
    if parts is None:
        raise TokenRejected("malformed", "the token is not a signed JWT")
    header, payload, signature = parts.groups()
    decoded_payload = _decode(payload, "payload")
    return UnverifiedToken(
        signed=token[: -len(signature) - 1].encode(),
        signature=_decode(signature, "signature"),
        header=_read_object(_decode(header, "header"), "header"),
        claims=_read_object(decoded_payload, "payload"),
        payload=decoded_payload,
        size_bytes=len(token),
    )


def _read_object(decoded: bytes, name: str) -> Mapping[str, Any]:
    try:
        value = parse_json(decoded, max_depth=MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise TokenRejected("malformed", f"the token's {name} cannot be read") from error
    if not isinstance(value, dict):
        raise TokenRejected("malformed", f"the token's {name} is not a JSON object")
    return cast("dict[str, Any]", value)


def _decode(segment: str, name: str) -> bytes:
    # A segment that is not a multiple of four ends in bits that no byte needs. They must be zero: otherwise one token
    # could be written in many ways.
    if segment[-1] not in _LAST_CHARACTERS[len(segment) % 4]:
        raise TokenRejected("malformed", f"the token's {name} cannot be read")
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
