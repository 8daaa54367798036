"""The language of a page: the one that the client requested, else the one that the browser prefers, else English."""

from enum import StrEnum

from starlette.requests import Request

__all__ = ["Language", "choose_language"]


class Language(StrEnum):
    """The languages that texts.yaml has every text in."""

    ENGLISH = "en"
    KOREAN = "ko"


_SUPPORTED = frozenset(language.value for language in Language)
_MAX_LANGUAGE_RANGES = 32


def choose_language(request: Request, ui_locales: str | None) -> Language:
    """The first supported language of `ui_locales` (OpenID Connect Core section 3.1.2.1, in order of preference), else
    of Accept-Language by weight (RFC 9110 section 12.5.4), else English.
    """
    for tag in (*(ui_locales or "").split(), *_by_weight(request.headers.get("accept-language", ""))):
        primary = tag.partition("-")[0].lower()
        if primary in _SUPPORTED:
            return Language(primary)
    return Language.ENGLISH


def _by_weight(header: str) -> list[str]:
    weighted: list[tuple[float, str]] = []
    for part in header.split(",")[:_MAX_LANGUAGE_RANGES]:
        tag, _, parameter = part.strip().partition(";")
        weighted.append((_weight(parameter), tag.strip()))
    weighted.sort(key=lambda each: -each[0])
    return [tag for weight, tag in weighted if weight > 0]


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
