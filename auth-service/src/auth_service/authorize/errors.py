"""Errors of this package that are pages, because there is no address they could safely be sent to."""

from auth_service.errors import OAuthError
from auth_service.web.errors import PageError, WayOn

__all__ = [
    "AnswerHeld",
    "ClientDocumentUnreachable",
    "ClientRefused",
    "ClientUnknown",
    "LogoutRefused",
    "NotYours",
    "RedirectRefused",
    "RequestFinished",
    "RequestGone",
]


class ClientUnknown(PageError):
    """No client has this id: it has to register again."""

    error = "invalid_client"
    page = "client_unknown"


class ClientDocumentUnreachable(PageError):
    """The client's metadata document cannot be fetched by this server; nothing can be done in the app."""

    error = "invalid_client"
    page = "document_unreachable"
    for_operator = "document.operator"


class ClientRefused(PageError):
    """The id of the client, its host or its metadata document is not accepted."""

    error = "invalid_client"
    page = "client_refused"


class RedirectRefused(PageError):
    """The redirect URI is missing or not the client's."""

    page = "redirect_refused"


class AnswerHeld(PageError):
    """An error for a client whose address nobody vouches for: whether the browser goes there, the person decides."""

    page = "answer_held"

    def __init__(self, error: OAuthError, *, way_on: WayOn, ui_locales: str | None) -> None:
        super().__init__(
            error.description, way_on=way_on, ui_locales=ui_locales, retry_after_seconds=error.retry_after_seconds
        )
        self.code = error.error


class RequestGone(PageError):
    """The request behind a page was left for too long."""

    page = "request_gone"
    restarts = True


class RequestFinished(PageError):
    """The request behind a page was answered before."""

    page = "request_finished"
    restarts = True


class NotYours(PageError):
    """The request behind a page was begun by another browser."""

    status = 403
    page = "not_yours"
    restarts = True


class LogoutRefused(PageError):
    """The address to go to after logout is not the client's."""

    page = "logout_refused"
