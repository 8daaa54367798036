"""`auth-service redis ...`: the Redis that stores the state of this service."""

from cyclopts import App

from auth_service.cli.operator_session import Operator, run_audited_change
from auth_service.redis_identity import open_redis_identity
from security_common.audit import Action

__all__ = ["redis_commands"]

redis_commands = App(
    name="redis", help="The Redis of this service: accept.", result_action="return_value", version_flags=[]
)


@redis_commands.command
def accept() -> None:
    """Accept the current Redis, after it restarted empty or was replaced by another one.

    Until then the service is not ready and creates no signing keys. Running replicas write the keys in their memory
    to the accepted Redis, so that tokens stay valid. Lost clients, users and consents are not restored: if possible,
    restore the old Redis from its files or a backup instead.

    For example: auth-service redis accept
    """

    async def work(operator: Operator) -> bool:
        accepted = await open_redis_identity(operator.settings, operator.redis).accept()
        if accepted:
            await operator.record(Action.REDIS_ACCEPTED)
        return accepted

    print("accepted" if run_audited_change(work) else "nothing to accept: this Redis is the one that was used before")
