"""Errors of the authorization endpoint that are pages, because no address is known to be safe to redirect to."""

from auth_service.errors import ErrorCode, OAuthError
from auth_service.web.error_pages import NextStep, PageError

__all__ = [
    "ClientDocumentUnreachable",
    "ClientRefused",
    "ClientUnknown",
    "LogoutRefused",
    "OtherBrowser",
    "PersonNotAllowed",
    "ProviderClientRefused",
    "ProviderFailed",
    "ProviderRefusedUser",
    "ProviderResponseRefused",
    "ProviderSignInRefused",
    "ProviderUnavailable",
    "ProviderUnknown",
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


class ProviderUnknown(PageError):
    """No identity provider with this id is declared."""

    status = 404
    page = "provider_unknown"


class ProviderResponseRefused(PageError):
    """The response of an identity provider does not belong to a sign-in that this browser waits for."""

    page = "provider_response_refused"
    restarts = True


class ProviderUnavailable(PageError):
    """The identity provider does not answer, or its metadata or keys cannot be used."""

    error = ErrorCode.TEMPORARILY_UNAVAILABLE
    status = 503
    page = "provider_unavailable"


class ProviderClientRefused(PageError):
    """The identity provider does not accept the secret or key of this service."""

    error = ErrorCode.TEMPORARILY_UNAVAILABLE
    status = 503
    page = "provider_client_refused"
    for_operator = "provider.operator"


class ProviderFailed(PageError):
    """The identity provider answered with an error, or with something that is not valid."""

    error = ErrorCode.SERVER_ERROR
    status = 502
    page = "provider_failed"


class ProviderSignInRefused(PageError):
    """The identity provider does not accept the authorization code: it was used or took too long."""

    error = ErrorCode.ACCESS_DENIED
    page = "provider_sign_in_refused"


class ProviderRefusedUser(PageError):
    """The user cancelled at the identity provider, or it refused the user."""

    error = ErrorCode.ACCESS_DENIED
    status = 403
    page = "provider_refused_user"


class PersonNotAllowed(PageError):
    """The account at the identity provider may not be used here."""

    error = ErrorCode.ACCESS_DENIED
    status = 403
    page = "person_not_allowed"


class LogoutRefused(PageError):
    """The address to go to after logout is not registered for the client."""

    page = "logout_refused"
