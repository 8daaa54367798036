"""Bytes in the walk: text is protected as text, and text inside other bytes must be free of personal data."""

import base64
import re

from security_common.pii import FieldContext
from security_common.tool_policy.json_walk import JSONWalk

__all__ = ["protect_base64", "protect_bytes"]

TEXT_ENCODINGS = ("utf-8", "cp949")
UTF16_BYTE_ORDER_MARKS = {b"\xff\xfe", b"\xfe\xff"}
MAX_AMBIGUOUS_CHARACTERS = 64
"""A text up to this length may be a number that only happens to be valid base64."""

_PRINTABLE_RUN = re.compile(rb"[\x20-\x7e]{10,}")
"""Ten printable bytes in a row, once zero bytes are removed, are taken for text. Shorter runs occur in every image."""


def protect_bytes(walk: JSONWalk, content: bytes, context: FieldContext | None) -> bytes:
    """The bytes protected, or the same object if nothing was found.

    Raises UnsupportedValue if bytes that are not text contain personal data, and TooMuchData.
    """
    for encoding in TEXT_ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        protected = walk.visit_text(text, context)
        if protected is not text:
            return protected.encode(encoding, "replace")
        if 0 not in content:
            return content
        break  # zero bytes: it may be text in another encoding
    if content[:2] in UTF16_BYTE_ORDER_MARKS:
        contained_text = content.decode("utf-16", "replace")
    else:
        contained_text = b"\n".join(_PRINTABLE_RUN.findall(content.replace(b"\0", b""))).decode("ascii")
    walk.count_characters(len(contained_text))
    walk.leaves.require_clean(contained_text, context)
    return content


def protect_base64(walk: JSONWalk, encoded: str, context: FieldContext | None) -> str:
    """Base64, searched as the bytes that it encodes. Other text is searched as text. Raises as `protect_bytes`."""
    try:
        content = base64.b64decode(encoded, validate=True)
    except ValueError:
        return walk.visit_text(encoded, context)
    if len(encoded) <= MAX_AMBIGUOUS_CHARACTERS and not _is_utf8(content):
        protected_text = walk.visit_text(encoded, context)
        if protected_text is not encoded:
            return protected_text
    protected = protect_bytes(walk, content, context)
    return encoded if protected is content else base64.b64encode(protected).decode()


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
