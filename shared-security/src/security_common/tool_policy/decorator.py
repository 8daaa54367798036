"""`secure_tool`: applies the policy to an ordinary function and records calls."""

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Collection
from typing import Any, Literal, ParamSpec, TypeVar, cast

from security_common.audit import AuditEvent, Journal
from security_common.pii import PIIKind
from security_common.tool_policy.errors import SearchQueueFull
from security_common.tool_policy.policy import PIIPolicy
from security_common.tool_policy.policy_dependencies import policy_dependencies
from security_common.tool_policy.secured_call import SecuredCall, current_call
from security_common.tool_policy.secured_tool import SECURED_TOOL_ATTRIBUTE, SecuredTool, ToolSignature
from security_common.tool_scopes import ArgumentScope, ToolScopeRule

__all__ = ["annotate_audit_event", "ends_task", "fail_call", "record_cancelled_call", "secure_tool"]

P = ParamSpec("P")
R = TypeVar("R")

PolicyName = Literal["encrypt", "mask", "reject", "tokenize", "observe"]

logger = logging.getLogger(__name__)

# The event loop keeps only weak references to its tasks.
_recordings_of_cancelled_calls: set[asyncio.Task[Any]] = set()


def secure_tool(
    requires_encryption: bool = False,
    log_access: bool = True,
    pii_policy: PolicyName = "encrypt",
    result_policy: PolicyName | None = None,
    *,
    scopes: Collection[str] = (),
    argument_scopes: Collection[ArgumentScope] = (),
    reveal: Collection[str] = (),
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Protects personal data in the arguments and the result of a tool, and records calls before they are answered.

    `pii_policy` is the policy for the arguments, and for the result unless `result_policy` is given;
    `security_common.tool_policy.policy` describes the policies. With `requires_encryption`, calls are refused while
    the key is missing; together with the policy `encrypt`, the tool receives every text argument except identifiers as
    ciphertext. With `log_access=False`, successful calls without personal data are not recorded. `scopes` are the
    scopes that a token needs for this tool in addition to those of the resource, and `argument_scopes` those that
    depend on the value of an argument. `reveal` has the kinds of personal data, such as `PHONE`, that a tool with the
    policy `tokenize` receives in plaintext.

    The decorated function raises the exceptions of the tool, with personal data masked unless the result policy is
    `observe`, the errors of `security_common.tool_policy`, EncryptionError, PlaceholdersUnavailable and
    JournalUnavailable. A service answers JournalUnavailable, PlaceholdersUnavailable and SearchQueueFull with 503.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{function.__qualname__} is a generator: its items would be returned before the call is recorded; "
                "return a list"
            )
        _check_placeholders(function, (pii_policy, result_policy), reveal)
        secured = _secure_async(function) if inspect.iscoroutinefunction(function) else _secure_sync(function)
        tool = SecuredTool(
            name=function.__name__,
            policy=PIIPolicy(pii_policy),
            result_policy=PIIPolicy(result_policy or pii_policy),
            reveal=frozenset(map(PIIKind, reveal)),
            requires_encryption=requires_encryption,
            log_access=log_access,
            scopes=ToolScopeRule(frozenset(scopes), tuple(argument_scopes)),
            signature=ToolSignature(secured),
        )
        setattr(secured, SECURED_TOOL_ATTRIBUTE, tool)
        return cast("Callable[P, R]", secured)

    return decorate


def _check_placeholders(
    function: Callable[..., Any], policies: tuple[PolicyName, PolicyName | None], reveal: Collection[str]
) -> None:
    """Raises TypeError or ValueError if a tool cannot have the placeholders that its decorator names."""
    if isinstance(reveal, str):
        raise TypeError(f'{function.__qualname__}: reveal is a list of kinds; write reveal=["{reveal}"]')
    unknown = sorted(set(reveal) - set(PIIKind))
    if unknown:
        raise ValueError(
            f"{function.__qualname__}: reveal has unknown kinds of personal data: {', '.join(unknown)}; "
            f"the kinds are {', '.join(sorted(PIIKind))}"
        )
    if reveal and policies[0] != "tokenize":
        raise ValueError(f'{function.__qualname__}: reveal has no effect without pii_policy="tokenize"')
    if "tokenize" in policies and not inspect.iscoroutinefunction(function):
        raise TypeError(
            f"{function.__qualname__} has the policy tokenize, which waits for the store of placeholders; "
            "define it with async def"
        )


def annotate_audit_event(*, data_subject: str | None = None, task: str | None = None) -> None:
    """Completes the audit event of the current call: the person whose data it accesses, as an opaque id, and the task.

    `task` is one of `view`, `store`, `change`, `delete` and `download`. The event contains a keyed reference to the
    data subject. Outside a secured tool, the call has no effect.
    """
    call = current_call.get()
    if call is not None:
        call.annotate(data_subject, task)


def _secure_async(function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function is recorded here, a component by the integration with its framework (`fastmcp.WirePolicy`)."""

    @functools.wraps(function)
    async def secured(*args: Any, **kwargs: Any) -> Any:
        dependencies = policy_dependencies()
        call = SecuredCall(getattr(secured, SECURED_TOOL_ATTRIBUTE), dependencies)
        try:
            try:
                arguments, named = await call.run(call.protect_arguments, args, kwargs)
                with call:
                    result = await function(*arguments, **named)
                if call.is_component_call:
                    return result  # the integration protects its wire form and records the call
                await call.run(call.protect_result, result)
            except (asyncio.CancelledError, GeneratorExit) as failure:
                if ends_task(failure) or not call.is_component_call:
                    raise
                # The tool raised it by itself: the request continues and is answered with an error.
                await fail_call(call, failure)
            except BaseException as failure:  # noqa: BLE001 - any exception may contain personal data
                await fail_call(call, failure)
        except asyncio.CancelledError:
            # The call was cancelled, perhaps while its arguments or its result were searched.
            call.cancel()
            if not call.is_component_call:
                record_cancelled_call(dependencies.journal, call.audit_event())
            raise
        if not call.is_component_call:
            try:
                await _record(dependencies.journal, call.audit_event())
            except Exception as failure:  # noqa: BLE001 - a call that is not recorded has no result
                call.fail(failure)
        return call.result()

    return secured


def _secure_sync(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def secured(*args: Any, **kwargs: Any) -> Any:
        dependencies = policy_dependencies()
        call = SecuredCall(getattr(secured, SECURED_TOOL_ATTRIBUTE), dependencies)
        try:
            arguments, named = call.run_blocking(call.protect_arguments, args, kwargs)
            with call:
                result = function(*arguments, **named)
            if call.is_component_call:
                return result
            call.run_blocking(call.protect_result, result)
        except BaseException as failure:  # noqa: BLE001 - any exception may contain personal data
            _fail_blocking(call, failure)
        event = None if call.is_component_call else call.audit_event()
        if event is not None:
            try:
                dependencies.journal.record_blocking(event)
            except Exception as failure:  # noqa: BLE001 - a call that is not recorded has no result
                call.fail(failure)
        return call.result()

    return secured


async def fail_call(call: SecuredCall, failure: BaseException) -> None:
    """Ends the call with an exception. Its text may be large, so it is masked through `call.run`."""
    try:
        await call.run(call.fail, failure)
    except SearchQueueFull as full:  # the text of this error contains no data
        call.fail(full)


def _fail_blocking(call: SecuredCall, failure: BaseException) -> None:
    try:
        call.run_blocking(call.fail, failure)
    except SearchQueueFull as full:
        call.fail(full)


async def _record(journal: Journal, event: AuditEvent | None) -> None:
    if event is not None:
        await journal.record(event)


def ends_task(failure: BaseException) -> bool:
    """True if the task is being cancelled or closed. False if a tool has raised the exception by itself."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs: the task is being closed
        return True
    if isinstance(failure, asyncio.CancelledError):
        return task is None or task.cancelling() > 0
    return isinstance(failure, GeneratorExit) and task is None


def record_cancelled_call(journal: Journal, event: AuditEvent | None) -> None:
    """Records in a task of its own, because a cancelled task cannot wait for the disk."""
    if event is not None:
        task = asyncio.get_running_loop().create_task(journal.record(event))
        _recordings_of_cancelled_calls.add(task)
        task.add_done_callback(_finish_recording)


def _finish_recording(task: asyncio.Task[Any]) -> None:
    _recordings_of_cancelled_calls.discard(task)
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.error("cancelled_call_not_recorded cause=%s", error)
