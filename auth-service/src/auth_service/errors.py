"""Every error this server answers, one class per code, so that a room reports a failure by raising it.

`error` is the code of the RFC, `description` is public and ASCII (RFC 6749 section 5.2), `hint` says how to mend it
and goes to the log of whoever runs the client, `status` is the HTTP status where the error is a response of its own.
At the authorization endpoint the same errors travel in the redirect instead.
"""

from typing import ClassVar

from security_common.errors import SecurityError


class OAuthError(SecurityError):
    """An error of the protocol. `retry_after_seconds` is set where coming back later helps."""

    error: ClassVar[str] = "server_error"
    status: ClassVar[int] = 400

    def __init__(self, description: str, *, hint: str = "", retry_after_seconds: int | None = None) -> None:
        super().__init__(description, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class InvalidRequest(OAuthError):
    """RFC 6749 section 5.2: a parameter is missing, repeated or malformed."""

    error = "invalid_request"


class RequestTooLarge(InvalidRequest):
    """The body is larger than this server reads."""

    status = 413


class MethodNotAllowed(InvalidRequest):
    """The endpoint is there, but not for this method (RFC 9110 section 15.5.6)."""

    status = 405


class InvalidClient(OAuthError):
    """RFC 6749 section 5.2. Always 401 with a Basic challenge, so that the answer names no reason."""

    error = "invalid_client"
    status = 401


class ClientDocumentUnavailable(InvalidClient):
    """The client's metadata document cannot be fetched; `problem` names the cause (`clients.fetching.FetchProblem`)."""

    def __init__(self, description: str, *, problem: str) -> None:
        super().__init__(description)
        self.problem = problem


class TooManyFailures(InvalidClient):
    """Too many failed secrets for this client from this address: the 401 with a wait."""

    status = 429


class InvalidGrant(OAuthError):
    """RFC 6749 section 5.2: the code or refresh token is unknown, spent, expired or not this client's."""

    error = "invalid_grant"


class UnauthorizedClient(OAuthError):
    """RFC 6749 section 5.2: the client may not use this grant."""

    error = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """RFC 6749 section 5.2."""

    error = "unsupported_grant_type"


class InvalidScope(OAuthError):
    """RFC 6749 section 5.2: unknown, malformed, or more than may be granted."""

    error = "invalid_scope"


class InvalidTarget(OAuthError):
    """RFC 8707 section 2: the resource is unknown, malformed or not this client's."""

    error = "invalid_target"


class AccessDenied(OAuthError):
    """RFC 6749 section 4.1.2.1: the user said no."""

    error = "access_denied"
    status = 403


class UnsupportedResponseType(OAuthError):
    """RFC 6749 section 4.1.2.1."""

    error = "unsupported_response_type"


class UnsupportedResponseMode(OAuthError):
    """OAuth 2.0 Multiple Response Type Encoding Practices: only `query` is offered."""

    error = "unsupported_response_mode"


class LoginRequired(OAuthError):
    """OpenID Connect Core section 3.1.2.6: `prompt=none` without a session."""

    error = "login_required"


class ConsentRequired(OAuthError):
    """OpenID Connect Core section 3.1.2.6: `prompt=none` without a remembered consent."""

    error = "consent_required"


class RequestNotSupported(OAuthError):
    """OpenID Connect Core section 3.1.2.6: request objects are not read."""

    error = "request_not_supported"


class RequestUriNotSupported(OAuthError):
    """OpenID Connect Core section 3.1.2.6: this server fetches nothing a request names."""

    error = "request_uri_not_supported"


class RegistrationNotSupported(OAuthError):
    """OpenID Connect Core section 3.1.2.6: registration has an endpoint of its own."""

    error = "registration_not_supported"


class InvalidRedirectUri(OAuthError):
    """RFC 7591 section 3.2.2."""

    error = "invalid_redirect_uri"


class InvalidClientMetadata(OAuthError):
    """RFC 7591 section 3.2.2."""

    error = "invalid_client_metadata"


class InvalidToken(OAuthError):
    """RFC 6750 section 3.1, answered with a Bearer challenge."""

    error = "invalid_token"
    status = 401


class InsufficientScope(OAuthError):
    """RFC 6750 section 3.1, answered with a Bearer challenge."""

    error = "insufficient_scope"
    status = 403


class TooManyRequests(OAuthError):
    """A rate limit, RFC 6585 section 4."""

    error = "temporarily_unavailable"
    status = 429


class TemporarilyUnavailable(OAuthError):
    """RFC 6749 section 4.1.2.1: Redis or the audit journal cannot be written just now."""

    error = "temporarily_unavailable"
    status = 503


class ServerError(OAuthError):
    """RFC 6749 section 4.1.2.1: our fault; the cause is in the log only."""

    status = 500
