"""What can go wrong while recording. The service turns JournalUnavailable into 503 with Retry-After."""

from typing import ClassVar

from security_common.errors import SecurityError

__all__ = ["JournalUnavailable"]


class JournalUnavailable(SecurityError):
    """The event is not on disk, so the operation it describes must not be answered."""

    error: ClassVar[str] = "temporarily_unavailable"
