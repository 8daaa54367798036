"""Resource identifiers are compared by what they mean, not byte by byte (RFC 8707 section 2, RFC 3986 section 6)."""

import re
from urllib.parse import SplitResult, urlsplit

from auth_service.errors import InvalidTarget

__all__ = ["comparison_key", "normalize_identifier"]

_DEFAULT_PORTS = {"http": 80, "https": 443}

# RFC 3986 section 2: nothing else may occur in a URI. `urlsplit` would silently drop tabs and line ends.
_URI = re.compile(r"(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")


def normalize_identifier(uri: str) -> str:
    """The URI after RFC 3986 section 6.2.2 and 6.2.3: case, percent-encoding, dot segments, default port, empty path.

    Raises `InvalidTarget` for what RFC 8707 section 2 forbids, relative references and fragments, and for what is no
    URI with a host.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise InvalidTarget("resource must be an absolute URI") from error
    if not _URI.fullmatch(uri) or not parts.scheme or not parts.hostname:
        raise InvalidTarget("resource must be an absolute URI without a fragment")
    path = _remove_dot_segments(_normalize_escapes(parts.path)) or "/"
    query = f"?{_normalize_escapes(parts.query)}" if "?" in uri else ""
    return f"{parts.scheme}://{_authority(parts, port)}{path}{query}"


def comparison_key(uri: str) -> str:
    """Equal for two identifiers that mean one resource: normalized, and without a slash at the end of the path.

    The slash is more than RFC 3986 forgives. People type an address with or without it, clients derive the resource
    from what was typed, and the server answers at both. Raises `InvalidTarget`.
    """
    before, mark, query = normalize_identifier(uri).partition("?")
    return f"{before.removesuffix('/')}{mark}{query}"


def _authority(parts: SplitResult, port: int | None) -> str:
    userinfo, at, _ = parts.netloc.rpartition("@")
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else _normalize_escapes(host).lower()
    shown_port = "" if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f":{port}"
    return f"{userinfo}{at}{host}{shown_port}"


def _normalize_escapes(text: str) -> str:
    """Escapes in upper case, and none for what needs no escape."""

    def rewrite(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        return character if _UNRESERVED.fullmatch(character) else found[0].upper()

    return _ESCAPE.sub(rewrite, text)


def _remove_dot_segments(path: str) -> str:
    """RFC 3986 section 5.2.4, for an absolute path."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    # A dot segment at the end leaves the slash before it.
    if segments and segments[-1] in {".", ".."}:
        kept.append("")
    return "".join(f"/{segment}" for segment in kept)
