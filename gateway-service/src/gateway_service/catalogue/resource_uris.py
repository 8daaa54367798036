"""URIs of resources that every server reads in the same way.

A pattern such as `file:///data/*` must not match a URI that leads out of `/data`, nor one that a server reads as
`file:///data/secret/x` if that has a rule of its own. The gateway passes URIs on as they are, so it refuses one that a
server might normalize (RFC 3986 section 6.2.2) to another.
"""

import re
import unicodedata
from urllib.parse import unquote

__all__ = ["MAX_URI_CHARACTERS", "canonical_uri", "is_unambiguous_uri", "without_ignored_end"]

MAX_URI_CHARACTERS = 2048
MAX_DECODINGS = 3
_REPEATED_SLASHES = re.compile(r"/{2,}")
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


def canonical_uri(uri: str) -> str:
    """One form for all URIs that some server may treat as the same resource, for comparisons only.

    It is decoded, without empty path segments and without a difference of case or of Unicode forms (file systems ignore
    these), and `file://localhost/` is `file:///`.
    """
    decoded = uri
    for _ in range(MAX_DECODINGS):
        decoded = unquote(decoded, errors="replace")
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", decoded).casefold())
    collapsed = _REPEATED_SLASHES.sub("/", folded)
    return collapsed.replace("/localhost", "", 1) if collapsed.startswith("file:/localhost/") else collapsed


def without_ignored_end(canonical: str) -> str:
    """The canonical URI without its end that some servers ignore: the fragment, a slash, and the query of `file:`."""
    shortened, _, _ = canonical.partition("#")
    if shortened.startswith("file:"):
        shortened, _, _ = shortened.partition("?")
    return shortened.rstrip("/")
