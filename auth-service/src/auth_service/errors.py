"""The OAuth errors of this server: a class for each kind of failure; several kinds can share an error code.

Errors that are only pages are in `web.error_pages` and `authorize.page_errors`.

`error` is the code, `description` is public and ASCII (RFC 6749 section 5.2), `hint` says how to fix the cause and is
logged, `status` is the HTTP status of a direct response. The authorization endpoint sends the same errors in its
redirect.
"""

from enum import StrEnum
from typing import ClassVar

from security_common.errors import SecurityError


class ErrorCode(StrEnum):
    """The `error` member of a response. The RFC that defines each code is named at its class."""

    ACCESS_DENIED = "access_denied"
    CONSENT_REQUIRED = "consent_required"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    INVALID_CLIENT = "invalid_client"
    INVALID_CLIENT_METADATA = "invalid_client_metadata"
    INVALID_GRANT = "invalid_grant"
    INVALID_REDIRECT_URI = "invalid_redirect_uri"
    INVALID_REQUEST = "invalid_request"
    INVALID_SCOPE = "invalid_scope"
    INVALID_TARGET = "invalid_target"
    INVALID_TOKEN = "invalid_token"
    LOGIN_REQUIRED = "login_required"
    REGISTRATION_NOT_SUPPORTED = "registration_not_supported"
    REQUEST_NOT_SUPPORTED = "request_not_supported"
    REQUEST_URI_NOT_SUPPORTED = "request_uri_not_supported"
    SERVER_ERROR = "server_error"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    UNMET_AUTHENTICATION_REQUIREMENTS = "unmet_authentication_requirements"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    UNSUPPORTED_RESPONSE_MODE = "unsupported_response_mode"
    UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"


class OAuthError(SecurityError):
    """An error of the protocol. `retry_after_seconds` is set if the same request can succeed later."""

    error: ClassVar[str] = ErrorCode.SERVER_ERROR
    status: ClassVar[int] = 400

    def __init__(self, description: str, *, hint: str = "", retry_after_seconds: int | None = None) -> None:
        super().__init__(description, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class InvalidRequest(OAuthError):
    """RFC 6749 section 5.2: a parameter is missing, repeated or malformed."""

    error = ErrorCode.INVALID_REQUEST


class RequestTooLarge(InvalidRequest):
    """The body is larger than this server accepts."""

    status = 413


class RequestHeadersTooLarge(InvalidRequest):
    """The headers are larger than this server accepts."""

    status = 431


class EndpointNotFound(InvalidRequest):
    """No endpoint has this path, where the response is not the JSON object of the application."""

    status = 404


class MethodNotAllowed(InvalidRequest):
    """The endpoint exists, but does not accept this method (RFC 9110 section 15.5.6)."""

    status = 405


class InvalidClient(OAuthError):
    """RFC 6749 section 5.2: 401 with a Basic challenge.

    The text for an unknown client and for a wrong secret is the same (`clients.credentials.REFUSAL`).
    """

    error = ErrorCode.INVALID_CLIENT
    status = 401


class ClientDocumentUnavailable(InvalidClient):
    """The client id metadata document cannot be fetched; `problem` is the cause (`FetchProblem`)."""

    def __init__(self, description: str, *, problem: str) -> None:
        super().__init__(description)
        self.problem = problem


class TooManyFailures(InvalidClient):
    """Too many wrong secrets for this client from this address: it has to wait."""

    status = 429


class InvalidGrant(OAuthError):
    """RFC 6749 section 5.2: the code or refresh token is unknown, used, expired or of another client."""

    error = ErrorCode.INVALID_GRANT


class UnauthorizedClient(OAuthError):
    """RFC 6749 section 5.2: the client is not allowed to use this grant."""

    error = ErrorCode.UNAUTHORIZED_CLIENT


class UnsupportedGrantType(OAuthError):
    """RFC 6749 section 5.2."""

    error = ErrorCode.UNSUPPORTED_GRANT_TYPE


class InvalidScope(OAuthError):
    """RFC 6749 section 5.2: unknown, malformed, or more than can be granted."""

    error = ErrorCode.INVALID_SCOPE


class InvalidTarget(OAuthError):
    """RFC 8707 section 2: the resource is unknown, malformed or not allowed for the client."""

    error = ErrorCode.INVALID_TARGET


class AccessDenied(OAuthError):
    """RFC 6749 section 4.1.2.1: the user denied, or the rules of the user's identity provider allow nothing."""

    error = ErrorCode.ACCESS_DENIED
    status = 403


class UnsupportedResponseType(OAuthError):
    """RFC 6749 section 4.1.2.1."""

    error = ErrorCode.UNSUPPORTED_RESPONSE_TYPE


class UnsupportedResponseMode(OAuthError):
    """OAuth 2.0 Multiple Response Type Encoding Practices: only `query` is supported."""

    error = ErrorCode.UNSUPPORTED_RESPONSE_MODE


class LoginRequired(OAuthError):
    """OpenID Connect Core section 3.1.2.6: `prompt=none` without a session."""

    error = ErrorCode.LOGIN_REQUIRED


class UnmetAuthenticationRequirements(OAuthError):
    """OpenID Connect Core Unmet Authentication Requirements 1.0: the sign-in was not as strong as required."""

    error = ErrorCode.UNMET_AUTHENTICATION_REQUIREMENTS


class ConsentRequired(OAuthError):
    """OpenID Connect Core section 3.1.2.6: `prompt=none` without a stored consent."""

    error = ErrorCode.CONSENT_REQUIRED


class RequestNotSupported(OAuthError):
    """OpenID Connect Core section 3.1.2.6: request objects are not supported."""

    error = ErrorCode.REQUEST_NOT_SUPPORTED


class RequestUriNotSupported(OAuthError):
    """OpenID Connect Core section 3.1.2.6: this server does not fetch addresses from requests."""

    error = ErrorCode.REQUEST_URI_NOT_SUPPORTED


class RegistrationNotSupported(OAuthError):
    """OpenID Connect Core section 3.1.2.6: clients register at the registration endpoint."""

    error = ErrorCode.REGISTRATION_NOT_SUPPORTED


class InvalidRedirectUri(OAuthError):
    """RFC 7591 section 3.2.2."""

    error = ErrorCode.INVALID_REDIRECT_URI


class InvalidClientMetadata(OAuthError):
    """RFC 7591 section 3.2.2."""

    error = ErrorCode.INVALID_CLIENT_METADATA


class InvalidToken(OAuthError):
    """RFC 6750 section 3.1, with a Bearer challenge."""

    error = ErrorCode.INVALID_TOKEN
    status = 401


class InsufficientScope(OAuthError):
    """RFC 6750 section 3.1, with a Bearer challenge."""

    error = ErrorCode.INSUFFICIENT_SCOPE
    status = 403


class TooManyRequests(OAuthError):
    """A rate limit, RFC 6585 section 4."""

    error = ErrorCode.TEMPORARILY_UNAVAILABLE
    status = 429


class TemporarilyUnavailable(OAuthError):
    """RFC 6749 section 4.1.2.1: something that the server needs, such as Redis or the journal, is not available."""

    error = ErrorCode.TEMPORARILY_UNAVAILABLE
    status = 503


class ServerError(OAuthError):
    """RFC 6749 section 4.1.2.1: a failure of this server; the cause is only in its log."""

    status = 500
