"""The language of a page: the one that the user chose, the client requested or the browser prefers, else English."""

from enum import StrEnum
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request

from security_common.cookies import ServiceCookies, parse_cookies
from security_common.edge.content_negotiation import preferred_languages

__all__ = ["LANGUAGE_PARAMETER", "Language", "choose_language", "chosen_in_query", "with_language"]

LANGUAGE_PARAMETER = "language"
"""The query parameter of the link to the other language, and the cookie that stores the choice."""


class Language(StrEnum):
    """The languages that texts.yaml has every text in."""

    ENGLISH = "en"
    KOREAN = "ko"


_SUPPORTED = frozenset(language.value for language in Language)


def choose_language(request: Request, ui_locales: str | None) -> Language:
    """The language that the user switched to, now or before; else the first supported one of `ui_locales` (OpenID
    Connect Core section 3.1.2.1, in order of preference); else of Accept-Language by weight (RFC 9110 section
    12.5.4); else English.
    """
    chosen = (request.query_params.get(LANGUAGE_PARAMETER, ""), _remembered_language(request))
    requested = [tag.partition("-")[0].lower() for tag in (ui_locales or "").split()]
    accepted = preferred_languages(request.headers.get("accept-language", ""), _SUPPORTED)
    for language in (*chosen, *requested, *accepted):
        if language in _SUPPORTED:
            return Language(language)
    return Language.ENGLISH


def chosen_in_query(request: Request) -> Language | None:
    """The language that the address of the page names, because the user followed the link to the other language."""
    requested = request.query_params.get(LANGUAGE_PARAMETER)
    return Language(requested) if requested in _SUPPORTED else None


def with_language(address: str, language: Language) -> str:
    """The address of a page of this server, with the language as its last parameter."""
    path, _, query = address.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != LANGUAGE_PARAMETER]
    return f"{path}?{urlencode([*kept, (LANGUAGE_PARAMETER, language.value)])}"


def _remembered_language(request: Request) -> str:
    cookies = parse_cookies(request.headers.getlist("cookie"))
    values = (ServiceCookies("auth_", secure=secure).read(cookies, LANGUAGE_PARAMETER) for secure in (True, False))
    return next((value for value in values if value), "")
