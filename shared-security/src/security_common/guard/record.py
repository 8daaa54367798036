"""Refusals on the audit trail, within the bounds of `journal.bounds`; one event a minute counts the rest."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from security_common.guard.refusals import Refusal
from security_common.journal import AuditEvent, Journal, JournalUnavailable, Outcome
from security_common.journal.bounds import MINUTE_SECONDS, RefusalBounds
from security_common.tokens import AccessToken

__all__ = ["RefusalRecord"]

REFUSED = AuditEvent(event_type="access_refused", action_taken="refused", outcome=Outcome.REFUSED)

logger = logging.getLogger(__name__)


class RefusalRecord:
    """Writes refusals to the journal, if there is one."""

    def __init__(self, journal: Journal | None, *, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._clock = clock
        self._bounds = RefusalBounds(clock)
        self._unrecorded = 0
        self._counting: asyncio.Task[None] | None = None

    async def write(self, refusal: Refusal, *, token: AccessToken | None, source_address: str, trace_id: str) -> None:
        """Returns when the event is on disk. A journal that cannot be written changes nothing for the client."""
        reason = self._bounds.admit(f"{token.issuer} {token.subject}" if token else source_address, refusal.reason)
        if reason is None:
            self._unrecorded += 1
            if self._counting is None:
                self._counting = asyncio.create_task(self._tell_at_the_end_of_the_minute(), name="unrecorded-refusals")
            return
        await self._record(
            replace(
                REFUSED,
                reason=reason,
                tool_name=refusal.tool_name,
                user_id=token.subject if token else None,
                issuer=token.issuer if token else None,
                client_id=token.client_id if token else None,
                source_address=source_address,
                trace_id=trace_id,
            )
        )

    async def stop(self) -> None:
        """Tells how many refusals of this minute are unrecorded, while the journal is still open."""
        if self._counting is not None:
            self._counting.cancel()
            await self._tell_unrecorded()

    async def _tell_at_the_end_of_the_minute(self) -> None:
        await asyncio.sleep(MINUTE_SECONDS - self._clock() % MINUTE_SECONDS)
        await self._tell_unrecorded()

    async def _tell_unrecorded(self) -> None:
        count, self._unrecorded, self._counting = self._unrecorded, 0, None
        await self._record(replace(REFUSED, action_taken="refused_unrecorded", reason=f"{count}_more"))

    async def _record(self, event: AuditEvent) -> None:
        try:
            if self._journal is not None:
                await self._journal.record(event)
        except JournalUnavailable as error:
            # Nothing was let through, so the answer stays what it is.
            logger.warning("a refusal (%s) is not on record: %s", event.reason, error.description)
