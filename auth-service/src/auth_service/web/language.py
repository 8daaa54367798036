"""The language of a page: the one that the client requested, else the one that the browser prefers, else English."""

from enum import StrEnum

from starlette.requests import Request

from security_common.edge.content_negotiation import preferred_languages

__all__ = ["Language", "choose_language"]


class Language(StrEnum):
    """The languages that texts.yaml has every text in."""

    ENGLISH = "en"
    KOREAN = "ko"


_SUPPORTED = frozenset(language.value for language in Language)


def choose_language(request: Request, ui_locales: str | None) -> Language:
    """The first supported language of `ui_locales` (OpenID Connect Core section 3.1.2.1, in order of preference), else
    of Accept-Language by weight (RFC 9110 section 12.5.4), else English.
    """
    requested = [tag.partition("-")[0].lower() for tag in (ui_locales or "").split()]
    accepted = preferred_languages(request.headers.get("accept-language", ""), _SUPPORTED)
    for language in (*requested, *accepted):
        if language in _SUPPORTED:
            return Language(language)
    return Language.ENGLISH
