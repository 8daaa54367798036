"""Nothing acknowledged is lost, nothing is doubled, each journal stays in order: whatever is killed, cut or restored.

`make test` kills three times, `make test-deep` twenty. `pytest -o log_cli=true --log-cli-level=info` shows
the counts; those of a deep run stand in docs/reliability.md.
"""

import logging
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from redis import Redis
from redis.exceptions import RedisError

from local_stack.faults.flaky_proxy import FlakyProxy
from local_stack.faults.trail_check import Comparison, acknowledged, compare, journal_places, stream_places
from local_stack.ports import free_ports
from local_stack.processes import Child
from local_stack.redis_server import RedisServer

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
KILLS = [pytest.param(3, id="3-kills"), pytest.param(20, id="20-kills", marks=pytest.mark.deep)]


def eventually(holds: Callable[[], bool]) -> None:
    """Waits for a condition in another process."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS:.0f} s in vain"
        time.sleep(0.02)


FULL_BYTES = 100_000

HEALING = """
import asyncio, resource, sys
from pathlib import Path
from security_common.audit import AuditEvent, JournalUnavailable, Outcome, open_journal
from security_common.settings import SecuritySettings

EVENT = AuditEvent(event_type="tool_call", action_taken="executed", outcome=Outcome.SUCCESS)

async def main(directory, quiet):
    journal = open_journal(service="tests", settings=SecuritySettings(audit_dir=directory), redis=None)
    await journal.start()
    size = (directory / "tests" / "0" / "security_audit.log").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, resource.RLIM_INFINITY))
    try:
        await journal.record(EVENT)
    except JournalUnavailable:
        print("refused")
    print("writable" if journal.writable else "unwritable")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    while quiet and not journal.writable:
        await asyncio.sleep(0.01)
    if not quiet:
        await journal.record(EVENT)
    print("writable" if journal.writable else "unwritable")
    await journal.record(EVENT)
    print("recorded")
    await journal.stop()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2] == "1"))
"""


@dataclass
class Field:
    """The journal folder, Redis, and the processes that record."""

    root: Path
    redis: RedisServer
    proxy: FlakyProxy
    random: Random = field(default_factory=lambda: Random(20261123))
    writers: list[Child] = field(default_factory=list)

    @property
    def journals(self) -> Path:
        return self.root / "audit"

    @property
    def acks(self) -> Path:
        return self.root / "acks"

    def client(self) -> Redis:
        return Redis(port=self.redis.port)

    def start_writer(self, emitters: int = 20) -> Child:
        command = [sys.executable, "-m", "local_stack.faults.audit_load", str(self.journals)]
        command += [f"redis://127.0.0.1:{self.proxy.port}/0", str(self.acks), str(emitters)]
        writer = Child("writer", command, environment=os.environ, log=self.root / "writer.log")
        self.writers.append(writer)
        return writer

    def let_it_record(self, events: int | None = None) -> None:
        """Returns after some more events were acknowledged: a random number of them unless one is given."""
        wanted = self.acked() + (events or self.random.randint(100, 400))
        eventually(lambda: self.acked() >= wanted)

    def acked(self) -> int:
        """How many events were acknowledged, without reading what they are."""
        told = self.acks.read_bytes() if self.acks.exists() else b""
        return told.count(b"\n") - told.count(b"refused\n")

    def shipped(self) -> int:
        with self.client() as redis:
            return redis.xlen("audit:events")

    def sizes(self) -> list[int]:
        """How long each of the journal's files is, in bytes."""
        return [path.stat().st_size for path in self.journals.glob("load/0/*.log")]

    def refusals(self) -> int:
        return self.acks.read_text(encoding="ascii").count("refused")

    def settle(self) -> Comparison:
        """Stops the load and lets one quiet process bring everything to the stream."""
        for writer in self.writers:
            writer.stop(10)
        before = len(journal_places(self.journals))
        last = self.start_writer(emitters=0)
        # It records that it opened the journal: what is shipped before that line is not everything.
        eventually(lambda: len(journal_places(self.journals)) > before and self._everything_is_shipped())
        last.stop(10)
        with self.client() as redis:
            found = compare(self.journals, self.acks, redis)
        logger.info("%s", found)
        return found

    def _everything_is_shipped(self) -> bool:
        try:
            with self.client() as redis:
                return set(stream_places(redis)) >= set(journal_places(self.journals))
        except RedisError:
            return False


@pytest.fixture
def battlefield(tmp_path):
    with ExitStack() as resources:
        (port,) = free_ports(1)
        redis = resources.enter_context(RedisServer(tmp_path / "redis", port))
        proxy = resources.enter_context(FlakyProxy(port))
        field = Field(tmp_path, redis, proxy)
        yield field
        for writer in field.writers:
            writer.kill()


@pytest.mark.parametrize("kills", KILLS)
def test_the_recording_process_is_killed(battlefield, kills):
    for _ in range(kills):
        writer = battlefield.start_writer()
        battlefield.let_it_record()
        writer.kill()
    assert battlefield.settle().whole


@pytest.mark.parametrize("kills", KILLS)
def test_redis_is_killed(battlefield, kills):
    battlefield.start_writer()
    for _ in range(kills):
        battlefield.let_it_record()
        battlefield.redis.kill()
        battlefield.let_it_record()
        battlefield.redis.start()
    assert battlefield.settle().whole


@pytest.mark.parametrize("kills", KILLS)
def test_both_are_killed_in_any_order(battlefield, kills):
    for _ in range(kills):
        writer = battlefield.start_writer()
        battlefield.let_it_record()
        for victim in battlefield.random.sample([writer, battlefield.redis], 2):
            victim.kill()
        battlefield.redis.start()
    assert battlefield.settle().whole


@pytest.mark.parametrize("kills", KILLS)
def test_redis_comes_back_with_an_older_file(battlefield, kills):
    redis, older = battlefield.redis, battlefield.root / "older"
    battlefield.start_writer()
    for _ in range(kills):
        battlefield.let_it_record()
        redis.kill()
        shutil.copytree(redis.directory, older, dirs_exist_ok=False)
        redis.start()
        copied = battlefield.shipped()
        battlefield.let_it_record()
        eventually(lambda copied=copied: battlefield.shipped() > copied)
        redis.kill()
        shutil.rmtree(redis.directory)
        older.rename(redis.directory)
        redis.start()
    assert battlefield.settle().whole


@pytest.mark.parametrize("kills", KILLS)
def test_answers_are_lost_on_the_way(battlefield, kills):
    battlefield.proxy.cut_share = 0.3
    battlefield.start_writer()
    eventually(lambda: battlefield.proxy.cuts >= kills)
    battlefield.let_it_record()
    battlefield.proxy.cut_share = 0.0
    assert battlefield.settle().whole


@pytest.mark.parametrize("command", ["FLUSHALL", "DEL audit:events", "DEL audit:cursors audit:events"])
def test_redis_is_flushed(battlefield, command):
    battlefield.start_writer()
    battlefield.let_it_record()
    eventually(lambda: battlefield.shipped() > 0)
    with battlefield.client() as redis:
        redis.execute_command(*command.split())
    battlefield.let_it_record()
    assert battlefield.settle().whole


def test_a_replica_that_lagged_takes_over(battlefield):
    (port,) = free_ports(1)
    with RedisServer(battlefield.root / "replica", port) as replica, Redis(port=port) as lagging:
        battlefield.start_writer()
        lagging.replicaof("127.0.0.1", battlefield.redis.port)
        eventually(lambda: lagging.xlen("audit:events") > 100)
        lagging.replicaof("NO", "ONE")
        battlefield.let_it_record(1000)
        eventually(lambda: battlefield.shipped() > lagging.xlen("audit:events"))
        battlefield.redis.kill()
        battlefield.proxy.lead_to(port)
        battlefield.let_it_record()
        battlefield.redis = replica
        assert battlefield.settle().whole


def test_a_removed_replica_leaves_unshipped_events(battlefield):
    battlefield.redis.kill()
    writers = [battlefield.start_writer() for _ in range(3)]
    eventually(lambda: len({journal for journal, _ in acknowledged(battlefield.acks)}) == 3)
    battlefield.let_it_record(1000)
    for writer in writers:
        writer.kill()
    battlefield.redis.start()
    found = battlefield.settle()
    assert found.whole
    assert len({journal for journal, _ in journal_places(battlefield.journals)}) == 3


def test_the_disk_is_full_and_then_is_not(battlefield):
    """A file-size limit stands for the disk: the write is cut short in the same way, and needs no right to mount."""
    writer = battlefield.start_writer()
    battlefield.let_it_record(50)
    resource.prlimit(writer.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))
    allowed = max(FULL_BYTES, *battlefield.sizes())  # a fast writer may be beyond the limit already
    eventually(lambda: battlefield.refusals() > 100)
    full = battlefield.acked()
    assert max(battlefield.sizes()) <= allowed
    resource.prlimit(writer.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    battlefield.let_it_record(200)
    found = battlefield.settle()
    assert found.whole
    assert found.acknowledged >= full + 200
    assert not list(battlefield.journals.glob("load/*/*.torn"))


@pytest.mark.parametrize("quiet", [True, False], ids=["quiet", "under load"])
def test_a_full_disk_heals_by_itself(tmp_path, quiet):
    """Readiness turns the traffic away while the journal cannot write, so it has to find out without any."""
    told = subprocess.run(
        [sys.executable, "-c", HEALING, str(tmp_path), str(int(quiet))], capture_output=True, text=True, check=False
    )
    assert told.stdout.split() == ["refused", "unwritable", "writable", "recorded"], told.stderr
