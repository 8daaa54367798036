"""Errors of the authorization endpoint that are pages, because no address is known to be safe to redirect to."""

from auth_service.errors import ErrorCode, OAuthError
from auth_service.web.error_pages import NextStep, PageError

__all__ = [
    "ClientDocumentUnreachable",
    "ClientRefused",
    "ClientUnknown",
    "LogoutRefused",
    "OtherBrowser",
    "RedirectRefused",
    "RequestExpired",
    "RequestFinished",
    "ResponseHeld",
]


class ClientUnknown(PageError):
    """No client has this id: it has to register again."""

    error = ErrorCode.INVALID_CLIENT
    page = "client_unknown"


class ClientDocumentUnreachable(PageError):
    """The server cannot fetch the client id metadata document; nothing can be changed in the app."""

    error = ErrorCode.INVALID_CLIENT
    page = "document_unreachable"
    for_operator = "document.operator"


class ClientRefused(PageError):
    """The id of the client, its host or its client id metadata document is not accepted."""

    error = ErrorCode.INVALID_CLIENT
    page = "client_refused"


class RedirectRefused(PageError):
    """The redirect URI is missing, or the client has not registered it."""

    page = "redirect_refused"


class ResponseHeld(PageError):
    """An error for a client whose address is unverified: the user decides whether the browser goes there."""

    page = "response_held"

    def __init__(self, error: OAuthError, *, next_step: NextStep, ui_locales: str | None) -> None:
        super().__init__(
            error.description, next_step=next_step, ui_locales=ui_locales, retry_after_seconds=error.retry_after_seconds
        )
        self.code = error.error


class RequestExpired(PageError):
    """The authorization request of a page has expired, or never existed."""

    page = "request_expired"
    restarts = True


class RequestFinished(PageError):
    """The authorization request of a page has already been answered."""

    page = "request_finished"
    restarts = True


class OtherBrowser(PageError):
    """Another browser began the authorization request of a page."""

    status = 403
    page = "other_browser"
    restarts = True


class LogoutRefused(PageError):
    """The address to go to after logout is not registered for the client."""

    page = "logout_refused"
