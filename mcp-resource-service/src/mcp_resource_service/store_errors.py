"""What the stores of this service raise; tools and endpoints turn it into answers."""

from typing import ClassVar

from security_common.errors import SecurityError

__all__ = ["NotFound", "StoreUnavailable"]


class StoreUnavailable(SecurityError):
    """Redis did not answer, or has not confirmed that a write is on disk. The caller may try again."""

    error: ClassVar[str] = "temporarily_unavailable"


class NotFound(SecurityError):
    """There is no such thing, or it belongs to someone else: the answer is the same."""

    error: ClassVar[str] = "not_found"
