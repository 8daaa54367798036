"""What this service puts on record: one event for each thing that was given, taken back, refused or changed."""

from typing import Protocol

from auth_service.protocol import Clock
from security_common.audit import Action, AuditEvent, EventType, Journal, Outcome
from security_common.audit.refusal_limits import RefusalRecorder

__all__ = ["AuditRecorder", "Origin"]


class Origin(Protocol):
    """Where a request came from, as both the edge and the grants know it."""

    @property
    def source_address(self) -> str: ...

    @property
    def trace_id(self) -> str: ...


class AuditRecorder:
    """Returns when the event is on disk. Raises `JournalUnavailable`: then nothing may be answered but 503.

    Without an origin it was the service itself. Refusals are bounded for each address, so that nobody can fill the disk
    with them; what is over the bounds is counted. `stop` records the count, while the journal is still open.
    """

    def __init__(self, journal: Journal, *, clock: Clock) -> None:
        self._journal = journal
        self._refusals = RefusalRecorder(journal, clock=clock)

    async def __call__(
        self,
        origin: Origin | None,
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
            source_address=origin.source_address if origin else None,
            trace_id=origin.trace_id if origin else None,
        )
        if origin is not None and outcome is Outcome.REFUSED:
            await self._refusals.record(event, caller=origin.source_address)
        else:
            await self._journal.record(event)

    async def stop(self) -> None:
        await self._refusals.stop()
