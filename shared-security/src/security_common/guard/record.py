"""Refusals of the guard on the audit trail, within the bounds of `journal.bounded_refusals`."""

import logging
from collections.abc import Callable

from security_common.audit import AuditEvent, Journal, JournalUnavailable, Outcome
from security_common.audit.refusal_limits import RefusalRecorder
from security_common.guard.refusals import Refusal
from security_common.tokens import AccessToken

__all__ = ["RefusalRecord"]

logger = logging.getLogger(__name__)


class RefusalRecord:
    """Writes refusals to the journal, if there is one."""

    def __init__(self, journal: Journal | None, *, clock: Callable[[], float]) -> None:
        self._refusals = RefusalRecorder(journal, clock=clock) if journal is not None else None

    async def write(self, refusal: Refusal, *, token: AccessToken | None, source_address: str, trace_id: str) -> None:
        """Returns when the event is on disk or counted. A journal that cannot be written changes nothing for the
        client: nothing was let through.
        """
        if self._refusals is None:
            return
        event = AuditEvent(
            event_type="access_refused",
            action_taken="refused",
            outcome=Outcome.REFUSED,
            reason=refusal.reason,
            tool_name=refusal.tool_name,
            user_id=token.subject if token else None,
            issuer=token.issuer if token else None,
            client_id=token.client_id if token else None,
            source_address=source_address,
            trace_id=trace_id,
        )
        try:
            await self._refusals.record(event, caller=f"{token.issuer} {token.subject}" if token else source_address)
        except JournalUnavailable as error:
            logger.warning("a refusal (%s) is not on record: %s", refusal.reason, error.description)

    async def stop(self) -> None:
        """Records how many refusals of this minute were not recorded, while the journal is still open."""
        if self._refusals is not None:
            await self._refusals.stop()
