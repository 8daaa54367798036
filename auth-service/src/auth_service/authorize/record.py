"""What goes on record about people: one event for each thing that happened to a sign-in, a consent or a grant."""

from typing import Protocol

from security_common.journal import AuditEvent, Journal, Outcome

__all__ = ["Origin", "Recorder"]


class Origin(Protocol):
    """Where a request came from, as both the edge and the grants know it."""

    @property
    def source_address(self) -> str: ...

    @property
    def trace_id(self) -> str: ...


class Recorder:
    """Returns when the event is on disk. Raises `JournalUnavailable`: then nothing may be answered but 503."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def __call__(
        self,
        origin: Origin,
        event_type: str,
        action: str,
        *,
        client_id: str | None = None,
        user_id: str | None = None,
        reason: str | None = None,
        outcome: Outcome = Outcome.SUCCESS,
    ) -> None:
        await self._journal.record(
            AuditEvent(
                event_type=event_type,
                action_taken=action,
                outcome=outcome,
                client_id=client_id,
                user_id=user_id,
                reason=reason,
                source_address=origin.source_address,
                trace_id=origin.trace_id,
            )
        )
