"""`mcp-resource-service redis accept`: the Redis that this service keeps its state in."""

import getpass
import os
import socket

from mcp_resource_service.redis_identity import redis_identity
from mcp_resource_service.settings import SERVICE, ResourceSettings
from security_common.audit import Action, AuditEvent, EventType, Outcome, open_journal
from security_common.service import redis_for_command

__all__ = ["accept_redis"]


async def accept_redis(settings: ResourceSettings) -> bool:
    """Takes the present Redis for good, on record; False when there was nothing to accept."""
    async with redis_for_command(settings) as redis:
        journal = open_journal(service=SERVICE, settings=settings.security, redis=redis)
        try:
            await journal.start()
            accepted = await redis_identity(settings, redis).accept()
            if accepted:
                event = AuditEvent(
                    event_type=EventType.OPERATOR_CHANGE,
                    action_taken=Action.REDIS_ACCEPTED,
                    outcome=Outcome.SUCCESS,
                    source_address=f"{_account()}@{socket.gethostname()}",
                )
                await journal.record(event)
            return accepted
        finally:
            await journal.stop()


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return f"uid-{os.getuid()}"
