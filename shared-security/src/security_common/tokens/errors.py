"""Why a token was rejected, and why the keys of its issuer are not available."""

from typing import ClassVar

from security_common.errors import SecurityError

__all__ = ["IssuerMismatch", "IssuerUnreachable", "KeysUnavailable", "TokenRejected"]


class TokenRejected(SecurityError):
    """The token is not valid: 401 invalid_token (RFC 6750 section 3.1). `reason` is the code for logs and audit."""

    error: ClassVar[str] = "invalid_token"

    def __init__(self, reason: str, description: str, *, hint: str = "") -> None:
        super().__init__(description, hint=hint)
        self.reason = reason


class KeysUnavailable(SecurityError):
    """The token may be valid, but the keys of its issuer are not available now: 503, never 401."""

    error: ClassVar[str] = "temporarily_unavailable"

    def __init__(self, description: str, *, hint: str = "", retry_after_seconds: int = 5) -> None:
        super().__init__(description, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class IssuerUnreachable(SecurityError):
    """The issuer returned no usable document. Known keys stay in use, and the fetch is repeated later."""

    error: ClassVar[str] = "issuer_unreachable"


class IssuerMismatch(SecurityError):
    """The metadata at the issuer's URL names another issuer (RFC 8414 section 3.3)."""

    error: ClassVar[str] = "issuer_mismatch"
