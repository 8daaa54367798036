"""Removes personal data from the exceptions that a tool raises. The exception keeps its type where possible."""

from collections.abc import Iterator
from typing import Any, cast

from security_common.tool_policy.data_size import SearchTooLong
from security_common.tool_policy.data_walk import DataWalk
from security_common.tool_policy.errors import ToolFailed, ToolPolicyError

__all__ = ["mask_exception"]


def mask_exception(failure: BaseException, counting_walk: DataWalk, walk: DataWalk) -> BaseException:
    """The exception itself if neither it nor its causes contain personal data, and otherwise a masked copy.

    The copy has no traceback and no causes, because both lead to frames that contain the data. `counting_walk` counts
    the findings for the audit event; `walk` reads the same texts again without counting. Raises SearchTooLong.
    """
    try:
        return _mask(failure, counting_walk, walk)
    except SearchTooLong:
        raise
    except Exception:  # noqa: BLE001 - a text that cannot be read may contain anything, and so may this exception
        return ToolFailed(f"{type(failure).__name__}: its text cannot be read")


def _mask(failure: BaseException, counting_walk: DataWalk, walk: DataWalk) -> BaseException:
    texts = [text for each in _with_causes(failure) for text in _texts_of(each)]
    # Every text is read, also after a change was found, so that all findings are counted.
    counting_walk.count_characters(sum(map(len, texts)))
    is_clean = [counting_walk.leaves.protect_text(text, None) is text for text in texts]
    if all(is_clean):
        return failure
    copied = _masked_copy(failure, walk)
    if copied is not None and str(copied):
        copy_is_clean = all(walk.leaves.protect_text(text, None) is text for text in _texts_of(copied))
        if copy_is_clean:
            return copied
    return ToolFailed(f"{type(failure).__name__}: {walk.leaves.protect_text(str(failure), None)}")


def _with_causes(failure: BaseException) -> Iterator[BaseException]:
    """The exception with its causes, contexts and the members of exception groups, each once."""
    seen: set[int] = set()
    remaining: list[BaseException | None] = [failure]
    while remaining:
        each = remaining.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        remaining += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            remaining += cast("BaseExceptionGroup[BaseException]", each).exceptions


def _texts_of(failure: BaseException) -> set[str]:
    """Every text that a log or a serializer could write for this exception."""
    parts = [*failure.args, *getattr(failure, "__dict__", {}).values()]
    return {str(failure), *(part if isinstance(part, str) else repr(part) for part in parts)}


def _masked_copy(failure: BaseException, walk: DataWalk) -> BaseException | None:
    """A new exception of the same type with masked arguments, or None if the type does not allow it."""
    kind = type(failure)
    try:
        copied = kind.__new__(kind, *(walk.visit(part) for part in failure.args))
        attributes: dict[str, Any] = {name: walk.visit(part) for name, part in vars(failure).items()}
        copied.__dict__.update(attributes)
    except (TypeError, ValueError, ToolPolicyError):
        return None
    return copied
