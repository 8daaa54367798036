"""A full disk: the journal is on a small tmpfs of a container that is filled completely and then freed."""

import pytest

from local_stack.compose import Compose

pytestmark = pytest.mark.compose

FILL_AND_FREE = """
import asyncio, errno, shutil
from pathlib import Path
from security_common.audit import AuditEvent, JournalUnavailable, Outcome, open_journal
from security_common.settings import SecuritySettings

EVENT = AuditEvent(event_type="tool_call", action_taken="executed", outcome=Outcome.SUCCESS)
DIRECTORY = Path("/tmp/full")

def fill(ballast):
    block = bytes(1 << 20)
    while block:
        try:
            ballast.write(block)
        except OSError as full:
            assert full.errno == errno.ENOSPC
            block = block[: len(block) // 2]

async def record_until_refused(journal):
    acknowledged = 0
    while True:  # the last page of the open file still has free space
        try:
            await journal.record(EVENT)
        except JournalUnavailable:
            return acknowledged
        acknowledged += 1

async def main():
    journal = open_journal(service="tests", settings=SecuritySettings(audit_dir=DIRECTORY / "audit"), redis=None)
    await journal.start()
    with (DIRECTORY / "ballast").open("wb", buffering=0) as ballast:
        fill(ballast)
        acknowledged = await record_until_refused(journal)
        assert acknowledged < 100
        print("unwritable" if not journal.writable else "writable")
        ballast.truncate(0)
    while not journal.writable:
        await asyncio.sleep(0.01)
    await journal.record(EVENT)
    await journal.stop()
    lines = (DIRECTORY / "audit" / "tests" / "0" / "security_audit.log").read_text().splitlines()
    print(sum('"event_type":"tool_call"' in line for line in lines) - acknowledged)

DIRECTORY.mkdir()
try:
    asyncio.run(asyncio.wait_for(main(), 60))
finally:
    shutil.rmtree(DIRECTORY)
"""


def test_a_full_disk_refuses_events_without_loss_and_recovers(compose: Compose) -> None:
    told = compose("exec", "-T", "mcp-resource-service", "python", "-c", FILL_AND_FREE)
    assert told.split() == ["unwritable", "1"]
