"""What the doctor checks about status lists: Redis has every revocation that the journals of this machine have."""

import time

from redis.asyncio import Redis

from auth_service.settings import SERVICE, AuthSettings
from auth_service.token_status.replay import RevocationReplay
from security_common.service import CheckResult

__all__ = ["check_status_lists"]


async def check_status_lists(settings: AuthSettings, redis: Redis) -> list[CheckResult]:
    replay = RevocationReplay(
        redis=redis,
        directory=settings.security.audit_dir / SERVICE,
        clock=time.time,
        lifetime_seconds=settings.status_lifetime_seconds,
    )
    missing = await replay.count_missing()
    if missing:
        hint = "start auth-service with this Redis: it restores them from the journals"
        return [CheckResult(f"status lists: Redis has lost {missing} revocations of tokens", ok=False, hint=hint)]
    return [CheckResult("status lists: Redis has the revocations of the journals", ok=True)]
