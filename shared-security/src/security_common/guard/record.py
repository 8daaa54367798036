"""Refusals on the audit trail, within the bounds of `journal.bounds`."""

import logging
from collections.abc import Callable

from security_common.guard.refusals import Refusal
from security_common.journal import AuditEvent, Journal, JournalUnavailable, Outcome
from security_common.journal.bounds import RefusalBounds
from security_common.tokens import AccessToken

__all__ = ["RefusalRecord"]

logger = logging.getLogger(__name__)


class RefusalRecord:
    """Writes refusals to the journal, if there is one."""

    def __init__(self, journal: Journal | None, *, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._bounds = RefusalBounds(clock)

    async def write(self, refusal: Refusal, *, token: AccessToken | None, source_address: str, trace_id: str) -> None:
        """Returns when the event is on disk. A journal that cannot be written changes nothing for the client."""
        reason = self._bounds.admit(token.subject if token else source_address, refusal.reason)
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
