"""Errors that people read: each names the text of its page, and says what to do there."""

from collections.abc import Callable
from typing import ClassVar

from auth_service.errors import OAuthError, ServerError, TemporarilyUnavailable, TooManyRequests
from auth_service.http.forms import parse_query
from auth_service.http.messages import Answer, HttpRequest
from auth_service.web.language import choose_language
from auth_service.web.pages import Pages

__all__ = ["FormStale", "PageError", "error_pages"]


class PageError(OAuthError):
    """An error shown to whoever sits at the browser. `page` is its key in texts.yaml."""

    error = "invalid_request"
    page: ClassVar[str] = "request_wrong"


class FormStale(PageError):
    """A form came without its key: from another site, or from a page of before the last sign-in."""

    status = 403
    page = "form_stale"


def error_pages(pages: Pages) -> Callable[[OAuthError, HttpRequest], Answer]:
    """What `Endpoint.word_error` is where people look."""

    def word(error: OAuthError, request: HttpRequest) -> Answer:
        language = choose_language(_locales(request), request.header("accept-language"))
        wait = error.retry_after_seconds
        return pages.answer(
            "error",
            language,
            status=error.status,
            headers=(("retry-after", str(wait)),) if wait is not None else (),
            page=_page_of(error),
            error=error,
            trace_id=request.trace_id,
        )

    return word


def _locales(request: HttpRequest) -> str | None:
    """What the client asked for, where its request can be read."""
    try:
        return parse_query(request).get("ui_locales")
    except OAuthError:
        return None


def _page_of(error: OAuthError) -> str:
    match error:
        case PageError():
            return error.page
        case TooManyRequests():
            return "too_many"
        case TemporarilyUnavailable():
            return "unavailable"
        case ServerError():
            return "failed"
        case _:
            return PageError.page
