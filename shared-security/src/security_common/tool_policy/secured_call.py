"""One call of a secured tool, from its arguments to its audit event. This module does no input or output itself.

protect_arguments ─▶ the tool runs ─▶ protect_result, or `fail` ─▶ audit_event ─▶ result
                       └─▶ protect_message (progress, log messages, requests to the client), protect_client_response

The `protect_…` methods and `fail` are called through `run`, so that large data does not block the event loop, or
through `run_blocking`. Under the policy `tokenize`, `run` also looks up placeholders that are missing, and repeats the
method with them.

The result of a plain function is protected as values of Python, by `protect_result`. A framework, such as FastMCP,
serializes the result of a component first. The integration with it (`fastmcp.WirePolicy`) passes the
serialized form to `protect_wire_result` and records the call; calls and integration share the state of the request,
`FrameworkRequest`.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

from security_common.audit import Action, AuditEvent, EventType, JournalUnavailable, Outcome, Reason
from security_common.encryption import EncryptionError
from security_common.errors import SecurityError
from security_common.pii import PIIKind, field_context, member_contexts
from security_common.tokens.access_token import current_caller
from security_common.tool_policy.call_findings import CallFindings
from security_common.tool_policy.call_placeholders import WalkPlaceholders
from security_common.tool_policy.call_searches import CallSearches
from security_common.tool_policy.data_walk import DataWalk
from security_common.tool_policy.errors import (
    PersonalDataRefused,
    ResultWithheld,
    ScopesMissing,
    ToolFailed,
    ToolPolicyError,
)
from security_common.tool_policy.exception_masking import mask_exception
from security_common.tool_policy.framework_request import current_framework_request
from security_common.tool_policy.json_walk import JSONWalk, number_duplicates
from security_common.tool_policy.leaf_protection import CLIENT_RESPONSE, LeafProtector
from security_common.tool_policy.mcp_messages import MCPWalk, is_input_request, protect_parameters, protect_result
from security_common.tool_policy.policy import (
    PIIPolicy,
    Treatment,
    name_action,
    policy_for_arguments,
    policy_for_messages,
)
from security_common.tool_policy.policy_dependencies import PolicyDependencies
from security_common.tool_policy.secured_tool import SecuredTool

__all__ = ["SecuredCall", "bind_field", "current_call", "owner_of", "walk_without_call"]

NAME_OF_ARGUMENT = "name of an argument"
"""The part of a call in which personal data was found, for errors and ciphertext."""

Argument = tuple[str, Any]
Protected = TypeVar("Protected")
Walk = TypeVar("Walk", bound=JSONWalk)


def owner_of(issuer: str, subject: str) -> str:
    """The owner that a ciphertext is bound to. It names the issuer as well: a subject is unique only within one."""
    return f"{issuer} {subject}"


def bind_field(*, owner: str, tool: str, name: str) -> Mapping[str, str]:
    """The encryption context of a tool's argument `name`, of its `result`, or of a CLIENT_RESPONSE."""
    return {"owner": owner, "tool": tool, "field": name}


class SecuredCall:
    """The state of one call. `audit_event` describes what has happened up to that moment."""

    def __init__(self, tool: SecuredTool, dependencies: PolicyDependencies) -> None:
        caller = current_caller.get()
        self.tool = tool
        self.framework_request = current_framework_request.get()
        self.is_component_call = self.framework_request is not None and tool in self.framework_request.components
        """Whether the integration with the framework protects the result and records the call."""
        self.outcome = Outcome.SUCCESS
        self.reason: str | None = None
        self.tool_name = self._registered_name() or tool.name
        self._dependencies = dependencies
        self._caller = caller
        self._token = caller.token if caller else None
        self._user_id = self._token.subject if self._token else None
        self._client_id = self._token.client_id if self._token else None
        self._findings = CallFindings(dependencies.detector, dependencies.clean_texts)
        self._searches = CallSearches(dependencies.search_queue)
        self._placeholders = dependencies.placeholders_of_call(tool.policy, tool.result_policy, tool.reveal)
        self._has_started = False
        self._result: Any = None
        self._failure: BaseException | None = None
        self._data_subject: str | None = None
        self._task: str | None = None
        self._started_seconds = time.monotonic()
        if self.framework_request:
            self.framework_request.calls.append(self)

    async def run(self, protect: Callable[..., Protected], *values: Any) -> Protected:
        """What `protect`, a method of this call, returns for these values. Large values are searched in another thread.

        Raises SearchQueueFull, what `protect` raises, and for placeholders the errors of `WalkPlaceholders.look_up`.
        """
        return await self._searches.run(self._owner, protect, *values)

    def run_blocking(self, protect: Callable[..., Protected], *values: Any) -> Protected:
        """The same for a function that is not asynchronous: large values are searched in this thread."""
        return self._searches.run_blocking(self._owner, protect, *values)

    def protect_arguments(
        self, positional: Sequence[Any], named: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The arguments as the tool may receive them.

        Raises JournalUnavailable, ScopesMissing, EncryptionError, PersonalDataRefused, UnsupportedValue, TooMuchData
        and PlaceholdersMissing.
        """
        self._require_writable_journal()
        names = self.tool.signature.names_of(positional)
        arguments = [*zip(names, positional, strict=True), *named.items()]
        self._require_scopes(arguments)
        program_objects = self._program_objects()
        names_of_identifiers = self.tool.signature.identifiers - program_objects
        identifiers = [(name, value) for name, value in arguments if name in names_of_identifiers]
        if identifiers:
            self._require_clean_identifiers(identifiers)
            self._identify_caller(dict(identifiers))
        unchanged = program_objects | names_of_identifiers
        if self.tool.requires_encryption:
            self._dependencies.require_encryption_key()
        walk = self._argument_walk(DataWalk, encrypt_all=self.tool.requires_encryption)

        protected: list[Argument] = []
        for (name, value), context in zip(arguments, member_contexts(arguments), strict=True):
            sent_name = self._protect_name(walk, name) if self.tool.signature.is_data(name) else name
            walk.leaves.call_part = sent_name
            protected.append((sent_name, value if name in unchanged else walk.visit(value, context)))
        if walk.leaves.refused:
            raise PersonalDataRefused(walk.leaves.refused)
        walk.leaves.require_placeholders()
        if self.framework_request:
            self.framework_request.protect_client_responses(self.protect_client_response)
        return [value for _, value in protected[: len(positional)]], number_duplicates(protected[len(positional) :])

    def __enter__(self) -> None:
        """While the tool runs, its messages belong to this call, and tools that it calls are calls of their own."""
        self._has_started = True
        self._outer = current_call.set(self), current_framework_request.set(None)

    def __exit__(self, *_: object) -> None:
        outer_call, outer_request = self._outer
        del self._outer  # these context variable tokens refer to the request of the framework
        current_call.reset(outer_call)
        current_framework_request.reset(outer_request)

    def protect_result(self, result: Any) -> None:
        """Sets the result of a plain function as it may be returned.

        Raises ResultWithheld, EncryptionError, UnsupportedValue, TooMuchData and PlaceholdersMissing.
        """
        walk = self._walk(DataWalk, self.tool.result_policy)
        self._result = walk.visit(result)
        self._require_sendable(walk)

    def protect_wire_result(self, result: Mapping[str, Any], requested_uri: str | None = None) -> dict[str, Any]:
        """The result of the component as a new JSON object. `requested_uri` is the address that the client sent.

        Raises ResultWithheld, EncryptionError, UnsupportedValue, TooMuchData and PlaceholdersMissing.
        """
        is_message = is_input_request(result) or result.get("isError") is True
        walk = self._message_walk(MCPWalk) if is_message else self._walk(MCPWalk, self.tool.result_policy)
        protected = protect_result(walk, result, requested_uri=requested_uri)
        self._require_sendable(walk)
        return protected

    def protect_message(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of progress, a log message or a request to the client, as they may be sent."""
        return protect_parameters(self._message_walk(MCPWalk), parameters)

    def protect_client_response(self, content: Any) -> Any:
        """The client's response to a request, in JSON form, protected like an argument.

        Raises PersonalDataRefused, EncryptionError, UnsupportedValue, TooMuchData and PlaceholdersMissing.
        """
        walk = self._argument_walk(MCPWalk)
        walk.leaves.call_part = CLIENT_RESPONSE
        protected = walk.visit(content)
        if walk.leaves.refused:
            raise PersonalDataRefused(walk.leaves.refused)
        walk.leaves.require_placeholders()
        return protected

    def fail(self, failure: BaseException) -> None:
        """Ends the call with an exception, which `result` raises.

        Its personal data is masked, except under the result policy `observe`.
        """
        is_refusal = isinstance(failure, (ToolPolicyError, EncryptionError)) and not isinstance(failure, ToolFailed)
        self.outcome = Outcome.REFUSED if is_refusal else Outcome.FAILURE
        self.reason = failure.error if isinstance(failure, SecurityError) else type(failure).__name__
        masked = mask_exception(failure, self._message_walk(DataWalk), self._message_walk(DataWalk, counts=False))
        self._failure = self._convert_exception(masked) if self.framework_request else masked

    @property
    def has_failed(self) -> bool:
        """True if the call was ended by an exception."""
        return self._failure is not None

    def cancel(self) -> None:
        """Ends the call because the client has cancelled it. What was done until then is recorded."""
        self.outcome, self.reason = Outcome.FAILURE, Reason.CANCELLED

    def result(self) -> Any:
        """The protected result. Raises the exception of a failed call."""
        if self._failure is not None:
            raise self._failure
        return self._result

    def annotate(self, data_subject: str | None, task: str | None) -> None:
        """Adds whose data the call accesses, and for which task, to the audit event."""
        self._data_subject = data_subject or self._data_subject
        self._task = task or self._task

    def audit_event(self) -> AuditEvent | None:
        """The audit event.

        None if the tool has `log_access=False`, and the call succeeded and had no personal data.
        """
        kinds: dict[str, int] = {}
        revealed: list[str] = []
        treatments: set[Treatment] = set()
        for protector in self._searches.protectors:
            treatments |= protector.treatments
            revealed += protector.revealed
            for kinds_of_part in protector.kinds.values():
                for kind, count in kinds_of_part.items():
                    kinds[kind] = kinds.get(kind, 0) + count
        if self.outcome is Outcome.SUCCESS and not kinds and not self.tool.log_access:
            return None
        return AuditEvent(
            event_type=EventType.TOOL_CALL,
            action_taken=Action.REJECTED if self.outcome is Outcome.REFUSED else name_action(treatments),
            outcome=self.outcome,
            tool_name=self.tool_name,
            user_id=self._user_id,
            issuer=self._token.issuer if self._token else None,
            client_id=self._client_id,
            contains_pii=bool(kinds),
            pii_kinds=kinds,
            revealed_kinds=dict(Counter(revealed)) if revealed and self._has_started else {},
            reason=self.reason,
            source_address=self._caller.source_address if self._caller else None,
            subject_reference=self._subject_reference(),
            task=self._task,
            trace_id=self._caller.trace_id if self._caller else None,
            duration_ms=round((time.monotonic() - self._started_seconds) * 1000, 3),
        )

    def _registered_name(self) -> str | None:
        """The name of the tool in the framework, unless the request is for another component."""
        if self.framework_request is None or (self.framework_request.components and not self.is_component_call):
            return None
        return self.framework_request.tool_name

    def _subject_reference(self) -> str | None:
        if self._data_subject is None:
            return None
        pseudonyms = self._dependencies.pseudonyms
        return pseudonyms.reference(self._data_subject) if pseudonyms else None

    def _require_writable_journal(self) -> None:
        if not self._dependencies.journal.writable:
            raise JournalUnavailable(
                "the audit journal cannot be written, so the call was not executed", hint="try again later"
            )

    def _require_scopes(self, arguments: Sequence[Argument]) -> None:
        if self._token is None:
            return
        scopes = self.tool.scopes
        needed = scopes(dict(arguments)) if scopes.by_argument else scopes.always
        if not needed <= self._token.scopes:
            raise ScopesMissing(needed)

    @staticmethod
    def _protect_name(walk: JSONWalk, name: str) -> str:
        """The name of an argument that is data, protected. Raises PersonalDataRefused."""
        walk.leaves.call_part = NAME_OF_ARGUMENT
        walk.count_characters(len(name))
        protected = walk.visit_key(name)
        if walk.leaves.refused:  # before the error could name an argument by its personal data
            raise PersonalDataRefused(walk.leaves.refused)
        return protected

    def _program_objects(self) -> frozenset[str]:
        """The names of the parameters for objects of the program, which are not data."""
        injected = self.framework_request.injected_parameters if self.framework_request else None
        return self.tool.signature.program_objects(injected)

    def _require_clean_identifiers(self, identifiers: Sequence[Argument]) -> None:
        """Raises PersonalDataRefused if an identifier contains personal data."""
        walk = self._walk(DataWalk, PIIPolicy.REJECT, counts=False)
        for name, value in identifiers:
            walk.leaves.call_part = name
            walk.visit(value, field_context(name))
        # The call is also refused if an operator would change an identifier; only `keep` lets personal data pass.
        if walk.leaves.treatments - {Treatment.OBSERVE}:
            self._searches.add(walk.leaves)
            raise PersonalDataRefused(walk.leaves.kinds)

    def _identify_caller(self, identifiers: Mapping[str, Any]) -> None:
        """Takes the caller from the arguments of a plain function. If there is a verified token, only it counts."""
        if self._token is None:
            texts = {name: value for name, value in identifiers.items() if isinstance(value, str)}
            self._user_id, self._client_id = texts.get("user_id"), texts.get("client_id")

    def _convert_exception(self, failure: BaseException) -> Exception:
        """The exception for the framework. One that would end its event loop or generators becomes ToolFailed."""
        if not isinstance(failure, Exception) or isinstance(failure, (StopIteration, StopAsyncIteration)):
            failure = ToolFailed(f"{type(failure).__name__}: {failure}")
        return self.framework_request.convert_exception(failure) if self.framework_request else failure

    def _message_walk(self, walk_type: type[Walk], *, counts: bool = True) -> Walk:
        return self._walk(walk_type, policy_for_messages(self.tool.result_policy), counts=counts, for_messages=True)

    def _argument_walk(self, walk_type: type[Walk], *, encrypt_all: bool = False) -> Walk:
        return self._walk(
            walk_type,
            policy_for_arguments(self.tool.policy),
            encrypt_all=encrypt_all,
            kept_kinds=self.tool.reveal,
            puts_back=self.tool.policy is PIIPolicy.TOKENIZE,
        )

    def _owner(self) -> str:
        """Who calls: ciphertext is bound to this owner, and the owner's searches are counted together."""
        return owner_of(self._token.issuer, self._token.subject) if self._token else self._user_id or ""

    def _walk(
        self,
        walk_type: type[Walk],
        policy: PIIPolicy,
        *,
        encrypt_all: bool = False,
        counts: bool = True,
        for_messages: bool = False,
        kept_kinds: frozenset[PIIKind] = frozenset(),
        puts_back: bool = False,
    ) -> Walk:
        """A new walk. With `counts`, what it finds becomes part of the audit event."""
        dependencies = self._dependencies
        token = self._token
        # The protector must not refer to this call. A reference cycle would keep the whole request until the garbage
        # collector runs, and collecting many of them takes 30 ms.
        leaves = LeafProtector(
            self._findings,
            dependencies.writer(
                policy, self.tool_name, token.issuer if token else "", for_messages=for_messages, kept_kinds=kept_kinds
            ),
            partial(_encrypt, dependencies, self._owner(), self.tool.name),
            dependencies.is_own_ciphertext,
            placeholders=WalkPlaceholders(self._placeholders) if self._placeholders else None,
            encrypt_all=encrypt_all and policy is PIIPolicy.ENCRYPT,
            puts_back=puts_back,
        )
        if counts:
            self._searches.add(leaves)
        return walk_type(leaves, self._searches.limits())

    @staticmethod
    def _require_sendable(walk: JSONWalk) -> None:
        """Raises ResultWithheld, and PlaceholdersMissing if the result has to be protected again."""
        if walk.leaves.refused:
            raise ResultWithheld(walk.leaves.refused["result"])
        walk.leaves.require_placeholders()


def _encrypt(dependencies: PolicyDependencies, owner: str, tool: str, call_part: str, text: str) -> str:
    return dependencies.encryption.encrypt(text, context=bind_field(owner=owner, tool=tool, name=call_part))


def walk_without_call(dependencies: PolicyDependencies) -> MCPWalk:
    """The walk over what belongs to no call, such as a message of a middleware: personal data is masked."""
    leaves = LeafProtector(
        CallFindings(dependencies.detector, dependencies.clean_texts),
        dependencies.writer(PIIPolicy.MASK, "", "", for_messages=True),
        partial(_encrypt, dependencies, "", ""),
        dependencies.is_own_ciphertext,
    )
    return MCPWalk(leaves)


current_call: ContextVar[SecuredCall | None] = ContextVar("current_call", default=None)
