"""The root of every error this library raises: a code for programs, a sentence for people, a hint how to fix it."""

from typing import ClassVar

__all__ = ["SecurityError"]


class SecurityError(Exception):
    """Something a caller can act on.

    `error` is stable and machine-readable. `description` is public: it never holds personal data, a token, a key
    or a secret. `hint` says how to fix it; `str()` of the error contains both, so that Python's own traceback shows the
    hint too. What must stay private travels as `__cause__`, for logs only.
    """

    error: ClassVar[str] = "security_error"

    def __init__(self, description: str, *, hint: str = "") -> None:
        super().__init__(description)
        self.description = description
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.description}\nhint: {self.hint}" if self.hint else self.description
