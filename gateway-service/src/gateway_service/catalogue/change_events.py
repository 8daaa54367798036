"""Audit events for definitions that differ from the approved ones."""

from collections import Counter
from collections.abc import Mapping, Sequence

from gateway_service.catalogue.definition_changes import ChangeKind, DefinitionChange
from gateway_service.catalogue.definitions import DefinitionKind
from security_common.audit import Action, AuditEvent, EventType, Journal, Outcome

__all__ = ["ChangeEvents"]

_ACTIONS: Mapping[ChangeKind, Action] = {
    ChangeKind.REMOVED: Action.DEFINITION_REMOVED,
    ChangeKind.TEXT: Action.DEFINITION_TEXT_CHANGED,
    ChangeKind.INTERFACE: Action.DEFINITION_CHANGED,
}


class ChangeEvents:
    """Records each difference once while it lasts, and once when it is over."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._recorded: dict[str, frozenset[DefinitionChange]] = {}
        self._at_other_sources: set[str] = set()

    async def record(self, upstream: str, changes: Sequence[DefinitionChange]) -> None:
        """Records what is new since the last call for this upstream. Raises `JournalUnavailable`.

        The next call then tries again. New definitions are only counted: their names are text of the upstream.
        """
        before = self._recorded.get(upstream, frozenset())
        now = frozenset(changes)
        for change in sorted(now - before, key=_order):
            if change.change_kind is not ChangeKind.ADDED:
                await self._write(upstream, change, _ACTIONS[change.change_kind])
        for kind, count in sorted(Counter(each.kind for each in now - before if _is_new(each)).items()):
            await self._journal.record(
                _event(Action.DEFINITION_ADDED, name=None, reason=f"{upstream}: {kind}: {count}")
            )
        still = {(each.kind, each.name) for each in now}
        for change in sorted(before - now, key=_order):
            if change.change_kind is not ChangeKind.ADDED and (change.kind, change.name) not in still:
                await self._write(upstream, change, Action.DEFINITION_RESTORED)
        self._recorded[upstream] = now

    async def record_source(self, upstream: str, *, is_approved: bool) -> None:
        """Records once that gateway.yaml names another source than the approved one, and once that it does not.

        Raises `JournalUnavailable`; the next call then tries again.
        """
        was_approved = upstream not in self._at_other_sources
        if is_approved == was_approved:
            return
        action = Action.DEFINITION_RESTORED if is_approved else Action.DEFINITION_CHANGED
        await self._journal.record(_event(action, name=None, reason=f"{upstream}: source"))
        self._at_other_sources ^= {upstream}

    async def _write(self, upstream: str, change: DefinitionChange, action: Action) -> None:
        name = f"{upstream}_{change.name}" if change.kind is DefinitionKind.TOOL else None
        detail = f" {change.name}" if change.kind is not DefinitionKind.TOOL and change.name else ""
        members = f": {', '.join(change.members)}" if change.members else ""
        await self._journal.record(_event(action, name=name, reason=f"{upstream}: {change.kind}{detail}{members}"))


def _event(action: Action, *, name: str | None, reason: str) -> AuditEvent:
    return AuditEvent(
        event_type=EventType.DEFINITION_CHANGE,
        action_taken=action,
        outcome=Outcome.SUCCESS,
        tool_name=name,
        reason=reason,
    )


def _is_new(change: DefinitionChange) -> bool:
    return change.change_kind is ChangeKind.ADDED


def _order(change: DefinitionChange) -> tuple[str, str]:
    return change.kind, change.name
