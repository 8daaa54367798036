"""Records a number of events as another process of a service, and prints how much memory Redis needs for them.

    docker compose exec -T auth-service python -c "$(cat fill_trail.py)" EVENTS

EVENTS is a multiple of 50,000. It prints one JSON object on each line: recorded events, seconds, memory of Redis and
length of the stream. It imports nothing of this package, so that it runs in the containers of the services.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from redis.asyncio import Redis

from security_common.audit import Action, AuditEvent, EventType, Outcome, Receipt, open_journal
from security_common.audit.stream_shipping import STREAM_KEY, shipped_through
from security_common.settings import SecuritySettings

AT_ONCE = 500
REPORT_EVERY = 50_000

EVENT = AuditEvent(
    event_type=EventType.TOOL_CALL,
    action_taken=Action.EXECUTED_WITH_ENCRYPTION,
    outcome=Outcome.SUCCESS,
    tool_name="store_sensitive_data",
    user_id="u_3f1c9a0b7d2e4c55",
    issuer="http://localhost:8081",
    client_id="mcp-client",
    contains_pii=True,
    pii_kinds={"EMAIL": 1, "PHONE": 1},
    source_address="127.0.0.1",
    subject_reference="c0ffee" * 5,
    task="store",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    duration_ms=1.25,
)


async def main(events: int, password: str) -> None:
    async with Redis.from_url(os.environ["AUTH_REDIS_URL"], password=password, socket_timeout=30) as redis:
        journal = open_journal(service="auth-service", settings=SecuritySettings(), redis=redis)
        await journal.start()
        started = time.monotonic()
        for done in range(AT_ONCE, events + 1, AT_ONCE):
            receipts = await asyncio.gather(*(journal.record(EVENT) for _ in range(AT_ONCE)))
            newest = receipts[-1]
            if done == events:
                while await shipped_through(redis, newest.journal_id) < newest.seq:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            if done % REPORT_EVERY == 0:
                await report(redis, done, newest, time.monotonic() - started)
        await journal.stop()


async def report(redis: Redis, events: int, newest: Receipt, seconds: float) -> None:
    memory = await redis.info("memory")
    members = {
        "events": events,
        "last_seq": newest.seq,
        "journal_id": newest.journal_id,
        "seconds": round(seconds, 1),
        "stream_length": await redis.xlen(STREAM_KEY),
        "stream_bytes": await redis.memory_usage(STREAM_KEY, samples=100),
        "used_memory": memory["used_memory"],
        "used_memory_rss": memory["used_memory_rss"],
        "maxmemory": memory["maxmemory"],
    }
    print(json.dumps(members), flush=True)


if __name__ == "__main__":
    asyncio.run(
        main(int(sys.argv[1]), Path(os.environ["AUTH_REDIS_PASSWORD_FILE"]).read_text(encoding="utf-8").strip())
    )
