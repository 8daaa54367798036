"""The base class of every error that this library raises: an error code, a description and a hint."""

from typing import ClassVar

__all__ = ["SecurityError", "describe", "describe_for_client"]


class SecurityError(Exception):
    """An error that the caller can act on.

    `error` is a stable code for programs. `description` is public: it contains no personal data, token, key or secret.
    `hint` says how to fix the problem. `str()` contains both, so that a traceback shows the hint too. Private details
    belong in `__cause__`, which only goes to logs. `client_text` is what a client of a service gets instead of
    description and hint, if only the operator of the service can act on them; it is empty for other errors.
    """

    error: ClassVar[str] = "security_error"
    client_text: ClassVar[str] = ""

    def __init__(self, description: str, *, hint: str = "") -> None:
        super().__init__(description)
        self.description = description
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.description}\nhint: {self.hint}" if self.hint else self.description


def describe(error: SecurityError) -> str:
    """One sentence with the error code, the description and the hint, for the log of a service."""
    hint = f" ({error.hint})" if error.hint else ""
    return f"{error.error}: {error.description}{hint}"


def describe_for_client(error: SecurityError) -> str:
    """One sentence for a client, with the error code first, that a program or a model can act on."""
    return f"{error.error}: {error.client_text}" if error.client_text else describe(error)
