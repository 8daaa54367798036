"""The root of every error this library raises: a code for programs, a sentence for people, a way to mend it."""

from typing import ClassVar

__all__ = ["SecurityError"]


class SecurityError(Exception):
    """Something a caller can act on.

    `error` is stable and machine-readable. `description` is public: it never holds personal data, a token, a key
    or a secret. `hint` says how to mend it. What must stay private travels as `__cause__`, for logs only.
    """

    error: ClassVar[str] = "security_error"

    def __init__(self, description: str, *, hint: str = "") -> None:
        super().__init__(description)
        self.description = description
        self.hint = hint
