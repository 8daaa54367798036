"""Errors that people read: each names the text of its page and what the person can do next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response

from auth_service.errors import ErrorCode, OAuthError, ServerError, TemporarilyUnavailable, TooManyRequests
from auth_service.http.forms import parse_query
from auth_service.http.parameters import Parameter, ParameterTable
from auth_service.web.language import choose_language
from auth_service.web.pages import Pages

__all__ = ["FormInvalid", "NextStep", "PageError", "render_error_page"]

_LOCALE_PARAMETERS = ParameterTable(Parameter("ui_locales", "Preferred languages of the page."))


@dataclass(frozen=True, slots=True)
class NextStep:
    """The button of an error page. `text` is its key in texts.yaml, `parts` are the values that the text contains."""

    text: str
    address: str
    parts: Mapping[str, str] = field(default_factory=dict[str, str])


class PageError(OAuthError):
    """An error that is displayed in the browser and never redirected to the client.

    `page` is the key of its texts in texts.yaml. `restarts` is true if the person has to start the sign-in again.
    `next_step` is a button, if there is somewhere to go. `ui_locales` are the languages that the request names.
    `other_step` is a second button. `code` is the OAuth error code in the details of the page. `detail` is the key of a
    sentence about the cause, `detail_parts` its values, `for_operator` the key of advice for the operator.
    """

    error = ErrorCode.INVALID_REQUEST
    page: ClassVar[str] = "request_wrong"
    restarts: ClassVar[bool] = False
    for_operator: ClassVar[str | None] = None

    def __init__(
        self,
        description: str,
        *,
        next_step: NextStep | None = None,
        other_step: NextStep | None = None,
        ui_locales: str | None = None,
        retry_after_seconds: int | None = None,
        detail: str | None = None,
        detail_parts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(description, retry_after_seconds=retry_after_seconds)
        self.detail = detail
        self.detail_parts = detail_parts or {}
        self.next_step = next_step
        self.other_step = other_step
        self.ui_locales = ui_locales
        self.code = self.error


class FormInvalid(PageError):
    """The CSRF token of a form is missing or wrong: another site sent it, or the page shows another account."""

    status = 403
    page = "form_invalid"


def render_error_page(pages: Pages, error: OAuthError, request: Request, *, trace_id: str) -> Response:
    """The page for an error of any kind. `trace_id` is the reference that people can give to the operator."""
    page_error = error if isinstance(error, PageError) else PageError(error.description)
    language = choose_language(request, page_error.ui_locales or _requested_locales(request))
    retry_after = error.retry_after_seconds
    return pages.render(
        "error",
        language,
        request,
        status=error.status,
        headers=(("retry-after", str(retry_after)),) if retry_after is not None else (),
        page=_page_of(error),
        code=page_error.code if page_error is error else error.error,
        description=error.description,
        next_step=page_error.next_step,
        other_step=page_error.other_step,
        restarts=page_error.restarts,
        detail=page_error.detail,
        detail_parts=page_error.detail_parts,
        for_operator=page_error.for_operator,
        trace_id=trace_id,
    )


def _requested_locales(request: Request) -> str | None:
    """The `ui_locales` parameter, if the query string can be parsed."""
    try:
        return parse_query(request.scope["query_string"], _LOCALE_PARAMETERS).get("ui_locales")
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
