"""The audit events of calls: on disk before the answer is returned."""

import structlog

from gateway_service.wire.json_rpc import INTERNAL_ERROR, RpcError
from security_common.audit import Action, AuditEvent, EventType, Journal, JournalUnavailable, Outcome, Reason
from security_common.errors import SecurityError, describe, describe_for_client
from security_common.tokens import Caller
from security_common.tool_policy import SecuredCall, record_cancelled_call

__all__ = ["CallRecords", "CallUnavailable"]

log = structlog.get_logger("gateway_service")


class CallUnavailable(Exception):
    """The gateway itself cannot serve the call now: it is answered with HTTP status 503. Creating it logs the cause."""

    def __init__(self, cause: SecurityError) -> None:
        super().__init__(cause.error)
        log.error("call_unavailable", cause=describe(cause))
        self.error = RpcError(INTERNAL_ERROR, describe_for_client(cause), {"error": cause.error})


class CallRecords:
    """Writes the events of calls. Its methods raise `CallUnavailable` if the journal cannot be written."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def record(self, call: SecuredCall) -> None:
        """Records a call that has ended."""
        event = call.audit_event()
        if event is not None:
            await self._write(event)

    def record_cancelled(self, call: SecuredCall) -> None:
        """Records a call that the client has abandoned, in a task of its own."""
        call.cancel()
        record_cancelled_call(self._journal, call.audit_event())

    async def record_rejected(
        self,
        caller: Caller,
        reason: Reason,
        *,
        component: str | None = None,
        event_type: EventType = EventType.TOOL_CALL,
        outcome: Outcome = Outcome.REFUSED,
    ) -> None:
        """Records a call that reached no component.

        `component` is its name in the audit trail. A name that is not known is text of the client and not recorded.
        """
        is_access = event_type is EventType.ACCESS_REFUSED
        await self._write(
            AuditEvent(
                event_type=event_type,
                action_taken=Action.REFUSED if is_access else Action.REJECTED,
                outcome=outcome,
                tool_name=component,
                user_id=caller.token.subject,
                issuer=caller.token.issuer,
                client_id=caller.token.client_id,
                reason=reason,
                source_address=caller.source_address,
                trace_id=caller.trace_id,
            )
        )

    async def _write(self, event: AuditEvent) -> None:
        try:
            await self._journal.record(event)
        except JournalUnavailable as failure:
            raise CallUnavailable(failure) from failure
