"""Records events as fast as its emitters can, and writes a line for each acknowledged event. The tests kill it.

    python -m local_stack.faults.audit_load DIRECTORY REDIS_URL ACKS [EMITTERS]

An ack is one line, `journal_id seq event_id`, written with one write(2): every event in the file was acknowledged
before the process ended. An event that the journal refuses writes the line `refused`.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from redis.asyncio import Redis

from security_common.audit import Action, AuditEvent, EventType, Journal, JournalUnavailable, Outcome, open_journal
from security_common.settings import SecuritySettings

__all__ = ["SERVICE", "load_settings"]

SERVICE = "load"
SEGMENT_BYTES = 256 * 1024
REFUSED_PAUSE_SECONDS = 0.01


def load_settings(directory: Path) -> SecuritySettings:
    """Small segments, so that a run has many of them."""
    return SecuritySettings(audit_dir=directory, audit_segment_bytes=SEGMENT_BYTES)


async def run(directory: Path, redis_url: str, acks: Path, emitters: int) -> None:
    """Runs until SIGTERM. Without emitters it only ships what other processes have left."""
    async with Redis.from_url(redis_url, socket_timeout=2) as redis:
        journal = open_journal(service=SERVICE, settings=load_settings(directory), redis=redis)
        await journal.start()
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        descriptor = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        async with asyncio.TaskGroup() as group:
            for number in range(emitters):
                group.create_task(_emit(journal, number, descriptor, stopped))
            await stopped.wait()
        await journal.stop()


async def _emit(journal: Journal, emitter: int, acks: int, stopped: asyncio.Event) -> None:
    event = AuditEvent(
        event_type=EventType.TOOL_CALL,
        action_taken=Action.EXECUTED,
        outcome=Outcome.SUCCESS,
        tool_name="load",
        user_id=f"u_{emitter}",
        client_id="load",
    )
    while not stopped.is_set():
        try:
            receipt = await journal.record(event)
        except JournalUnavailable:
            os.write(acks, b"refused\n")
            await asyncio.sleep(REFUSED_PAUSE_SECONDS)
            continue
        os.write(acks, f"{receipt.journal_id} {receipt.seq} {receipt.event_id}\n".encode())


if __name__ == "__main__":
    emitters = int(sys.argv[4]) if len(sys.argv) > 4 else 20
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), emitters))
