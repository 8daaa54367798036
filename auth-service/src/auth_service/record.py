"""What this service puts on record: one event for each thing that was given, taken back, refused or changed."""

from typing import Protocol

from auth_service.vocabulary import Clock
from security_common.journal import AuditEvent, Journal, Outcome
from security_common.journal.bounds import RefusalBounds

__all__ = ["Origin", "Recorder"]


class Origin(Protocol):
    """Where a request came from, as both the edge and the grants know it."""

    @property
    def source_address(self) -> str: ...

    @property
    def trace_id(self) -> str: ...


class Recorder:
    """Returns when the event is on disk. Raises `JournalUnavailable`: then nothing may be answered but 503.

    Without an origin it was the service itself. Refusals are bounded for each address: failing fills no disk.
    """

    def __init__(self, journal: Journal, *, clock: Clock) -> None:
        self._journal = journal
        self._bounds = RefusalBounds(clock)

    async def __call__(
        self,
        origin: Origin | None,
        *,
        event_type: str,
        action: str,
        client_id: str | None = None,
        user_id: str | None = None,
        reason: str | None = None,
        outcome: Outcome = Outcome.SUCCESS,
    ) -> None:
        if origin is not None and outcome is Outcome.REFUSED:
            reason = self._bounds.admit(origin.source_address, reason or action)
            if reason is None:
                return
        await self._journal.record(
            AuditEvent(
                event_type=event_type,
                action_taken=action,
                outcome=outcome,
                client_id=client_id,
                user_id=user_id,
                reason=reason,
                source_address=origin.source_address if origin else None,
                trace_id=origin.trace_id if origin else None,
            )
        )
