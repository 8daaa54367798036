"""An exception that leaves a tool is a result: it keeps its type where it can, and never its personal data."""

from collections.abc import Iterator
from typing import Any, cast

from security_common.tool_policy.data_walk import DataWalk
from security_common.tool_policy.errors import ToolFailed, ToolPolicyError

__all__ = ["mask_exception"]


def mask_exception(failure: Exception, walk: DataWalk, again: DataWalk) -> Exception:
    """The failure itself when neither it nor anything it carries tells personal data, otherwise a copy without.

    A copy drops the traceback and the chain of causes: both lead to frames that hold the data. `walk` counts what is
    found, `again` looks at the same texts a second time and counts for nobody.
    """
    try:
        return _clean(failure, walk, again)
    except Exception:  # noqa: BLE001 - a text that cannot be had may hold anything, and so may this error
        return ToolFailed(f"{type(failure).__name__}: what it says cannot be read")


def _clean(failure: Exception, walk: DataWalk, again: DataWalk) -> Exception:
    if not [text for each in _chain(failure) for text in _texts(each) if walk.leaf.text(text, None) is not text]:
        return failure
    copied = _copy(failure, again)
    if copied is not None and str(copied) and all(again.leaf.text(text, None) is text for text in _texts(copied)):
        return copied
    return ToolFailed(f"{type(failure).__name__}: {again.leaf.text(str(failure), None)}")


def _chain(failure: BaseException) -> Iterator[BaseException]:
    """The failure with its causes, contexts and members, each once."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [failure]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", each).exceptions


def _texts(failure: BaseException) -> set[str]:
    """Everything the exception could tell a reader, a log or a serializer."""
    parts = [*failure.args, *getattr(failure, "__dict__", {}).values()]
    return {str(failure), *(part if isinstance(part, str) else repr(part) for part in parts)}


def _copy(failure: Exception, walk: DataWalk) -> Exception | None:
    """A new exception of the same type with guarded arguments, when the type allows it."""
    kind = type(failure)
    try:
        copied = kind.__new__(kind, *(walk.visit(part) for part in failure.args))
        attributes: dict[str, Any] = {name: walk.visit(part) for name, part in vars(failure).items()}
        copied.__dict__.update(attributes)
    except (TypeError, ValueError, ToolPolicyError):
        return None
    return copied
