"""The audit commands, as they are run on a command line: with an index, and with the stream alone."""

import asyncio
import json
import sys
from datetime import UTC, datetime

import anyio
import pytest

from security_common.audit import AuditEvent, Outcome
from security_common.audit.event_index.searchable_trail import SearchableTrail
from security_common.cli import app

pytestmark = pytest.mark.anyio


@pytest.fixture
async def run(redis, redis_server, open_one, capsys):
    """Runs a command on a stream of three calls and returns its output. It has an event loop, so it needs a thread."""
    journal = await open_one(ships=True)
    for number in range(3):
        await journal.record(
            AuditEvent(
                event_type="tool_call",
                action_taken="executed",
                outcome=Outcome.SUCCESS,
                user_id=f"u_{number}",
                tool_name="\x1b[31mred",
                contains_pii=True,
                source_address="192.0.2.1",
                task="view",
            )
        )
    await journal.stop()

    async def run_command(*arguments: str) -> str:
        words = ["audit", *arguments, "--redis", redis_server.url]
        await asyncio.to_thread(app, words, result_action="return_value")
        return capsys.readouterr().out

    return run_command


async def test_tail_shows_the_newest_last(run):
    lines = (await run("tail", "2")).splitlines()
    assert [line.split()[4] for line in lines] == ["u_1", "u_2"]
    assert "\x1b" not in "".join(lines)


async def test_search_filters(run):
    (line,) = (await run("search", "--user", "u_1", "--json")).splitlines()
    assert (json.loads(line)["user_id"], json.loads(line)["seq"]) == ("u_1", 3)


@pytest.mark.parametrize("command", ["search", "tail"])
async def test_a_match_beyond_the_first_page_is_found(run, monkeypatch, command):
    monkeypatch.setattr("security_common.audit.reading.search.PAGE_SCAN_LIMIT", 1)
    (line,) = (await run(command, "--user", "u_0", "--json")).splitlines()
    assert json.loads(line)["user_id"] == "u_0"


@pytest.mark.parametrize("form", ["jsonl", "csv", "cloudevents", "ocsf"])
async def test_export_writes_every_event(run, tmp_path, form):
    path = tmp_path / "events"
    await run("export", str(path), "--format", form)
    assert len(path.read_text().splitlines()) == (5 if form == "csv" else 4)


async def test_report_counts(run):
    assert json.loads(await run("report", "--json"))["events"] == 4
    assert "# Security report" in await run("report")


async def test_the_monthly_review_counts(run):
    month = f"{datetime.now(UTC):%Y-%m}"
    assert "접속기록 점검표" in await run("report", "--month", month, "--time-zone", "UTC")
    assert json.loads(await run("report", "--month", month, "--json", "--time-zone", "UTC"))["accesses"] == 3


async def test_the_month_is_in_the_configured_or_the_given_time_zone(run, monkeypatch):
    async def since(*zone: str) -> str:
        return json.loads(await run("report", "--month", "2026-11", "--json", *zone))["since"]

    assert await since() == "2026-11-01T00:00:00+00:00"
    monkeypatch.setenv("SECURITY_TIME_ZONE", "Asia/Seoul")
    assert await since() == "2026-10-31T15:00:00+00:00"
    assert await since("--time-zone", "America/New_York") == "2026-11-01T04:00:00+00:00"


async def test_an_unknown_time_zone_is_reported_with_the_name_of_the_setting():
    command = [sys.executable, "-c", "from security_common.cli import main; main()", "audit", "report"]
    done = await anyio.run_process(
        [*command, "--month", "2026-11", "--redis", "redis://127.0.0.1:1"],
        env={"SECURITY_TIME_ZONE": "KST"},
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: SECURITY_TIME_ZONE: invalid timezone: KST\nhint: ")


async def test_report_and_export_can_read_the_journals_of_a_trimmed_stream(
    run, redis, settings, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("SECURITY_AUDIT_DIR", str(settings.audit_dir))
    await redis.xtrim("audit:events", maxlen=1, approximate=False)
    path = tmp_path / "events"
    await run("export", str(path))
    assert len(path.read_text().splitlines()) == 1
    assert json.loads(await run("report", "--json"))["chain"]["stream_trimmed"] is True
    await run("export", str(path), "--journals")
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [1, 2, 3, 4]
    assert json.loads(await run("report", "--json", "--journals"))["events"] == 4
    month = f"{datetime.now(UTC):%Y-%m}"
    review = json.loads(await run("report", "--month", month, "--time-zone", "UTC", "--json", "--journals"))
    assert review["accesses"] == 3


@pytest.fixture
async def with_index(run, redis, settings, monkeypatch):
    """An index of the stream beside the journals. The stream is trimmed to its last entry then."""
    monkeypatch.setenv("SECURITY_AUDIT_DIR", str(settings.audit_dir))
    trail = SearchableTrail(redis, settings, service="mcp-resource-service")
    async with trail.running():
        assert await trail.count() == 4
    await redis.xtrim("audit:events", maxlen=1, approximate=False)


async def test_search_report_and_export_read_the_index(with_index, run, tmp_path):
    first, second = (await run("search", "--limit", "2", "--json")).splitlines()
    assert (json.loads(first)["seq"], json.loads(second)["seq"]) == (4, 3)
    report = json.loads(await run("report", "--json"))
    assert (report["events"], report["chain"]["stream_trimmed"]) == (4, False)
    month = f"{datetime.now(UTC):%Y-%m}"
    assert json.loads(await run("report", "--month", month, "--json", "--time-zone", "UTC"))["accesses"] == 3
    path = tmp_path / "events"
    await run("export", str(path))
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [1, 2, 3, 4]
    assert json.loads(await run("report", "--json", "--stream"))["events"] == 1


async def test_the_token_of_the_index_leads_to_the_next_page(with_index, redis_server, capsys):
    words = ["audit", "search", "--limit", "3", "--json", "--redis", redis_server.url]
    await asyncio.to_thread(app, words, result_action="return_value")
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 3
    page = output.err.split("more: --page ")[1].strip()
    await asyncio.to_thread(app, [*words, "--page", page], result_action="return_value")
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["seq"] == 1


async def test_an_index_is_read_without_redis(with_index, capsys):
    words = ["audit", "search", "--json", "--redis", "redis://127.0.0.1:1"]
    await asyncio.to_thread(app, words, result_action="return_value")
    assert len(capsys.readouterr().out.splitlines()) == 4


async def test_a_note_says_that_the_index_is_behind_the_stream(with_index, redis, redis_server, monkeypatch, capsys):
    monkeypatch.setattr("security_common.cli.audit_events.CATCH_UP_SECONDS", 0)
    await redis.xadd("audit:events", {"event": "{"})
    words = ["audit", "search", "--redis", redis_server.url]
    await asyncio.to_thread(app, words, result_action="return_value")
    assert "note: the index does not have the newest events" in capsys.readouterr().err


async def test_a_note_shows_that_the_stream_was_trimmed(redis, run, redis_server, capsys):
    await redis.xtrim("audit:events", maxlen=1, approximate=False)
    await asyncio.to_thread(app, ["audit", "report", "--redis", redis_server.url], result_action="return_value")
    output = capsys.readouterr()
    assert "note: the stream begins at" in output.err
    assert "--journals" in output.err
    assert "The events that can be read here begin at" in output.out
