"""Why a call is refused or its answer withheld. Kinds and argument names are told, values never."""

from collections.abc import Collection, Mapping
from typing import ClassVar

from security_common.errors import SecurityError


class ToolPolicyError(SecurityError):
    """The root of this room's errors."""

    error: ClassVar[str] = "tool_policy_error"


class PersonalDataRefused(ToolPolicyError):
    """The arguments hold personal data where none is taken. `kinds` tells which kinds, by argument."""

    error: ClassVar[str] = "personal_data_refused"

    def __init__(self, kinds: Mapping[str, Collection[str]]) -> None:
        told = "; ".join(f"{argument}: {', '.join(sorted(found))}" for argument, found in kinds.items())
        super().__init__(
            f"personal data is not accepted here ({told})",
            hint="remove it, or refer to people by opaque ids, and call again",
        )
        self.kinds = kinds


class ResultWithheld(ToolPolicyError):
    """The tool ran, and its answer holds personal data that may not leave."""

    error: ClassVar[str] = "result_withheld"

    def __init__(self, kinds: Collection[str]) -> None:
        super().__init__(
            f"the result was withheld because it holds personal data ({', '.join(sorted(kinds))})",
            hint="ask for less, or for opaque ids in place of people's data",
        )


class UnsupportedValue(ToolPolicyError):
    """A value of a kind that cannot be searched or changed. It is refused, never passed on unseen."""

    error: ClassVar[str] = "unguardable_value"


class TooMuchData(ToolPolicyError):
    """The data is deeper, larger or has more parts than is searched in one call."""

    error: ClassVar[str] = "too_much_data"


class InsufficientScope(ToolPolicyError):
    """The caller's token lacks scopes that the tool declares."""

    error: ClassVar[str] = "insufficient_scope"

    def __init__(self, scopes: Collection[str]) -> None:
        super().__init__(f"this tool needs the scope {' '.join(sorted(scopes))}", hint="ask for a token that has it")
        self.scopes = frozenset(scopes)


class ToolFailed(ToolPolicyError):
    """The tool failed with an error whose own text or type could not be kept; this text is masked."""

    error: ClassVar[str] = "tool_failed"
