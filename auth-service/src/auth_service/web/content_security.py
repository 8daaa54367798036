"""The Content-Security-Policy of our pages (CSP level 3), made of checked parts only."""

import re

from security_common.web_urls import parse_web_url

__all__ = ["form_target", "page_policy"]

_NOWHERE_ELSE = "'self'"

# CSP level 3 section 2.3.1: whatever else were in a source, a semicolon or a space say, would begin a new directive or
# a new source.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
_ORIGIN = re.compile(r"https?://[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?::[0-9]{1,5})?")


def form_target(uri: str) -> str:
    """The source for this address in `form-action`: its origin, or the scheme where the grammar has no origin for it,
    as with IPv6 addresses and private schemes. An address that is neither is not allowed: `'self'`.
    """
    scheme = uri.partition(":")[0].lower()
    source = f"{scheme}:"
    if scheme in {"http", "https"}:
        try:
            url = parse_web_url(uri)
        except ValueError:
            return _NOWHERE_ELSE
        if ":" not in url.host:
            source = f"{url.scheme}://{url.host}" + (f":{url.port}" if url.port is not None else "")
    return source if _is_source(source) else _NOWHERE_ELSE


def page_policy(form_targets: tuple[str, ...]) -> str:
    """A policy that lets a page show itself and send its forms here, and on to `form_targets`.

    Raises `ValueError` for a target that is not a source of `form_target`.
    """
    for target in form_targets:
        if target != _NOWHERE_ELSE and not _is_source(target):
            raise ValueError("not a source expression of a Content-Security-Policy")
    sources = dict.fromkeys(("'self'", *form_targets))
    policy = (
        "default-src 'none'",
        "style-src 'self'",
        f"form-action {' '.join(sources)}",
        "img-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
    return "; ".join(policy)


def _is_source(text: str) -> bool:
    return bool(_SCHEME.fullmatch(text) or _ORIGIN.fullmatch(text))
