"""Audit events for definitions that differ from the approved ones."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway_service.catalogue.definition_changes import ChangeKind, DefinitionChange
from gateway_service.catalogue.definitions import DefinitionKind
from security_common.audit import Action, AuditEvent, EventType, Journal, Outcome

__all__ = ["ChangeEvents"]

MAX_EVENTS_PER_HOUR = 1000
"""Of one upstream. Several hundred definitions can change at once with a new release."""

_ACTIONS: Mapping[ChangeKind, Action] = {
    ChangeKind.REMOVED: Action.DEFINITION_REMOVED,
    ChangeKind.TEXT: Action.DEFINITION_TEXT_CHANGED,
    ChangeKind.INTERFACE: Action.DEFINITION_CHANGED,
}


class ChangeEvents:
    """Records each difference once while it lasts, and once when it is over.

    An upstream can change its definitions all the time. Above a number of events in an hour, its differences are only
    counted: one event says how many there are.
    """

    def __init__(self, journal: Journal, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._journal = journal
        self._clock = clock
        self._recorded: dict[str, frozenset[DefinitionChange]] = {}
        self._at_other_sources: set[str] = set()
        self._counts: dict[str, _HourlyCount] = {}

    async def record(self, upstream: str, changes: Sequence[DefinitionChange]) -> None:
        """Records what is new since the last call for this upstream. Raises `JournalUnavailable`.

        The next call then tries again. New definitions are only counted: their names are text of the upstream.
        """
        before = self._recorded.get(upstream, frozenset())
        now = frozenset(changes)
        events = [
            _event_of(upstream, change, _ACTIONS[change.change_kind])
            for change in sorted(now - before, key=_order)
            if change.change_kind is not ChangeKind.ADDED
        ]
        for kind, count in sorted(Counter(each.kind for each in now - before if _is_new(each)).items()):
            events.append(_event(Action.DEFINITION_ADDED, name=None, reason=f"{upstream}: {kind}: {count}"))
        still = {(each.kind, each.name) for each in now}
        events += [
            _event_of(upstream, change, Action.DEFINITION_RESTORED)
            for change in sorted(before - now, key=_order)
            if change.change_kind is not ChangeKind.ADDED and (change.kind, change.name) not in still
        ]
        allowed = self._counts.setdefault(upstream, _HourlyCount()).take(len(events), self._clock())
        for event in events[:allowed]:
            await self._journal.record(event)
        if allowed < len(events):
            reason = f"{upstream}: {len(events) - allowed} further differences, more than are recorded in an hour"
            await self._journal.record(_event(Action.DEFINITION_CHANGED, name=None, reason=reason))
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


@dataclass(slots=True)
class _HourlyCount:
    """How many events were recorded in the present hour."""

    hour: int = -1
    events: int = 0

    def take(self, wanted: int, now_seconds: float) -> int:
        """How many of these events may be recorded."""
        hour = int(now_seconds // 3600)
        if hour != self.hour:
            self.hour, self.events = hour, 0
        allowed = min(wanted, MAX_EVENTS_PER_HOUR - self.events)
        self.events += allowed
        return allowed


def _event_of(upstream: str, change: DefinitionChange, action: Action) -> AuditEvent:
    name = f"{upstream}_{change.name}" if change.kind is DefinitionKind.TOOL else None
    detail = f" {change.name}" if change.kind is not DefinitionKind.TOOL and change.name else ""
    members = f": {', '.join(change.members)}" if change.members else ""
    return _event(action, name=name, reason=f"{upstream}: {change.kind}{detail}{members}")


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
