"""An example consumer: copies audit events from the Redis stream into a database, here SQLite.

    python audit_consumer.py redis://mcp@127.0.0.1:6379/0 events.db [--password-file FILE]

With three rules every event is in the database exactly once, however often this program or Redis is killed:

1. Acknowledge after your own commit. Events that were read and not acknowledged are delivered again.
2. Read not only new events: take over those that a killed consumer did not acknowledge (XAUTOCLAIM).
3. Make (journal_id, seq) the primary key and ignore events that are present: delivery is at least once.

Several of these programs, each with a different name, share the work as one consumer group. It needs only the package
`redis`.
"""

import argparse
import json
import signal
import socket
import sqlite3
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError, ResponseError

STREAM, GROUP = "audit:events", "example-archive"
BATCH, BLOCK_MS, ABANDONED_AFTER_MS = 200, 1000, 5000

Entries = list[tuple[bytes, dict[bytes, bytes] | None]]


def main() -> None:
    arguments = parse_arguments()
    password = arguments.password_file.read_text().strip() if arguments.password_file else None
    redis = Redis.from_url(arguments.redis, password=password, socket_timeout=10)
    database = open_database(arguments.database)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    while True:
        try:
            consume(redis, database, arguments.name)
        except KeyboardInterrupt:
            return
        except RedisError as error:
            print(f"Redis failed, trying again: {error}", flush=True)
            time.sleep(1)


def consume(redis: Redis, database: sqlite3.Connection, name: str) -> None:
    """Reads until Redis fails. A Redis that lost its data lost the group too, so each start creates it if needed."""
    create_group(redis)
    while True:
        store(redis, database, take_over_abandoned(redis, name))
        new = redis.xreadgroup(GROUP, name, {STREAM: ">"}, count=BATCH, block=BLOCK_MS)
        if new:
            ((_, entries),) = new
            store(redis, database, entries)


def create_group(redis: Redis) -> None:
    try:
        redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


def take_over_abandoned(redis: Redis, name: str) -> Entries:
    """Takes over entries that were delivered to another consumer and not acknowledged for some seconds."""
    _, entries, _ = redis.xautoclaim(STREAM, GROUP, name, ABANDONED_AFTER_MS, count=BATCH)
    return entries


def store(redis: Redis, database: sqlite3.Connection, entries: Entries) -> None:
    """Commits first and then acknowledges. An entry that was trimmed from the stream has no members."""
    if not entries:
        return
    with database:
        database.executemany(
            "INSERT OR IGNORE INTO events (journal_id, seq, line) VALUES (?, ?, ?)",
            [parse(members[b"event"]) for _, members in entries if members],
        )
    redis.xack(STREAM, GROUP, *(entry_id for entry_id, _ in entries))


def parse(line: bytes) -> tuple[str, int, str]:
    event = json.loads(line)
    return event["journal_id"], event["seq"], line.decode()


def open_database(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=30)
    with database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS events (journal_id TEXT, seq INTEGER, line TEXT, PRIMARY KEY (journal_id, seq))"
        )
    return database


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("redis", help="redis://user@host:port/0")
    parser.add_argument("database", type=Path)
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--name", default=socket.gethostname(), help="the name of this consumer in the group")
    return parser.parse_args()


if __name__ == "__main__":
    main()
