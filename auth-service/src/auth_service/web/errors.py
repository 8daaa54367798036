"""Errors that people read: each names the text of its page, and says what to do there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from auth_service.errors import OAuthError, ServerError, TemporarilyUnavailable, TooManyRequests
from auth_service.http.forms import parse_query
from auth_service.http.messages import Answer, HttpRequest
from auth_service.web.language import choose_language
from auth_service.web.pages import Pages

__all__ = ["FormStale", "PageError", "WayOn", "error_pages"]


@dataclass(frozen=True, slots=True)
class WayOn:
    """Where a button of an error page leads. `text` is its key in texts.yaml, `parts` what is filled in there."""

    text: str
    address: str
    parts: Mapping[str, str] = field(default_factory=dict[str, str])


class PageError(OAuthError):
    """An error shown to the person at the browser. `page` is its key in texts.yaml, `restarts` says that the sign-in
    has to be started again.

    `way_on` is set where a button can lead on, `ui_locales` where the request asked for a language. `code` is the OAuth
    code among the details. `detail` is the key of a sentence about this very case, `for_operator` that of advice for
    the operator of this server.
    """

    error = "invalid_request"
    page: ClassVar[str] = "request_wrong"
    restarts: ClassVar[bool] = False
    for_operator: ClassVar[str | None] = None

    def __init__(
        self,
        description: str,
        *,
        way_on: WayOn | None = None,
        ui_locales: str | None = None,
        retry_after_seconds: int | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(description, retry_after_seconds=retry_after_seconds)
        self.detail = detail
        self.way_on = way_on
        self.ui_locales = ui_locales
        self.code = self.error


class FormStale(PageError):
    """A form came without its key: from another site, or from a page that was made for another account."""

    status = 403
    page = "form_stale"


def error_pages(pages: Pages) -> Callable[[OAuthError, HttpRequest], Answer]:
    """What `Endpoint.word_error` is where people look."""

    def word(error: OAuthError, request: HttpRequest) -> Answer:
        own = error if isinstance(error, PageError) else None
        locales = own.ui_locales if own is not None else None
        language = choose_language(locales or _locales(request), request.header("accept-language"))
        wait = error.retry_after_seconds
        return pages.answer(
            "error",
            language,
            status=error.status,
            headers=(("retry-after", str(wait)),) if wait is not None else (),
            page=_page_of(error),
            code=own.code if own is not None else error.error,
            description=error.description,
            way_on=own.way_on if own is not None else None,
            restarts=own is not None and own.restarts,
            detail=own.detail if own is not None else None,
            for_operator=own.for_operator if own is not None else None,
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
