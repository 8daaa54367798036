"""Recovery after a crash, and behaviour with a failing disk."""

import asyncio
import errno
import hmac
import json
import os
import stat
import threading
from dataclasses import replace

import pytest

from security_common.audit import AuditEvent, JournalUnavailable, Outcome, group_commit, open_journal
from security_common.audit.chain_key import ChainKeyInvalid, read_or_create_chain_key
from security_common.audit.journal_line import ChainHead, draft_line, seal_line
from security_common.audit.journal_slot import MAX_BATCH_EVENTS, READ_BYTES, Slot, recover

pytestmark = pytest.mark.anyio

EVENT = AuditEvent(event_type="tool_call", action_taken="executed", outcome=Outcome.SUCCESS)


def live_file(settings):
    return settings.audit_dir / "tests" / "0" / "security_audit.log"


def starts(settings) -> list[tuple[str, str]]:
    """Journal id and action of each recorded start."""
    files = sorted(live_file(settings).parent.glob("security_audit.*log"))
    lines = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    return [(line["journal_id"], line["action_taken"]) for line in lines if line["event_type"] == "journal_opened"]


async def test_an_incomplete_last_line_is_set_aside(open_one, settings):
    journal = await open_one()
    receipts = [await journal.record(EVENT) for _ in range(3)]
    await journal.stop()
    whole = live_file(settings).read_bytes()
    last_line = whole.splitlines(keepends=True)[-1]
    key = read_or_create_chain_key(settings, service="tests")
    slot = Slot.claim(settings.audit_dir / "tests")
    for kept in range(len(last_line)):
        live_file(settings).write_bytes(whole[: len(whole) - len(last_line) + kept])
        found = recover(slot, key)
        assert found.head is not None
        assert (found.head.seq, found.torn_bytes) == (receipts[-2].seq, kept)
        assert live_file(settings).read_bytes() == whole[: -len(last_line)]
        for torn in slot.directory.glob("*.torn"):
            assert torn.read_bytes() == last_line[:kept]
            torn.unlink()
    slot.release()


async def test_events_of_one_turn_of_the_event_loop_share_a_sync(open_one, settings, monkeypatch):
    journal = await open_one()
    synced, sync = [], os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (synced.append(descriptor), sync(descriptor)))
    receipts = await asyncio.gather(*(journal.record(EVENT) for _ in range(50)))
    assert [receipt.seq for receipt in receipts] == list(range(receipts[0].seq, receipts[0].seq + 50))
    assert len(synced) <= 2


async def test_a_start_after_a_crash_is_recorded_as_recovered(open_one, settings):
    journal = await open_one()
    await journal.record(EVENT)
    await journal.stop()
    with live_file(settings).open("ab") as file:
        file.write(b'{"action_taken":"exec')
    journal = await open_one()
    assert (await journal.record(EVENT)).seq == 4
    assert [action for _, action in starts(settings)] == ["opened", "recovered"]


@pytest.mark.parametrize("garbage", [b"\0" * 5000, b"{}\n" * 3, b"\xff\n\n\n", b'{"seq":9}\n{"se'])
async def test_invalid_bytes_after_the_last_line_are_set_aside(open_one, settings, garbage):
    journal = await open_one()
    await journal.stop()
    with live_file(settings).open("ab") as file:
        file.write(garbage)
    journal = await open_one()
    assert (await journal.record(EVENT)).seq == 3
    assert [path.read_bytes() for path in live_file(settings).parent.glob("*.torn")] == [garbage]


def lose_the_second_half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def lose_every_page(data: bytes) -> bytes:
    return b"\0" * len(data)


def lose_every_second_page(data: bytes) -> bytes:
    pages = [data[start : start + 4096] for start in range(0, len(data), 4096)]
    return b"".join(page if number % 2 else b"\0" * len(page) for number, page in enumerate(pages))


@pytest.mark.parametrize("lose", [lose_the_second_half, lose_every_page, lose_every_second_page])
async def test_a_crash_in_the_largest_group_commit_loses_no_earlier_event(open_one, settings, lose):
    long_text = "\x01" * 512  # each character takes six bytes in JSON
    long_event = replace(EVENT, tool_name=long_text, user_id=long_text, client_id=long_text, issuer=long_text)
    journal = await open_one()
    receipts = [await journal.record(EVENT) for _ in range(3)]
    acknowledged = live_file(settings).read_bytes()
    await asyncio.gather(*(journal.record(long_event) for _ in range(MAX_BATCH_EVENTS)))
    await journal.stop()
    last_commit = live_file(settings).read_bytes()[len(acknowledged) :]
    assert len(last_commit) > READ_BYTES
    live_file(settings).write_bytes(acknowledged + lose(last_commit))
    journal = await open_one()
    receipt = await journal.record(EVENT)
    assert receipt.journal_id == receipts[0].journal_id
    assert [action for _, action in starts(settings)] == ["opened", "recovered"]
    lines = live_file(settings).read_bytes()
    assert lines.startswith(acknowledged)
    assert [json.loads(line)["seq"] for line in lines.splitlines()] == list(range(1, receipt.seq + 1))


@pytest.mark.parametrize("bytes_after_border", [0, 1, 2, 100])
def test_a_line_that_two_parts_of_the_file_share_is_found(tmp_path, bytes_after_border):
    slot = Slot.claim(tmp_path)
    key = b"k" * 32
    line, head = seal_line(
        draft_line(EVENT, service="tests", time_ns=0, event_id="e"), ChainHead("j"), hmac.new(key, digestmod="sha256")
    )
    lost = b"\0" * (READ_BYTES - bytes_after_border)
    slot.live_path.write_bytes(line + b"\n" + lost)
    found = recover(slot, key)
    slot.release()
    assert (found.head, found.live_bytes, found.torn_bytes) == (head, len(line) + 1, len(lost))


async def test_a_changed_line_followed_by_valid_ones_is_kept_as_evidence(open_one, settings):
    journal = await open_one()
    for _ in range(3):
        await journal.record(EVENT)
    await journal.stop()
    lines = live_file(settings).read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"executed", b"rejected")
    live_file(settings).write_bytes(b"".join(lines))
    journal = await open_one()
    assert (await journal.record(EVENT)).seq == 6
    assert live_file(settings).read_bytes().startswith(b"".join(lines))


async def test_a_journal_continues_across_segments(open_one, settings):
    small = settings.model_copy(update={"audit_segment_bytes": 4096})
    journal = await open_one(settings=small)
    for _ in range(30):
        await journal.record(EVENT)
    await journal.stop()
    again = await open_one(settings=small)
    assert (await again.record(EVENT)).seq == 33
    files = [*sorted(live_file(settings).parent.glob("security_audit.0*.log")), live_file(settings)]
    assert len(files) > 3
    assert [json.loads(line)["seq"] for file in files for line in file.read_bytes().splitlines()] == list(range(1, 34))


async def test_a_start_after_a_crash_between_two_segments_continues(open_one, settings):
    journal = await open_one()
    await journal.stop()
    live_file(settings).rename(live_file(settings).with_name("security_audit.00000001.log"))
    journal = await open_one()
    assert (await journal.record(EVENT)).seq == 3


async def test_after_a_failed_sync_every_event_is_refused(open_one, monkeypatch):
    journal = await open_one()
    synced = []

    def fail(descriptor: int) -> None:
        synced.append(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fail)
    for _ in range(3):
        with pytest.raises(JournalUnavailable):
            await journal.record(EVENT)
    assert not journal.writable
    assert len(synced) == 1


async def test_a_journal_needs_no_fdatasync(open_one, monkeypatch):
    monkeypatch.delattr(os, "fdatasync")
    journal = await open_one()
    assert (await journal.record(EVENT)).seq == 2


class UnexpectedExit(BaseException):
    """An exception that is not an `Exception`."""


@pytest.mark.parametrize("error", [AttributeError, MemoryError, UnexpectedExit])
async def test_an_unexpected_error_of_the_writer_thread_refuses_every_event(open_one, monkeypatch, error):
    journal = await open_one()

    def fail(_descriptor: int) -> None:
        raise error

    monkeypatch.setattr(group_commit, "sync_descriptor", fail)
    results = await asyncio.gather(*(journal.record(EVENT) for _ in range(3)), return_exceptions=True)
    assert {type(result) for result in results} == {JournalUnavailable}
    with pytest.raises(JournalUnavailable):
        await journal.record(EVENT)
    with pytest.raises(JournalUnavailable):
        await asyncio.to_thread(journal.record_blocking, EVENT)
    assert not journal.writable


async def test_a_start_ends_if_the_writer_thread_fails(settings, monkeypatch):
    def fail(_descriptor: int) -> None:
        raise AttributeError

    monkeypatch.setattr(group_commit, "sync_descriptor", fail)
    journal = open_journal(service="tests", settings=settings, redis=None)
    with pytest.raises(JournalUnavailable):
        await journal.start()
    await journal.stop()


@pytest.mark.parametrize("step", ["_take_queued", "_commit"])
async def test_an_unexpected_error_in_any_step_answers_the_collected_events(open_one, monkeypatch, step):
    journal = await open_one()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(group_commit.GroupCommit, step, fail)
    with pytest.raises(JournalUnavailable):
        await journal.record(EVENT)
    monkeypatch.undo()


async def test_waiting_events_are_refused_if_the_disk_hangs(open_one, monkeypatch):
    journal = await open_one()
    may_sync = threading.Event()
    sync = os.fdatasync
    monkeypatch.setattr(group_commit, "COMMIT_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (may_sync.wait(), sync(descriptor)))
    results = await asyncio.gather(*(journal.record(EVENT) for _ in range(1000)), return_exceptions=True)
    assert {type(result) for result in results} == {JournalUnavailable}
    assert not journal.writable
    may_sync.set()
    while not journal.writable:  # noqa: ASYNC110  # the journal checks its disk by itself
        await asyncio.sleep(0.01)
    assert (await journal.record(EVENT)).seq > 1


async def test_a_failed_write_leaves_no_incomplete_line(open_one, settings, monkeypatch):
    journal = await open_one()
    before = live_file(settings).read_bytes()
    write, calls = os.write, []

    def write_half_then_fail(descriptor: int, data) -> int:
        calls.append(descriptor)
        if len(calls) == 1:
            return write(descriptor, bytes(data)[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write_half_then_fail)
    with pytest.raises(JournalUnavailable):
        await journal.record(EVENT)
    assert live_file(settings).read_bytes() == before
    monkeypatch.setattr(os, "write", write)
    assert (await journal.record(EVENT)).seq >= 2


async def test_only_the_owner_may_read_the_journal(open_one, settings):
    await open_one()
    assert stat.S_IMODE(live_file(settings).stat().st_mode) == 0o600
    assert stat.S_IMODE(live_file(settings).parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((settings.audit_dir / "tests" / "chain_key").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "short", "not base64 !" * 9, "A" * 43 + "!?", "\xff"])
def test_an_invalid_chain_key_is_refused(settings, tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ChainKeyInvalid):
        open_journal(service="tests", settings=settings.model_copy(update={"audit_chain_key_file": path}), redis=None)


def test_the_symbolic_link_points_to_slot_0(settings, tmp_path):
    from security_common.audit import link_audit_log

    for _ in range(2):
        link_audit_log(settings, service="tests", link=tmp_path / "logs" / "security_audit.log")
    assert (tmp_path / "logs" / "security_audit.log").readlink() == live_file(settings).absolute()
