"""`secure_tool`: the policy and the record, worn by an ordinary function."""

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Collection
from typing import Any, Literal, ParamSpec, TypeVar, cast

from security_common.audit import AuditEvent, Journal
from security_common.tool_policy.policy import PIIPolicy
from security_common.tool_policy.policy_dependencies import policy_dependencies
from security_common.tool_policy.secured_call import SecuredCall, SecuredTool, current_call
from security_common.tool_policy.secured_tool import ToolSignature

__all__ = ["annotate_audit_event", "secure_tool", "secured_tool_of"]

P = ParamSpec("P")
R = TypeVar("R")

PolicyName = Literal["encrypt", "mask", "reject", "observe"]

logger = logging.getLogger(__name__)

_DECLARATION = "__security_declaration__"
_abandoned: set[asyncio.Task[Any]] = set()


def secure_tool(
    requires_encryption: bool = False,
    log_access: bool = True,
    pii_policy: PolicyName = "encrypt",
    result_policy: PolicyName | None = None,
    *,
    scopes: Collection[str] = (),
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Guards what a tool takes and gives, and records every call before its answer leaves.

    `pii_policy` is for the arguments, and for the result too unless `result_policy` says otherwise; the policies are
    in `security_common.tool_policy.policy`. `requires_encryption` refuses to run without a key and, under `encrypt`,
    hands the tool every string as ciphertext. `log_access=False` leaves out of the record the successful calls that
    touched no personal data. `scopes` are the scopes a token needs for this tool, beyond those of the service.

    The decorated function raises what the tool raises, cleaned of personal data, the errors of
    `security_common.tool_policy`, EncryptionError, and JournalUnavailable (a service answers 503).
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{function.__qualname__}: a generator's parts would leave before the record; return a list"
            )
        policy = PIIPolicy(pii_policy)
        secured = _secure_async(function) if inspect.iscoroutinefunction(function) else _secure_sync(function)
        declaration = SecuredTool(
            name=function.__name__,
            policy=policy,
            result_policy=policy if result_policy is None else PIIPolicy(result_policy),
            requires_encryption=requires_encryption,
            log_access=log_access,
            scopes=frozenset(scopes),
            signature=ToolSignature(secured),
        )
        setattr(secured, _DECLARATION, declaration)
        return cast("Callable[P, R]", secured)

    return decorate


def secured_tool_of(function: Callable[..., Any]) -> SecuredTool | None:
    """What `secure_tool` was told about this function, or None when it is not decorated."""
    return getattr(function, _DECLARATION, None)


def annotate_audit_event(*, data_subject: str | None = None, task: str | None = None) -> None:
    """Called inside a tool: whose data this call touches, as an opaque id, and what is done with it.

    `task` is one of `view`, `store`, `change`, `delete`, `download`. The record holds a keyed reference to the subject.
    """
    if (call := current_call.get()) is not None:
        call.note(data_subject, task)


def _secure_async(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def secured(*args: Any, **kwargs: Any) -> Any:
        parts = policy_dependencies()
        call = SecuredCall(getattr(secured, _DECLARATION), parts)
        try:
            with call.watched():
                seen, seen_named = call.admit(args, kwargs)
                with call:
                    result = await function(*seen, **seen_named)
                call.release(result)
        except asyncio.CancelledError:
            call.abandon()
            _record_abandoned(parts.journal, call.event())
            raise
        with call.watched():
            if (event := call.event()) is not None:
                await parts.journal.record(event)
        return call.answer()

    return secured


def _secure_sync(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def secured(*args: Any, **kwargs: Any) -> Any:
        parts = policy_dependencies()
        call = SecuredCall(getattr(secured, _DECLARATION), parts)
        with call.watched():
            seen, seen_named = call.admit(args, kwargs)
            with call:
                result = function(*seen, **seen_named)
            call.release(result)
        with call.watched():
            if (event := call.event()) is not None:
                parts.journal.record_blocking(event)
        return call.answer()

    return secured


def _record_abandoned(journal: Journal, event: AuditEvent | None) -> None:
    """Nobody waits for this record, and a cancelled task may not wait: another one does."""
    if event is not None:
        task = asyncio.get_running_loop().create_task(journal.record(event))
        _abandoned.add(task)
        task.add_done_callback(_finish_abandoned)


def _finish_abandoned(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled() and (error := task.exception()):
        logger.error("the record of an abandoned call was lost: %s", error)
