"""Records the audit events of this service: one for everything that was issued, revoked, refused or changed."""

from typing import Protocol

from auth_service.protocol import Clock
from security_common.audit import Action, AuditEvent, EventType, Journal, Outcome
from security_common.audit.refusal_limits import RefusalRecorder

__all__ = ["AuditRecorder", "RequestSource"]


class RequestSource(Protocol):
    """Where a request came from: implemented by HTTP requests, token requests and operators."""

    @property
    def source_address(self) -> str: ...

    @property
    def trace_id(self) -> str: ...


class AuditRecorder:
    """Writes events to the journal. Returns once the event is on disk.

    Raises `JournalUnavailable`: then no other response than 503 may be sent. Events without a source are the service's
    own. Refusals are limited per address, so that unauthenticated clients cannot fill the disk; those above the limit
    are counted. `stop` records the count, while the journal is still open.
    """

    def __init__(self, journal: Journal, *, clock: Clock) -> None:
        self._journal = journal
        self._refusals = RefusalRecorder(journal, clock=clock)

    async def __call__(
        self,
        source: RequestSource | None,
        *,
        event_type: EventType,
        action: Action,
        client_id: str | None = None,
        user_id: str | None = None,
        reason: str | None = None,
        outcome: Outcome = Outcome.SUCCESS,
    ) -> None:
        event = AuditEvent(
            event_type=event_type,
            action_taken=action,
            outcome=outcome,
            client_id=client_id,
            user_id=user_id,
            reason=reason,
            source_address=source.source_address if source else None,
            trace_id=source.trace_id if source else None,
        )
        if source is not None and outcome is Outcome.REFUSED:
            await self._refusals.record(event, caller=source.source_address)
        else:
            await self._journal.record(event)

    async def stop(self) -> None:
        await self._refusals.stop()
