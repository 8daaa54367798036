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
    size_bytes: int


def read_structure(token: str) -> UnverifiedToken:
    """The token's parts. Raises `TokenRejected`."""
    parts = _COMPACT_JWS.fullmatch(token)
    if parts is None:
        raise TokenRejected("malformed", "the token is not a signed JWT")
    header, payload, signature = parts.groups()
    try:
        return UnverifiedToken(
            signed=token[: -len(signature) - 1].encode(),
            signature=_decode(signature),
            header=_read_object(header, "header"),
            claims=_read_object(payload, "payload"),
            size_bytes=len(token),
        )
    except ValueError as error:
        raise TokenRejected("malformed", "the token's signature cannot be read") from error


def _read_object(segment: str, name: str) -> Mapping[str, Any]:
    try:
        value = parse_json(_decode(segment), max_depth=MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise TokenRejected("malformed", f"the token's {name} cannot be read") from error
    if not isinstance(value, dict):
        raise TokenRejected("malformed", f"the token's {name} is not a JSON object")
    return cast("dict[str, Any]", value)


def _decode(segment: str) -> bytes:
    # What stands at the end of a segment that is no multiple of four; else one token could be written in many ways.
    if segment[-1] not in _LAST_CHARACTERS[len(segment) % 4]:
        raise ValueError("bits that no byte needs are set")
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
