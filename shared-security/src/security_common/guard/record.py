"""Refusals on the audit trail, without letting anybody fill the disk through it.

Each caller, or each source address where nobody knows the caller, gets so many events a minute, and all together so
many. The last one of the minute says that the rest is not recorded.
"""

import logging
from collections import Counter
from collections.abc import Callable

from security_common.guard.refusals import Refusal
from security_common.journal import AuditEvent, Journal, JournalUnavailable, Outcome
from security_common.tokens import AccessToken

__all__ = ["RefusalRecord"]

PER_CALLER, PER_MINUTE = 120, 6000
MINUTE_SECONDS = 60
REST_UNRECORDED = "rest_of_minute_unrecorded"

logger = logging.getLogger(__name__)


class RefusalRecord:
    """Writes refusals to the journal, if there is one."""

    def __init__(self, journal: Journal | None, *, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._clock = clock
        self._minute = 0
        self._total = 0
        self._seen: Counter[str] = Counter()

    async def write(self, refusal: Refusal, *, token: AccessToken | None, source_address: str, trace_id: str) -> None:
        """Returns when the event is on disk. A journal that cannot be written changes nothing for the client."""
        reason = self._reason_within_bounds(refusal, token.subject if token else source_address)
        if self._journal is None or reason is None:
            return
        event = AuditEvent(
            event_type="access_refused",
            action_taken="refused",
            outcome=Outcome.REFUSED,
            reason=reason,
            tool_name=refusal.tool_name,
            user_id=token.subject if token else None,
            issuer=token.issuer if token else None,
            client_id=token.client_id if token else None,
            source_address=source_address,
            trace_id=trace_id,
        )
        try:
            await self._journal.record(event)
        except JournalUnavailable as error:
            # Nothing was let through, so the answer stays what it is.
            logger.warning("a refusal (%s) is not on record: %s", reason, error.description)

    def _reason_within_bounds(self, refusal: Refusal, who: str) -> str | None:
        minute = int(self._clock() // MINUTE_SECONDS)
        if minute != self._minute:
            self._minute, self._total, self._seen = minute, 0, Counter()
        if self._total >= PER_MINUTE:
            return None
        self._seen[who] += 1
        if self._seen[who] > PER_CALLER:
            return None
        self._total += 1
        return REST_UNRECORDED if self._seen[who] == PER_CALLER else refusal.reason
