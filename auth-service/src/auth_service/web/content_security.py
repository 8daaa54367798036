"""The Content-Security-Policy of the pages (CSP level 3), built from validated parts only."""

import base64
import hashlib
import re

from security_common.web_urls import parse_web_url

__all__ = ["form_target", "page_policy"]

_THIS_ORIGIN = "'self'"

# CSP level 3 section 2.3.1. Any other character, for example a semicolon or a space, would start a new directive or a
# new source.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
_ORIGIN = re.compile(r"https?://[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?::[0-9]{1,5})?")


def form_target(uri: str) -> str:
    """The `form-action` source for this address: its origin, or its scheme if the grammar has no origin for it, as for
    IPv6 addresses and private-use schemes. For any other address `'self'`, which allows nothing else.
    """
    scheme = uri.partition(":")[0].lower()
    source = f"{scheme}:"
    if scheme in {"http", "https"}:
        try:
            url = parse_web_url(uri)
        except ValueError:
            return _THIS_ORIGIN
        if ":" not in url.host:
            source = f"{url.scheme}://{url.host}" + (f":{url.port}" if url.port is not None else "")
    return source if _is_source(source) else _THIS_ORIGIN


def page_policy(form_targets: tuple[str, ...], *, script: str | None = None) -> str:
    """A policy for pages whose forms go to this server and are redirected to `form_targets`.

    It allows no script, except the text `script` within the page.
    Raises `ValueError` for a target that `form_target` did not return.
    """
    for target in form_targets:
        if target != _THIS_ORIGIN and not _is_source(target):
            raise ValueError("not a source expression of a Content-Security-Policy")
    sources = dict.fromkeys((_THIS_ORIGIN, *form_targets))
    directives = (
        "default-src 'none'",
        "style-src 'self'",
        f"form-action {' '.join(sources)}",
        "img-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
    if script is not None:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
        directives = (*directives, f"script-src 'sha256-{digest}'")
    return "; ".join(directives)


def _is_source(text: str) -> bool:
    return bool(_SCHEME.fullmatch(text) or _ORIGIN.fullmatch(text))
