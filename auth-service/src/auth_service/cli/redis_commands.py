"""`auth-service redis ...`: the Redis that this service keeps its state in."""

from cyclopts import App

from auth_service.cli.operator import Operator, change
from auth_service.redis_identity import redis_identity
from security_common.audit import Action

__all__ = ["redis_commands"]

redis_commands = App(
    name="redis", help="The Redis of this service: accept.", result_action="return_value", version_flags=[]
)


@redis_commands.command
def accept() -> None:
    """Take the present Redis for good, after it came back empty or was replaced by another one.

    Until then the service is not ready and makes no signing keys. Running replicas write the keys they have in memory
    into the accepted Redis, so that tokens stay valid; clients, people and consents that are gone stay gone. Restore
    the old Redis from its files or a backup instead where that is possible.

    For example: auth-service redis accept
    """

    async def work(operator: Operator) -> bool:
        accepted = await redis_identity(operator.settings, operator.redis).accept()
        if accepted:
            await operator.record(Action.REDIS_ACCEPTED)
        return accepted

    print("accepted" if change(work) else "this Redis is the one that was used before: nothing to accept")
