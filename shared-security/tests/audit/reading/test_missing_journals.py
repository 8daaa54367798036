"""A process is lost together with its disk: an alert is recorded, and `audit verify` does not report intact."""

import asyncio
import json
import shutil
import sys
import time
from dataclasses import replace

import pytest

from local_stack.faults.audit_load import SERVICE
from local_stack.faults.trail_check import acknowledged
from security_common.audit import open_journal
from security_common.audit.heartbeats import Heartbeat, read_heartbeats, write_heartbeat
from security_common.audit.reading import EventFilter, each_event, live_detection
from security_common.audit.reading.alerts import describe_alert
from security_common.audit.stream_shipping import STREAM_KEY
from security_common.cli import app

pytestmark = pytest.mark.anyio

ACKNOWLEDGED = 25
QUIET_SECONDS = 10  # the minimum of the setting


@pytest.fixture
async def replica(redis, redis_server, tmp_path):
    """Starts a process that records on its own disk, kills it and deletes the disk."""
    processes: list[asyncio.subprocess.Process] = []
    disk, acks = tmp_path / "disk", tmp_path / "acks"

    async def run_and_lose(*, ships: bool) -> Heartbeat:
        if not ships:
            await redis.set(STREAM_KEY, "not a stream")  # so that nothing can be shipped
        command = (sys.executable, "-m", "local_stack.faults.audit_load", str(disk), redis_server.url, str(acks), "1")
        process = await asyncio.create_subprocess_exec(*command)
        processes.append(process)
        async with asyncio.timeout(30):
            while max((each.seq for each in await read_heartbeats(redis)), default=0) < ACKNOWLEDGED:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        known = [each for each in await read_heartbeats(redis) if each.seq >= ACKNOWLEDGED]
        process.kill()
        await process.wait()
        assert len(acknowledged(acks)) >= ACKNOWLEDGED
        shutil.rmtree(disk)
        if not ships:
            await redis.delete(STREAM_KEY)
        (last,) = [each for each in await read_heartbeats(redis) if each.journal_id == known[0].journal_id]
        # As if the last heartbeat was two minutes ago. Lines that were reported may not have reached the stream.
        seq = min(last.seq, last.shipped) if ships else last.seq
        aged = replace(last, seq=seq, seen_ms=int((time.time() - 120) * 1000))
        await write_heartbeat(redis, aged)
        return aged

    yield run_and_lose
    for process in processes:
        if process.returncode is None:
            process.kill()


@pytest.fixture
async def survivor(redis, settings):
    """Another process of the same service, on another disk."""
    journal = open_journal(service=SERVICE, settings=settings, redis=redis)
    await journal.start()
    yield journal
    await journal.stop()


async def verify(settings, redis_server, monkeypatch, capsys):
    monkeypatch.setenv("SECURITY_AUDIT_DIR", str(settings.audit_dir))

    def command() -> int:
        with pytest.raises(SystemExit) as exit_info:
            app(["audit", "verify", "--json", "--redis", redis_server.url], result_action="return_value")
        return int(exit_info.value.code or 0)

    return await asyncio.to_thread(command), json.loads(capsys.readouterr().out)


async def alerts(redis):
    return [event async for event in each_event(redis, EventFilter(event_type="security_alert"))]


async def known_as(redis, journal_id: str) -> Heartbeat:
    return next(each for each in await read_heartbeats(redis) if each.journal_id == journal_id)


async def test_reported_lines_that_were_not_shipped_are_missing(
    replica, survivor, redis, redis_server, settings, monkeypatch, capsys
):
    gone = await replica(ships=False)
    status, verdict = await verify(settings, redis_server, monkeypatch, capsys)
    assert status == 1
    (finding,) = verdict["findings"]
    assert f"journal {gone.journal_id} is not here and its stream ends at seq 0" in finding["problem"]
    assert f"its last heartbeat reported seq {gone.seq}" in finding["problem"]
    strict = settings.model_copy(update={"detect_journal_quiet_seconds": QUIET_SECONDS})
    async with live_detection(redis, survivor, strict), asyncio.timeout(60):
        while not (await known_as(redis, gone.journal_id)).alerted:  # noqa: ASYNC110  # the condition is in Redis
            await asyncio.sleep(0.1)
        while not await alerts(redis):  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.1)
    (alert,) = await alerts(redis)
    assert (alert.reason, alert.outcome, alert.alert["name"]) == ("journal_quiet", "alert", gone.journal_id)
    assert f"{gone.seq:,} lines known to be missing" in describe_alert(alert)


async def test_a_journal_that_was_not_closed_is_not_intact(
    replica, survivor, redis, redis_server, settings, monkeypatch, capsys
):
    """All reported lines are in the stream, but there may have been more."""
    gone = await replica(ships=True)
    assert gone.shipped >= gone.seq
    status, verdict = await verify(settings, redis_server, monkeypatch, capsys)
    assert (status, verdict["findings"], verdict["intact"]) == (2, [], False)
    (problem,) = verdict["unchecked"]
    assert gone.journal_id in problem
    assert "was not closed" in problem


async def test_a_stopped_process_is_not_missing(redis, redis_server, settings, tmp_path, monkeypatch, capsys):
    elsewhere = settings.model_copy(update={"audit_dir": tmp_path / "elsewhere"})
    for each in (settings, elsewhere):
        journal = open_journal(service=SERVICE, settings=each, redis=redis)
        await journal.start()
        await journal.stop()
    known = await read_heartbeats(redis)
    assert [each.is_complete for each in known] == [True, True]
    for each in known:
        await write_heartbeat(redis, replace(each, seen_ms=0))
    assert (await verify(settings, redis_server, monkeypatch, capsys))[0] == 0


async def test_a_journal_on_a_shared_disk_is_closed_by_another_process(redis, redis_server, settings, survivor):
    """The process was killed, but its lines are here: a running process ships them."""
    command = (sys.executable, "-m", "local_stack.faults.audit_load", str(settings.audit_dir), redis_server.url)
    process = await asyncio.create_subprocess_exec(*command, str(settings.audit_dir / "acks"), "1")
    async with asyncio.timeout(60):
        while len(await read_heartbeats(redis)) < 2:  # noqa: ASYNC110  # the condition is in Redis
            await asyncio.sleep(0.05)
        process.kill()
        await process.wait()
        while sum(each.is_complete for each in await read_heartbeats(redis)) < 1:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.1)
