"""URIs of resources that every server reads in the same way.

A pattern such as `file:///data/*` must not match a URI that leads out of `/data`. The gateway passes URIs on as
they are, so it refuses one that a server might normalize (RFC 3986 section 6.2.2) to another.
"""

import re
from urllib.parse import unquote

__all__ = ["MAX_URI_CHARACTERS", "is_unambiguous_uri"]

MAX_URI_CHARACTERS = 2048
MAX_DECODINGS = 3
_SEPARATORS = re.compile(r"[/\\?#;]")


def is_unambiguous_uri(uri: str) -> bool:
    """Whether the URI has neither `.` nor `..` as a segment, in any encoding, and only visible characters."""
    if len(uri) > MAX_URI_CHARACTERS or not uri.isprintable() or any(map(str.isspace, uri)):
        return False
    decoded = uri
    for _ in range(MAX_DECODINGS):
        if not decoded.isprintable() or "\\" in decoded:
            return False
        if any(segment in {".", ".."} for segment in _SEPARATORS.split(decoded)):
            return False
        further = unquote(decoded, errors="replace")
        if further == decoded:
            return True
        decoded = further
    return False
