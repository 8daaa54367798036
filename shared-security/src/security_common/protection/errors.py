"""Errors of this room. None holds a value that was found."""

from collections.abc import Iterable

from security_common.errors import SecurityError

__all__ = ["BadProtection", "PersonalDataRejected"]


class BadProtection(SecurityError):
    """The configuration says something that cannot be done."""

    error = "bad_protection"


class PersonalDataRejected(SecurityError):
    """A text holds kinds of personal data that are refused here."""

    error = "personal_data_rejected"

    def __init__(self, kinds: Iterable[str]) -> None:
        self.kinds = tuple(sorted(set(kinds)))
        super().__init__(f"the text holds {', '.join(self.kinds)}", hint="leave the personal data out, or encrypt it")
