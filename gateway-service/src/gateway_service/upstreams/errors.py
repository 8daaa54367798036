"""Why a call of an upstream fails. No message contains text of the upstream."""

from typing import Any, ClassVar, Self

from security_common.errors import SecurityError

__all__ = [
    "RequestNotServed",
    "SessionLost",
    "UpstreamBusy",
    "UpstreamError",
    "UpstreamFailure",
    "UpstreamPaused",
    "UpstreamProtocolViolation",
    "UpstreamRefusedCredential",
    "UpstreamTimeout",
    "UpstreamUnavailable",
    "UpstreamUnreachable",
]


class UpstreamFailure(SecurityError):
    """The base class. `is_outage` is whether the circuit breaker counts it: the upstream did not answer in time.

    `affects_all` is whether the calls of all callers would fail in the same way. `was_asked` is whether the upstream
    was asked at all, so that the failure says something about it.
    """

    error: ClassVar[str] = "upstream_unavailable"
    is_outage: ClassVar[bool] = False
    affects_all: ClassVar[bool] = False
    was_asked: ClassVar[bool] = True


class UpstreamUnavailable(UpstreamFailure):
    """The upstream has closed the connection or the program has ended, or a proxy had no answer from it in time."""

    error: ClassVar[str] = "upstream_unavailable"
    is_outage: ClassVar[bool] = True

    @classmethod
    def named(cls, upstream: str, *, retry_seconds: int = 10) -> Self:
        """The error for this upstream."""
        return cls(f"{upstream} is unavailable", hint=f"try again in {retry_seconds} seconds")


class UpstreamUnreachable(UpstreamUnavailable):
    """The upstream accepts no connection, or answers that it is not available (502, 503)."""

    affects_all: ClassVar[bool] = True


class RequestNotServed(UpstreamUnavailable):
    """The upstream answers that it cannot serve this request (429, 500). Other callers or arguments may be served."""

    is_outage: ClassVar[bool] = False


class UpstreamPaused(UpstreamUnavailable):
    """The program of this caller has ended again and again, so that it is not started for a while."""

    is_outage: ClassVar[bool] = False
    was_asked: ClassVar[bool] = False


class UpstreamBusy(UpstreamFailure):
    """As many calls of this upstream are in progress as are allowed."""

    error: ClassVar[str] = "upstream_busy"
    was_asked: ClassVar[bool] = False


class UpstreamTimeout(UpstreamFailure):
    """The upstream has accepted the request and not answered in time. The call may have had an effect."""

    error: ClassVar[str] = "upstream_timeout"
    is_outage: ClassVar[bool] = True

    @classmethod
    def named(cls, upstream: str) -> Self:
        """The error for this upstream."""
        return cls(f"{upstream} did not answer in time", hint="the call may have had an effect")


class UpstreamProtocolViolation(UpstreamFailure):
    """The answer is not what the protocol requires, or is larger than allowed."""

    error: ClassVar[str] = "upstream_protocol"

    @classmethod
    def by(cls, upstream: str, what: str) -> Self:
        """The error for what this upstream did."""
        return cls(f"{upstream} {what}", hint="its operator has to correct it")


class SessionLost(UpstreamProtocolViolation):
    """The upstream does not know the session any more (404, MCP 2025-11-25, transports, "Session Management")."""


class UpstreamRefusedCredential(UpstreamFailure):
    """The upstream does not accept the gateway's credential. Its own challenge is not for the gateway's clients.

    `may_be_renewed` is whether another credential can help: with status 401, and not with 403.
    """

    error: ClassVar[str] = "upstream_refused_credential"

    def __init__(self, upstream: str, *, status: int) -> None:
        super().__init__(
            f"{upstream} does not accept the credential of the gateway",
            hint="the operator of the gateway has to renew it",
        )
        self.may_be_renewed = status == 401


class UpstreamError(UpstreamFailure):
    """The upstream answered with a JSON-RPC error. `code`, `message` and `data` are from it, and not protected yet."""

    error: ClassVar[str] = "upstream_error"

    def __init__(self, upstream: str, code: int, message: str, data: Any) -> None:
        super().__init__(f"{upstream} answered with the error {code}")
        self.code = code
        self.message = message
        self.data = data
