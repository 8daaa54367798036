"""Audit events for refused requests, bounded by `security_common.audit.refusal_limits`."""

import logging
from collections.abc import Callable, Mapping

from security_common.audit import Action, AuditEvent, EventType, Journal, JournalUnavailable, Outcome
from security_common.audit.refusal_limits import RefusalRecorder
from security_common.edge import Refusal, RequestContext
from security_common.guard.refusals import InsufficientScope
from security_common.tokens import AccessToken

__all__ = ["RefusalAudit"]

logger = logging.getLogger(__name__)


class RefusalAudit:
    """Records refusals in the journal; without a journal it does nothing."""

    def __init__(self, journal: Journal | None, *, clock: Callable[[], float]) -> None:
        self._refusals = RefusalRecorder(journal, clock=clock) if journal is not None else None

    async def record(
        self,
        refusal: Refusal,
        *,
        token: AccessToken | None,
        request: RequestContext,
        recorded_names: Mapping[str, str] | None = None,
    ) -> None:
        """Returns when the event is on disk or counted. `recorded_names` are the names of tools in the audit trail.

        A journal that cannot be written does not change the response: the request was refused anyway.
        """
        if self._refusals is None:
            return
        tool_name = refusal.tool_name if isinstance(refusal, InsufficientScope) else None
        if tool_name is not None and recorded_names is not None:
            tool_name = recorded_names.get(tool_name, tool_name)
        event = AuditEvent(
            event_type=EventType.ACCESS_REFUSED,
            action_taken=Action.REFUSED,
            outcome=Outcome.REFUSED,
            reason=refusal.reason,
            tool_name=tool_name,
            user_id=token.subject if token else None,
            issuer=token.issuer if token else None,
            client_id=token.client_id if token else None,
            source_address=request.source_address,
            trace_id=request.trace_id,
        )
        caller = f"{token.issuer} {token.subject}" if token else request.source_address
        try:
            await self._refusals.record(event, caller=caller)
        except JournalUnavailable as error:
            logger.warning("refusal_not_recorded reason=%s cause=%s", refusal.reason, error.description)

    async def stop(self) -> None:
        """Records how many refusals of this minute were only counted. To be called before the journal stops."""
        if self._refusals is not None:
            await self._refusals.stop()
