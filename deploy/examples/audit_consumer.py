"""An example of a consumer: brings audit events from the stream into a database of yours, here SQLite.

    python audit_consumer.py redis://mcp@127.0.0.1:6379/0 events.db [--password-file FILE]

Three rules keep every event once in the database, however often this program or Redis dies:

1. Acknowledge after your own commit. What was read and not acknowledged is delivered again.
2. Take over what a consumer that died has left (XAUTOCLAIM), not only what is new.
3. Let (journal_id, seq) be the primary key, and ignore what is there already: delivery is at least once.

Run as many as you like with different names; the group shares the work. Needs the packages `redis` and nothing else.
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
            print(f"Redis: {error}; trying again", flush=True)
            time.sleep(1)


def consume(redis: Redis, database: sqlite3.Connection, name: str) -> None:
    """Reads until something fails. A flushed Redis has lost the group too, so it is made anew on every way in."""
    make_group(redis)
    while True:
        store(redis, database, abandoned(redis, name))
        for _, entries in redis.xreadgroup(GROUP, name, {STREAM: ">"}, count=BATCH, block=BLOCK_MS) or ():
            store(redis, database, entries)


def make_group(redis: Redis) -> None:
    try:
        redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


def abandoned(redis: Redis, name: str) -> Entries:
    """Takes over entries that were delivered to somebody and not acknowledged for a while."""
    _, entries, _ = redis.xautoclaim(STREAM, GROUP, name, ABANDONED_AFTER_MS, count=BATCH)
    return entries


def store(redis: Redis, database: sqlite3.Connection, entries: Entries) -> None:
    """Commits first and acknowledges then. An entry that the stream no longer holds comes without members."""
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
    parser.add_argument("--name", default=socket.gethostname(), help="this consumer's name within the group")
    return parser.parse_args()


if __name__ == "__main__":
    main()
