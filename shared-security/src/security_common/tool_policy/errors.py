"""Why a call is refused or its result withheld. Messages name argument and kind of personal data, never a value."""

from collections.abc import Collection, Mapping
from typing import ClassVar

from security_common.errors import SecurityError

__all__ = [
    "PersonalDataRefused",
    "PlaceholderInvalid",
    "ResultWithheld",
    "ScopesMissing",
    "SearchQueueFull",
    "TooMuchData",
    "ToolFailed",
    "ToolPolicyError",
    "UnsupportedValue",
]

MAX_LISTED_PLACEHOLDERS = 5


class ToolPolicyError(SecurityError):
    """The base class of this package's errors."""

    error: ClassVar[str] = "tool_policy_error"


class PersonalDataRefused(ToolPolicyError):
    """The arguments contain personal data, which the tool does not accept. `kinds` has the kinds by argument."""

    error: ClassVar[str] = "personal_data_refused"

    def __init__(self, kinds: Mapping[str, Collection[str]]) -> None:
        found = "; ".join(f"{argument}: {', '.join(sorted(names))}" for argument, names in kinds.items())
        super().__init__(
            f"personal data is not accepted here ({found})",
            hint="remove it, or refer to people by opaque ids, and call again",
        )
        self.kinds = kinds


class PlaceholderInvalid(ToolPolicyError):
    """The arguments contain placeholders that are not valid for the caller.

    The error does not say whether another caller has them, whether they have expired, or whether they never existed.
    """

    error: ClassVar[str] = "invalid_placeholder"

    def __init__(self, placeholders: Collection[str]) -> None:
        listed = ", ".join(sorted(placeholders)[:MAX_LISTED_PLACEHOLDERS])
        super().__init__(
            f"these placeholders for personal data are not valid for you: {listed}",
            hint="a placeholder can be used by the caller who received it until it expires; call the tool that "
            "returned it again, and copy the placeholder from its new result",
        )


class ResultWithheld(ToolPolicyError):
    """The tool ran, and its result contains personal data that the policy does not allow in a result."""

    error: ClassVar[str] = "result_withheld"

    def __init__(self, kinds: Collection[str]) -> None:
        super().__init__(
            f"the result was withheld because it contains personal data ({', '.join(sorted(kinds))})",
            hint="request less data, or opaque ids instead of personal data",
        )


class UnsupportedValue(ToolPolicyError):
    """A value of a type that cannot be searched or changed. It is refused, never passed on without a search."""

    error: ClassVar[str] = "unguardable_value"  # the code in audit trails, which is older than the name of the class


class TooMuchData(ToolPolicyError):
    """The data is deeper, larger or has more parts than one walk may search: the arguments, the result or a message."""

    error: ClassVar[str] = "too_much_data"


class SearchQueueFull(ToolPolicyError):
    """Too much data is waiting to be searched, of this caller or in total. The same call can succeed a little later."""

    error: ClassVar[str] = "search_queue_full"

    def __init__(self) -> None:
        super().__init__(
            "too much data of running calls is waiting to be searched for personal data",
            hint="wait until other calls have ended, or request less data in one call, and try again",
        )


class ScopesMissing(ToolPolicyError):
    """The caller's token does not have the scopes that the tool requires. `scopes` are all that the call needs."""

    error: ClassVar[str] = "insufficient_scope"

    def __init__(self, scopes: Collection[str]) -> None:
        super().__init__(
            f"this call needs the scopes {' '.join(sorted(scopes))}", hint="request a token that has these scopes"
        )
        self.scopes = frozenset(scopes)


class ToolFailed(ToolPolicyError):
    """The tool failed with an exception whose type or text could not be kept. The text here is masked."""

    error: ClassVar[str] = "tool_failed"
