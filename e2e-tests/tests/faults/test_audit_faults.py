"""No acknowledged event is lost or duplicated, and each journal stays in order, whatever is killed, cut or restored.

`make test` kills three times, `make test-deep` twenty. `pytest -o log_cli=true --log-cli-level=info` shows
the counts; those of a deep run are in docs/reliability.md.
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
from local_stack.faults.trail_check import Comparison, acknowledged, compare, journal_lines, stream_lines
from local_stack.ports import free_ports
from local_stack.processes import Child
from local_stack.redis_server import RedisServer

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
KILLS = [pytest.param(3, id="3-kills"), pytest.param(20, id="20-kills", marks=pytest.mark.deep)]


def eventually(condition: Callable[[], bool]) -> None:
    """Waits for a condition in another process."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"the condition was not met within {PATIENCE_SECONDS:.0f} s"
        time.sleep(0.02)


FULL_BYTES = 100_000

FULL_DISK_PROGRAM = """
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
class AuditSetup:
    """The journal directory, Redis, and the recording processes."""

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

    def wait_for_events(self, events: int | None = None) -> None:
        """Returns after this number of events was acknowledged; by default a random number."""
        wanted = self.acked() + (events or self.random.randint(100, 400))
        eventually(lambda: self.acked() >= wanted)

    def acked(self) -> int:
        """The number of acknowledged events."""
        acks = self.acks.read_bytes() if self.acks.exists() else b""
        return acks.count(b"\n") - acks.count(b"refused\n")

    def shipped(self) -> int:
        with self.client() as redis:
            return redis.xlen("audit:events")

    def sizes(self) -> list[int]:
        """The size of each journal file in bytes."""
        return [path.stat().st_size for path in self.journals.glob("load/0/*.log")]

    def refusals(self) -> int:
        return self.acks.read_text(encoding="ascii").count("refused")

    def stop_and_compare(self) -> Comparison:
        """Stops the load, ships everything with a process that records nothing, and compares."""
        for writer in self.writers:
            writer.stop(10)
        before = len(journal_lines(self.journals))
        last = self.start_writer(emitters=0)
        # It records that it opened the journal, so everything is shipped only after that line.
        eventually(lambda: len(journal_lines(self.journals)) > before and self._everything_is_shipped())
        last.stop(10)
        with self.client() as redis:
            found = compare(self.journals, self.acks, redis)
        logger.info("%s", found)
        return found

    def _everything_is_shipped(self) -> bool:
        try:
            with self.client() as redis:
                return set(stream_lines(redis)) >= set(journal_lines(self.journals))
        except RedisError:
            return False


@pytest.fixture
def audit_setup(tmp_path):
    with ExitStack() as resources:
        (port,) = free_ports(1)
        redis = resources.enter_context(RedisServer(tmp_path / "redis", port))
        proxy = resources.enter_context(FlakyProxy(port))
        audit_setup = AuditSetup(tmp_path, redis, proxy)
        yield audit_setup
        for writer in audit_setup.writers:
            writer.kill()


@pytest.mark.parametrize("kills", KILLS)
def test_the_recording_process_is_killed(audit_setup, kills):
    for _ in range(kills):
        writer = audit_setup.start_writer()
        audit_setup.wait_for_events()
        writer.kill()
    assert audit_setup.stop_and_compare().is_complete


@pytest.mark.parametrize("kills", KILLS)
def test_redis_is_killed(audit_setup, kills):
    audit_setup.start_writer()
    for _ in range(kills):
        audit_setup.wait_for_events()
        audit_setup.redis.kill()
        audit_setup.wait_for_events()
        audit_setup.redis.start()
    assert audit_setup.stop_and_compare().is_complete


@pytest.mark.parametrize("kills", KILLS)
def test_both_are_killed_in_any_order(audit_setup, kills):
    for _ in range(kills):
        writer = audit_setup.start_writer()
        audit_setup.wait_for_events()
        for victim in audit_setup.random.sample([writer, audit_setup.redis], 2):
            victim.kill()
        audit_setup.redis.start()
    assert audit_setup.stop_and_compare().is_complete


@pytest.mark.parametrize("kills", KILLS)
def test_redis_is_restarted_with_an_older_file(audit_setup, kills):
    redis, older = audit_setup.redis, audit_setup.root / "older"
    audit_setup.start_writer()
    for _ in range(kills):
        audit_setup.wait_for_events()
        redis.kill()
        shutil.copytree(redis.directory, older, dirs_exist_ok=False)
        redis.start()
        copied = audit_setup.shipped()
        audit_setup.wait_for_events()
        eventually(lambda copied=copied: audit_setup.shipped() > copied)
        redis.kill()
        shutil.rmtree(redis.directory)
        older.rename(redis.directory)
        redis.start()
    assert audit_setup.stop_and_compare().is_complete


@pytest.mark.parametrize("kills", KILLS)
def test_replies_of_redis_are_lost(audit_setup, kills):
    audit_setup.proxy.cut_share = 0.3
    audit_setup.start_writer()
    eventually(lambda: audit_setup.proxy.cuts >= kills)
    audit_setup.wait_for_events()
    audit_setup.proxy.cut_share = 0.0
    assert audit_setup.stop_and_compare().is_complete


@pytest.mark.parametrize("command", ["FLUSHALL", "DEL audit:events", "DEL audit:cursors audit:events"])
def test_redis_is_flushed(audit_setup, command):
    audit_setup.start_writer()
    audit_setup.wait_for_events()
    eventually(lambda: audit_setup.shipped() > 0)
    with audit_setup.client() as redis:
        redis.execute_command(*command.split())
    audit_setup.wait_for_events()
    assert audit_setup.stop_and_compare().is_complete


def test_a_lagging_replica_takes_over(audit_setup):
    (port,) = free_ports(1)
    with RedisServer(audit_setup.root / "replica", port) as replica, Redis(port=port) as lagging:
        audit_setup.start_writer()
        lagging.replicaof("127.0.0.1", audit_setup.redis.port)
        eventually(lambda: lagging.xlen("audit:events") > 100)
        lagging.replicaof("NO", "ONE")
        audit_setup.wait_for_events(1000)
        eventually(lambda: audit_setup.shipped() > lagging.xlen("audit:events"))
        audit_setup.redis.kill()
        audit_setup.proxy.redirect_to(port)
        audit_setup.wait_for_events()
        audit_setup.redis = replica
        assert audit_setup.stop_and_compare().is_complete


def test_a_removed_replica_leaves_unshipped_events(audit_setup):
    audit_setup.redis.kill()
    writers = [audit_setup.start_writer() for _ in range(3)]
    eventually(lambda: len({journal for journal, _ in acknowledged(audit_setup.acks)}) == 3)
    audit_setup.wait_for_events(1000)
    for writer in writers:
        writer.kill()
    audit_setup.redis.start()
    found = audit_setup.stop_and_compare()
    assert found.is_complete
    assert len({journal for journal, _ in journal_lines(audit_setup.journals)}) == 3


def test_the_disk_is_full_and_later_has_space_again(audit_setup):
    """A limit on the file size has the same effect as a full disk, and needs no permission to mount."""
    writer = audit_setup.start_writer()
    audit_setup.wait_for_events(50)
    resource.prlimit(writer.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))
    allowed = max(FULL_BYTES, *audit_setup.sizes())  # a fast writer may already be above the limit
    eventually(lambda: audit_setup.refusals() > 100)
    full = audit_setup.acked()
    assert max(audit_setup.sizes()) <= allowed
    resource.prlimit(writer.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    audit_setup.wait_for_events(200)
    found = audit_setup.stop_and_compare()
    assert found.is_complete
    assert found.acknowledged >= full + 200
    assert not list(audit_setup.journals.glob("load/*/*.torn"))


@pytest.mark.parametrize("quiet", [True, False], ids=["quiet", "under load"])
def test_the_journal_continues_by_itself_after_a_full_disk(tmp_path, quiet):
    """Readiness keeps all requests away while the journal cannot be written, so it has to try by itself."""
    program = subprocess.run(
        [sys.executable, "-c", FULL_DISK_PROGRAM, str(tmp_path), str(int(quiet))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert program.stdout.split() == ["refused", "unwritable", "writable", "recorded"], program.stderr
