"""What is particular to a call of each kind of component: what is searched, what is sent, what may come back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gateway_service.relay.upstream_results import REASON
from gateway_service.wire.json_rpc import INTERNAL_ERROR, RpcError
from security_common.errors import SecurityError, describe_for_client
from security_common.tool_policy import SecuredTool, ToolPolicyError

__all__ = ["ComponentCall", "TranslatedError"]


class TranslatedError(RpcError):
    """An error of a call that was executed or refused by its policy: HTTP 200, except for a missing capability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentCall(ABC):
    """One call. `arguments` are the client's, and are searched under the policy of `secured`.

    `named` is the name or URI that Mcp-Name repeats. `task` is for the audit trail: what is done with the data.
    """

    method: ClassVar[str]
    may_request_input: ClassVar[bool] = True
    """Whether the result may be an input request (MCP 2026-07-28, multi round-trip requests)."""

    upstream: str
    secured: SecuredTool
    arguments: Mapping[str, Any] = field(repr=False)
    named: str | None = field(default=None, repr=False)
    task: str | None = None

    @property
    def requested_uri(self) -> str | None:
        """The URI that the client itself has sent, which may be repeated in the result."""
        return None

    def find_refusal(self) -> ToolPolicyError | None:
        """Why the call must not be executed, if that is known before anything is sent."""
        return None

    @abstractmethod
    def parameters(self, passed: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters for the upstream. `passed` are the protected arguments."""

    def headers(self, passed: Mapping[str, Any]) -> Mapping[str, str]:
        """The headers that repeat parameters."""
        del passed
        return {}

    def data_subject(self, passed: Mapping[str, Any]) -> str | None:
        """The person whose data is accessed, for the audit trail."""
        del passed
        return None

    @abstractmethod
    def read_result(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """The members of the result that are data. Raises `InvalidResult`."""

    def error_code(self, code: int, *, is_stateless: bool) -> int:
        """The code of an upstream's error for a client of 2026-07-28 or of an older version."""
        del is_stateless
        return code

    def refusal(self, failure: SecurityError) -> dict[str, Any]:
        """The result that reports why there is none. Raises `TranslatedError` if results of the method cannot."""
        raise TranslatedError(INTERNAL_ERROR, describe_for_client(failure), {REASON: failure.error})
