"""Limits on recorded refusals, so that an attack is visible and cannot fill the disk.

Of each event type, 120 refusals a minute are recorded for each caller or source address, and 6,000 in all. The last one
within a limit has the reason `rest_of_minute_unrecorded`. The others are counted, and one event at the end of the
minute has their number. Each event type has its own limits, so that a flood of harmless refusals cannot keep a wrong
password or client secret of the same address from being recorded.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from security_common.audit.actions import Action
from security_common.audit.event import AuditEvent, Outcome
from security_common.audit.group_commit import JournalUnavailable
from security_common.audit.journal import Journal
from security_common.audit.reasons import Reason
from security_common.edge.client_address import network_of

__all__ = ["PER_CALLER", "PER_MINUTE", "RefusalLimits", "RefusalRecorder"]

PER_CALLER = 120
PER_MINUTE = 6000
MINUTE_SECONDS = 60

logger = logging.getLogger(__name__)


class RefusalLimits:
    """Counts the refusals of one event type. `clock` returns seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._minute = 0
        self._total = 0
        self._per_caller: Counter[str] = Counter()

    def reason_to_record(self, caller: str, reason: str) -> str | None:
        """The reason to record, or None if the refusal is over a limit. `caller` is an identity or an address."""
        minute = int(self._clock() // MINUTE_SECONDS)
        if minute != self._minute:
            self._minute = minute
            self._total = 0
            self._per_caller = Counter()
        if self._total >= PER_MINUTE:
            return None
        # An IPv6 network of 64 bits usually belongs to one machine: counted per address, it could use the whole limit.
        network = network_of(caller)
        self._per_caller[network] += 1
        if self._per_caller[network] > PER_CALLER:
            return None
        self._total += 1
        is_last = self._per_caller[network] == PER_CALLER or self._total == PER_MINUTE
        return Reason.REST_OF_MINUTE_UNRECORDED if is_last else reason


class RefusalRecorder:
    """Records the refusals of one service. Call `stop` before the journal is stopped."""

    def __init__(self, journal: Journal, *, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._clock = clock
        # By event type. The event types are constants of the services, so there are few.
        self._limits: dict[str, RefusalLimits] = {}
        self._unrecorded: Counter[str] = Counter()
        self._summary: asyncio.Task[None] | None = None

    async def record(self, event: AuditEvent, *, caller: str) -> None:
        """Returns when the event is on disk, or when it was counted because it is over a limit.

        `caller` is the identity of the caller, or the source address. Raises JournalUnavailable.
        """
        limits = self._limits.setdefault(event.event_type, RefusalLimits(self._clock))
        reason = limits.reason_to_record(caller, event.reason or event.action_taken)
        if reason is not None:
            await self._journal.record(replace(event, reason=reason))
            return
        self._unrecorded[event.event_type] += 1
        if self._summary is None:
            self._summary = asyncio.create_task(self._summarize_after_the_minute(), name="unrecorded-refusals")

    async def stop(self) -> None:
        """Records the number of refusals of this minute that were only counted."""
        if self._summary is not None:
            self._summary.cancel()
            await self._summarize()

    async def _summarize_after_the_minute(self) -> None:
        await asyncio.sleep(MINUTE_SECONDS - self._clock() % MINUTE_SECONDS)
        await self._summarize()

    async def _summarize(self) -> None:
        unrecorded = self._unrecorded
        self._unrecorded = Counter()
        self._summary = None
        for event_type, count in unrecorded.items():
            event = AuditEvent(
                event_type=event_type,
                action_taken=Action.REFUSED_UNRECORDED,
                outcome=Outcome.REFUSED,
                reason=f"{count}_more",
            )
            try:
                await self._journal.record(event)
            except JournalUnavailable as error:
                logger.warning(
                    "refusals_not_recorded count=%d event_type=%s cause=%s", count, event_type, error.description
                )
