"""The feed of the index: every line once, whatever was delivered twice, trimmed, lost or damaged."""

import asyncio
import random
import sqlite3
import sys
from datetime import UTC, datetime, timedelta

import pytest

from security_common.audit.event_index import IndexFeed, IndexUnavailable
from security_common.audit.event_index.index_writer import IndexWriter
from security_common.audit.stream_shipping import STREAM_KEY

pytestmark = pytest.mark.anyio

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

FEED_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from redis.asyncio import Redis
from security_common.audit.event_index import IndexFeed, IndexFiles
from security_common.settings import SecuritySettings

async def feed():
    settings = SecuritySettings(audit_dir=Path(sys.argv[1]))
    async with Redis.from_url(sys.argv[3]) as redis:
        async with IndexFeed(IndexFiles(Path(sys.argv[2])), redis, settings).running():
            await asyncio.sleep(600)

asyncio.run(feed())
"""


@pytest.fixture
async def journal(redis, open_one, tool_call):
    """A journal that is in the stream: 600 tool calls after the event of its start. It is closed."""
    journal = await open_one(ships=True)
    await asyncio.gather(*(journal.record(tool_call(number)) for number in range(600)))
    await journal.stop()
    return journal


@pytest.fixture
async def stream_lines(journal, redis):
    """The lines of the stream, oldest first."""
    return [members[b"event"] for _, members in await redis.xrange(STREAM_KEY)]


def seqs_of(reader):
    return sorted(event.seq for event in reader.each())


async def test_new_events_are_added_while_the_feed_runs(fed, complete, open_one, reader, tool_call):
    feed = await fed()
    journal = await open_one(ships=True)
    await journal.record(tool_call())
    await journal.stop()
    await complete(feed)
    assert seqs_of(reader) == [1, 2]
    assert feed.lag_seconds >= 0


async def test_lines_that_are_delivered_twice_are_in_the_index_once(fed, complete, redis, stream_lines, reader):
    feed = await fed()
    for line in stream_lines[:50]:
        await redis.xadd(STREAM_KEY, {"event": line})
    await complete(feed)
    assert seqs_of(reader) == list(range(1, 602))


@pytest.mark.parametrize("line", [b"", b"{", b"\xff", b'{"seq": 1}', pytest.param(b"[" * 100_000, id="deep")])
async def test_entries_that_are_no_events_are_skipped(fed, complete, redis, stream_lines, reader, line):
    await redis.xadd(STREAM_KEY, {"event": line})
    await redis.xadd(STREAM_KEY, {"event": stream_lines[0].replace(b'"seq":1,', b'"seq":99999999999999999999,')})
    feed = await fed()
    assert seqs_of(reader) == list(range(1, 602))
    assert feed.coverage.events == 601


async def test_a_stopped_feed_continues_after_the_last_entry_it_has(files, redis, settings, complete, journal, reader):
    for _ in range(2):
        feed = IndexFeed(files, redis, settings)
        async with feed.running():
            await complete(feed)
    assert [path.name for path in files.directory.glob("*.sqlite3")] == ["events.00000001.sqlite3"]
    assert seqs_of(reader) == list(range(1, 602))


async def test_lines_that_were_trimmed_before_they_were_read_come_from_the_journal(fed, redis, journal, reader):
    await redis.xtrim(STREAM_KEY, maxlen=10, approximate=False)
    feed = await fed()
    assert seqs_of(reader) == list(range(1, 602))
    assert feed.coverage.complete_since is None


async def test_a_gap_that_appears_while_the_feed_runs_is_filled(fed, until, redis, stream_lines, reader):
    await redis.delete(STREAM_KEY)
    for line in stream_lines[:100]:
        await redis.xadd(STREAM_KEY, {"event": line})
    await redis.hset("audit:cursors", reader_journal(stream_lines), 100)
    feed = await fed()
    assert feed.coverage.events == 100
    await redis.hset("audit:cursors", reader_journal(stream_lines), 601)
    await redis.xadd(STREAM_KEY, {"event": stream_lines[-1]})
    await until(lambda: feed.coverage.events == 601)
    assert seqs_of(reader) == list(range(1, 602))


def reader_journal(lines):
    return lines[0].split(b'"journal_id":"')[1][:36].decode()


async def test_what_neither_stream_nor_journal_has_is_reported(fed, redis, stream_lines, journal, settings, reader):
    for path in (settings.audit_dir / "tests" / "0").glob("*.log"):
        path.unlink()
    await redis.delete(STREAM_KEY)
    for line in [*stream_lines[100:200], *stream_lines[250:]]:
        await redis.xadd(STREAM_KEY, {"event": line})
    feed = await fed()
    assert feed.coverage.missing == 50
    assert feed.coverage.complete_since == next(iter(reader.each())).timestamp
    assert reader.coverage() == feed.coverage


async def test_lines_that_are_not_shipped_yet_are_not_read_from_the_journal(fed, redis, journal, reader):
    await redis.flushall()
    await fed()
    assert seqs_of(reader) == []


async def test_a_stream_with_lower_ids_is_read_from_its_beginning(fed, until, stream_lines, reader, files):
    writer = IndexWriter(files_of(files))
    writer.add([], since=LONG_AGO, position="99999999999999-0")
    writer.close()
    feed = await fed()
    await until(lambda: feed.position is not None and not feed.position.startswith("999"))
    assert seqs_of(reader) == list(range(1, 602))


def files_of(files):
    files.directory.mkdir(parents=True)
    return files.next()


@pytest.mark.parametrize("damage", ["not_a_database", "zeros_inside", "other_version"])
async def test_a_damaged_index_is_built_again(fed, files, redis, settings, complete, journal, reader, damage):
    feed = IndexFeed(files, redis, settings)
    async with feed.running():
        await complete(feed)
    path = files.newest()
    damage_file(path, damage)
    await fed()
    assert seqs_of(reader) == list(range(1, 602))
    assert [each.name for each in files.directory.glob("events.*")] != []
    assert not path.exists()


def damage_file(path, damage):
    content = bytearray(path.read_bytes())
    if damage == "not_a_database":
        content[:16] = b"x" * 16
    elif damage == "zeros_inside":
        content[4096:] = bytes(len(content) - 4096)
    else:
        content[60:64] = (99).to_bytes(4)  # the user version in the header
    path.write_bytes(content)


async def test_a_rebuild_on_request_has_the_same_events(fed, files, complete, until, journal, reader):
    feed = await fed()
    before = list(reader.each())
    files.request_rebuild()
    await until(lambda: files.newest().name == "events.00000002.sqlite3" and feed.position is not None)
    await complete(feed)
    assert list(reader.each()) == before


async def test_only_one_feed_writes_the_index(fed, files, redis, settings, journal):
    await fed()
    second = IndexFeed(files, redis, settings)
    async with second.running():
        await asyncio.sleep(0)
        assert files.claim() is None
        assert second.position is None


async def test_events_past_retention_are_removed_and_do_not_come_back(fed, journal, reader, files, settings):
    a_day = timedelta(days=1).total_seconds()
    later = datetime.now(UTC).timestamp() + settings.audit_retention_days * a_day + a_day
    feed = await fed(clock=lambda: later)
    assert seqs_of(reader) == []
    assert feed.coverage.events == 0


async def test_old_events_of_an_existing_index_are_removed(stream_lines, files, reader):
    writer = IndexWriter(files_of(files))
    writer.add(stream_lines, since=LONG_AGO)
    middle = list(reader.each())[300].timestamp
    while writer.remove_before(middle, limit=100):
        pass
    assert reader.count() == 301
    assert next(iter(reader.each())).timestamp == middle
    writer.close()


async def test_names_are_removed_with_the_last_event_that_has_them(open_one, redis, tool_call, files, reader):
    journal = await open_one(ships=True)
    for user_id in ("u_former_user", "u_present_user"):
        await journal.record(tool_call(user_id=user_id, source_address="192.0.2.7"))
    await journal.stop()
    lines = [members[b"event"] for _, members in await redis.xrange(STREAM_KEY)]
    writer = IndexWriter(files_of(files))
    writer.add(lines, since=LONG_AGO)
    (newest,) = reader.page(limit=1).events
    writer.remove_before(newest.timestamp, limit=100)
    writer.remove_unused_texts()
    writer.add(lines[-1:], since=LONG_AGO)
    assert list(reader.each()) == [newest]
    path = writer.path
    writer.close()
    assert b"u_former_user" not in path.read_bytes()
    assert b"u_present_user" in path.read_bytes()


async def test_a_failed_transaction_changes_nothing(stream_lines, files, reader):
    writer = IndexWriter(files_of(files))
    with pytest.raises(sqlite3.Error):
        writer.add(stream_lines[:10], since=LONG_AGO, position=object())  # SQLite cannot store it
    assert (writer.position, reader.count()) == ("0-0", 0)
    assert writer.add(stream_lines[5:10], since=LONG_AGO, position="5-0")
    assert (writer.position, reader.count()) == ("5-0", 5)
    writer.close()


async def test_without_an_index_the_error_says_what_to_do(reader):
    with pytest.raises(IndexUnavailable, match="try again"):
        reader.page()


async def test_killed_again_and_again_it_has_every_line_once(
    fed, files, redis_server, settings, stream_lines, redis, reader, until
):
    arguments = [sys.executable, "-c", FEED_UNTIL_KILLED, settings.audit_dir, files.directory, redis_server.url]
    waits = random.Random(7)
    for _ in range(4):
        process = await asyncio.create_subprocess_exec(*map(str, arguments))
        await until(lambda: files.newest() is not None)
        await asyncio.sleep(waits.random() / 10)
        process.kill()
        await process.wait()
        for line in stream_lines[:100]:
            await redis.xadd(STREAM_KEY, {"event": line})
    await fed()
    assert seqs_of(reader) == list(range(1, 602))
    assert len(list(files.directory.glob("*.sqlite3"))) == 1
