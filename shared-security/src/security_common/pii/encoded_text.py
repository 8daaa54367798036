"""Decoded views: base64 tokens that hold text are read as text. What is found inside points at the whole token."""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator

__all__ = ["NEEDS_DECODING", "decoded_tokens"]

NEEDS_DECODING = r"[A-Za-z0-9+/_\-]{12}"

_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_\-.@])[A-Za-z0-9+/_\-]{12,65536}={0,2}(?![A-Za-z0-9+/_=@])")
_HAS_MIXED = re.compile(r"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])")


def decoded_tokens(text: str) -> Iterator[tuple[int, int, str]]:
    """Place and text of each token that decodes to printable UTF-8 (RFC 4648 sections 4 and 5)."""
    for match in _BASE64.finditer(text):
        token = match.group().rstrip("=")
        if len(token) % 4 == 1 or not _HAS_MIXED.match(token):
            continue
        padded = token.replace("-", "+").replace("_", "/") + "=" * (-len(token) % 4)
        try:
            decoded = b64decode(padded, validate=True).decode()
        except (Error, UnicodeDecodeError):
            continue
        if decoded.isprintable() or decoded.replace("\n", "").replace("\t", "").replace("\r", "").isprintable():
            yield match.start(), match.end(), decoded
