"""The consumer of deploy/examples stores every event once, even if it is killed."""

import os
import random
import sqlite3
import sys
import time
from pathlib import Path

import pytest
from redis import Redis

from local_stack.faults.trail_check import stream_lines
from local_stack.ports import free_ports
from local_stack.processes import Child
from local_stack.redis_server import RedisServer

EXAMPLE = Path(__file__).parents[3] / "deploy" / "examples" / "audit_consumer.py"
PATIENCE_SECONDS = 60.0


def eventually(condition) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def redis_server(tmp_path):
    (port,) = free_ports(1)
    with RedisServer(tmp_path / "redis", port) as server:
        yield server


@pytest.fixture
def start_consumer(tmp_path, redis_server):
    """Starts a consumer that takes over abandoned entries at once."""
    started = []
    program = EXAMPLE.read_text().replace("ABANDONED_AFTER_MS = 200, 1000, 5000", "ABANDONED_AFTER_MS = 20, 100, 200")
    assert "20, 100, 200" in program
    (tmp_path / "consumer.py").write_text(program)

    def start(name: str) -> Child:
        command = [sys.executable, str(tmp_path / "consumer.py"), redis_server.url, str(tmp_path / "events.db")]
        child = Child(name, [*command, "--name", name], environment=os.environ, log=tmp_path / "consumer.log")
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()


def stored(path: Path) -> list[tuple[str, int]]:
    if not path.exists():
        return []
    database = sqlite3.connect(path, timeout=30)
    try:
        return database.execute("SELECT journal_id, seq FROM events").fetchall()
    except sqlite3.OperationalError:
        return []  # the table is about to be made
    finally:
        database.close()


@pytest.mark.parametrize("kills", [pytest.param(3), pytest.param(20, marks=pytest.mark.deep)])
def test_every_event_is_stored_once_although_consumers_are_killed(tmp_path, redis_server, start_consumer, kills):
    chance = random.Random(20261123)
    database = tmp_path / "events.db"
    consumers = [start_consumer("one"), start_consumer("two")]
    with Redis(port=redis_server.port) as redis:
        seq = 0
        for _ in range(kills):
            for _ in range(400):
                seq += 1
                redis.xadd("audit:events", {"event": f'{{"journal_id":"j","seq":{seq}}}'})
            wanted = min(seq, len(stored(database)) + chance.randint(1, 200))
            eventually(lambda wanted=wanted: len(stored(database)) >= wanted)
            victim = chance.randrange(2)
            consumers[victim].kill()
            consumers[victim] = start_consumer(f"successor-{seq}-{victim}")
        eventually(lambda: len(stored(database)) == seq)
        eventually(lambda: redis.xpending("audit:events", "example-archive")["pending"] == 0)
        assert sorted(stored(database)) == sorted(stream_lines(redis))


def test_no_event_is_lost_when_redis_is_flushed(tmp_path, redis_server, start_consumer):
    database = tmp_path / "events.db"
    start_consumer("one")
    with Redis(port=redis_server.port) as redis:
        for seqs in (range(1, 51), range(1, 101)):
            for seq in seqs:
                redis.xadd("audit:events", {"event": f'{{"journal_id":"j","seq":{seq}}}'})
            eventually(lambda seqs=seqs: len(stored(database)) == seqs[-1])
            redis.flushall()
