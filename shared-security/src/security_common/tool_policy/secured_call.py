"""One call of a secured tool, from its arguments to its record. Does no input or output of its own.

admit(arguments) ──▶ the tool runs ──▶ release(result) or clean(failure) ──▶ event()
                          └─▶ message(progress, log line, question)
"""

import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from security_common.audit import AuditEvent, JournalUnavailable, Outcome
from security_common.encryption import EncryptionError
from security_common.errors import SecurityError
from security_common.tokens.access_token import current_caller
from security_common.tool_policy.data_walk import DataWalk
from security_common.tool_policy.errors import (
    InsufficientScope,
    PersonalDataRefused,
    ResultWithheld,
    ToolFailed,
    ToolPolicyError,
)
from security_common.tool_policy.exception_masking import mask_exception
from security_common.tool_policy.leaf_protection import LeafProtector
from security_common.tool_policy.policy import PIIPolicy, Treatment, name_action, policy_for_messages
from security_common.tool_policy.policy_dependencies import PolicyDependencies, current_adapter
from security_common.tool_policy.secured_tool import ToolSignature

__all__ = ["SecuredCall", "SecuredTool", "bind_field", "current_call", "owner_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredTool:
    """What `secure_tool` was told about a tool."""

    name: str
    policy: PIIPolicy
    result_policy: PIIPolicy
    requires_encryption: bool
    log_access: bool
    scopes: frozenset[str]
    signature: ToolSignature = field(repr=False)


def owner_of(issuer: str, subject: str) -> str:
    """How ciphertext names its owner: a subject is unique within its issuer only."""
    return f"{issuer} {subject}"


def bind_field(*, owner: str, tool: str, name: str) -> Mapping[str, str]:
    """The encryption context of a tool's argument `name`, or of its `result`, for one owner."""
    return {"owner": owner, "tool": tool, "field": name}


class SecuredCall:
    """The state of one call; `event` tells at any moment what has happened so far."""

    def __init__(self, declaration: SecuredTool, runtime: PolicyDependencies) -> None:
        self.declaration = declaration
        self.adapter = current_adapter.get()
        self._runtime = runtime
        self._token = caller.token if (caller := current_caller.get()) else None
        self._caller = caller
        self._user_id = self._token.subject if self._token else None
        self._client_id = self._token.client_id if self._token else None
        self._tool = (self.adapter.name if self.adapter else None) or declaration.name
        self._sides: list[LeafProtector] = []
        self._outcome = Outcome.SUCCESS
        self._reason: str | None = None
        self._released: Any = None
        self._failure: Exception | None = None
        self._subject: str | None = None
        self._task: str | None = None
        self._started = time.monotonic()
        if self.adapter:
            self.adapter.call = self

    def admit(self, positional: Sequence[Any], named: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments as the tool may see them.

        Raises JournalUnavailable, InsufficientScope, EncryptionError, PersonalDataRefused, UnsupportedValue or
        TooMuchData.
        """
        rules = self.declaration
        if not self._runtime.journal.writable:
            raise JournalUnavailable("the audit journal cannot be written, so nothing is done", hint="try again later")
        if self._token and not rules.scopes <= self._token.scopes:
            raise InsufficientScope(rules.scopes)
        names = rules.signature.names_of(positional)
        passed_by = self._passed_by([*zip(names, positional, strict=True), *named.items()])
        if rules.requires_encryption:
            _ = self._runtime.encryption
        walk = self._walk(rules.policy, encrypt_all=rules.requires_encryption)

        def see(name: str, value: Any) -> Any:
            walk.leaf.part = name
            return value if name in passed_by else walk.visit(value, name)

        seen = [see(name, value) for name, value in zip(names, positional, strict=True)]
        seen_named = {name: see(name, value) for name, value in named.items()}
        if walk.leaf.refused:
            raise PersonalDataRefused(walk.leaf.refused)
        if self.adapter:
            self.adapter.take_replies(self.reply)
        return seen, seen_named

    def __enter__(self) -> None:
        """While the tool runs, its messages find this call, and tools that it calls are calls of their own."""
        self._outer = current_call.set(self), current_adapter.set(None)

    def __exit__(self, *_: object) -> None:
        call, adapter = self._outer
        del self._outer  # a token holds what was there before: the adapter
        current_call.reset(call)
        current_adapter.reset(adapter)

    def release(self, result: Any) -> None:
        """Makes of the result what may leave. Raises ResultWithheld, UnsupportedValue or TooMuchData."""
        asks = self.adapter is not None and self.adapter.is_question(result)
        walk = self._message_walk() if asks else self._walk(self.declaration.result_policy)
        self._released = walk.visit(result)
        if walk.leaf.refused:
            raise ResultWithheld(walk.leaf.refused["result"])

    def message(self, content: Any) -> Any:
        """Progress, a log line, a question or any other thing that is said before the result, as it may leave."""
        return self._message_walk().visit(content)

    def reply(self, content: Any) -> Any:
        """What the client answers to a question of the tool: an argument that came late. Raises as `admit` does."""
        walk = self._walk(self.declaration.policy)
        walk.leaf.part = "reply"
        seen = walk.visit(content)
        if walk.leaf.refused:
            raise PersonalDataRefused(walk.leaf.refused)
        return seen

    def clean(self, failure: Exception) -> Exception:
        """The failure as it may leave; it decides how the call is recorded."""
        refused = isinstance(failure, (ToolPolicyError, EncryptionError)) and not isinstance(failure, ToolFailed)
        self._outcome = Outcome.REFUSED if refused else Outcome.FAILURE
        self._reason = failure.error if isinstance(failure, SecurityError) else type(failure).__name__
        cleaned = mask_exception(failure, self._message_walk(), self._message_walk(counts=False))
        return self.adapter.failure(cleaned) if self.adapter else cleaned

    @contextmanager
    def watched(self) -> Generator[None]:
        """What goes wrong inside is what the call answers with."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is a result and passes the policy
            self._failure = self.clean(error)

    def answer(self) -> Any:
        """The released result, or the failure raised."""
        if self._failure is not None:
            raise self._failure
        return self._released

    def abandon(self) -> None:
        """The caller has gone; what was done is recorded all the same."""
        self._outcome, self._reason = Outcome.FAILURE, "cancelled"

    def note(self, subject: str | None, task: str | None) -> None:
        """Whose data the call touched, and what was done with it."""
        self._subject = subject or self._subject
        self._task = task or self._task

    def event(self) -> AuditEvent | None:
        """The record, or None when the tool asked for none and there is nothing that must be told."""
        kinds: Counter[str] = Counter()
        treatments: set[Treatment] = set()
        for side in self._sides:
            treatments |= side.treatments
            for found in side.kinds.values():
                kinds.update(found)
        if self._outcome is Outcome.SUCCESS and not kinds and not self.declaration.log_access:
            return None
        references = self._runtime.pseudonyms if self._subject else None
        return AuditEvent(
            event_type="tool_call",
            action_taken="rejected" if self._outcome is Outcome.REFUSED else name_action(treatments),
            outcome=self._outcome,
            tool_name=self._tool,
            user_id=self._user_id,
            issuer=self._token.issuer if self._token else None,
            client_id=self._client_id,
            contains_pii=bool(kinds),
            pii_kinds=dict(kinds),
            reason=self._reason,
            source_address=self._caller.source_address if self._caller else None,
            subject_reference=references.reference(self._subject) if references and self._subject else None,
            task=self._task,
            trace_id=self._caller.trace_id if self._caller else None,
            duration_ms=round((time.monotonic() - self._started) * 1000, 3),
        )

    def _passed_by(self, arguments: Sequence[tuple[str, Any]]) -> frozenset[str]:
        """The arguments that are not transformed: the program's own objects, and ids, once found clean."""
        signature = self.declaration.signature
        own = self.adapter.injected(signature.function) if self.adapter else frozenset[str]()
        if signature.receiver:
            own |= {signature.receiver}
        ids = [(name, value) for name, value in arguments if name in signature.identifiers and name not in own]
        if ids:
            walk = self._walk(PIIPolicy.REJECT, counts=False)
            for walk.leaf.part, value in ids:
                walk.visit(value, walk.leaf.part)
            if walk.leaf.treatments - {Treatment.OBSERVE}:
                self._sides.append(walk.leaf)
                raise PersonalDataRefused(walk.leaf.kinds)
            self._know_user(dict(ids))
        return own | signature.identifiers

    def _know_user(self, ids: Mapping[str, Any]) -> None:
        """A verified token says who calls; only without one does a plain function's argument."""
        if self._token is None:
            texts = {name: value for name, value in ids.items() if isinstance(value, str)}
            self._user_id, self._client_id = texts.get("user_id"), texts.get("client_id")

    def _message_walk(self, *, counts: bool = True) -> DataWalk:
        return self._walk(policy_for_messages(self.declaration.result_policy), counts=counts, message=True)

    def _walk(
        self, policy: PIIPolicy, *, encrypt_all: bool = False, counts: bool = True, message: bool = False
    ) -> DataWalk:
        owner = owner_of(self._token.issuer, self._token.subject) if self._token else self._user_id or ""
        # Nothing in it leads back to this call: else a whole request would wait for the collector, many of them 30 ms.
        leaves = LeafProtector(
            self._runtime.detector,
            self._runtime.writer(policy, self._tool, self._token.issuer if self._token else "", message=message),
            partial(_encrypt, self._runtime, owner, self.declaration.name),
            self._runtime.recognizes,
            clean=self._runtime.clean,
            encrypt_all=encrypt_all and policy is PIIPolicy.ENCRYPT,
        )
        if counts:
            self._sides.append(leaves)
        return DataWalk(leaves)


def _encrypt(runtime: PolicyDependencies, owner: str, tool: str, part: str, text: str) -> str:
    return runtime.encryption.encrypt(text, context=bind_field(owner=owner, tool=tool, name=part))


current_call: ContextVar[SecuredCall | None] = ContextVar("current_call", default=None)
