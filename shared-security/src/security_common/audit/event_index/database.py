"""The files of the index, its tables, and the connections to it.

$SECURITY_AUDIT_DIR/<service>/index/
events.00000001.sqlite3   the index; beside it, while it is in use, the files -wal and -shm of SQLite
lock                      locked by the process that writes the index
rebuild                   a request to build the index again

A new index has the next number and replaces the former one, so the files of two indexes are never mixed. Texts that
occur often are stored once, in `names`, and events refer to them by number. `descriptions` does the same for everything
of an event that reports count. The rows of `events` are therefore small: reports read them without the lines.
"""

import fcntl
import os
import re
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from security_common.errors import SecurityError
from security_common.private_files import make_private_directory
from security_common.settings import SecuritySettings

__all__ = [
    "INDEX_FOLDER",
    "IndexFiles",
    "IndexUnavailable",
    "index_files",
    "is_damage",
    "open_for_reading",
    "open_for_writing",
    "reading",
]

INDEX_FOLDER = "index"
"""The name of the folder of an index, in the audit folder of its service."""

SCHEMA_VERSION = 1

CACHE_KIB = 8 * 1024
"""The memory that SQLite may use for pages, for each connection."""

BUSY_SECONDS = 5.0

_SCHEMA = f"""
BEGIN;
CREATE TABLE names (id INTEGER PRIMARY KEY, text BLOB NOT NULL UNIQUE);
CREATE TABLE descriptions (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,  -- microseconds since the epoch
    journal INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    description INTEGER NOT NULL,
    event_type INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    user_id INTEGER,
    issuer INTEGER,
    client_id INTEGER,
    tool_name INTEGER,
    source_address INTEGER,
    subject_reference INTEGER
);
CREATE TABLE lines (id INTEGER PRIMARY KEY, line BLOB NOT NULL);
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE UNIQUE INDEX events_by_line ON events (journal, seq);
CREATE INDEX events_by_time ON events (time);
CREATE INDEX events_by_event_type ON events (event_type, time);
CREATE INDEX events_by_outcome ON events (outcome, time);
CREATE INDEX events_by_user_id ON events (user_id, time);
CREATE INDEX events_by_client_id ON events (client_id, time);
CREATE INDEX events_by_tool_name ON events (tool_name, time);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""

_INDEX_NAME = re.compile(r"events\.(\d{8})\.sqlite3")


class IndexUnavailable(SecurityError):
    """There is no index yet, or it cannot be read."""

    error = "temporarily_unavailable"


class IndexFiles:
    """The files of one index. Nothing is created before `claim`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._request = directory / "rebuild"

    def newest(self) -> Path | None:
        """The path of the index; None if there is none."""
        return max(self._indexes(), default=None)

    def next(self) -> Path:
        """The path of an index that replaces the present one."""
        newest = self.newest()
        match = _INDEX_NAME.fullmatch(newest.name) if newest else None
        number = int(match[1]) + 1 if match else 1
        return self.directory / f"events.{number:08d}.sqlite3"

    def remove_all_but(self, path: Path) -> None:
        """Removes every other index with its files."""
        for former in self._indexes():
            if former != path:
                for suffix in ("", "-wal", "-shm"):
                    former.with_name(former.name + suffix).unlink(missing_ok=True)

    def claim(self) -> int | None:
        """Locks the index for writing and returns the file descriptor; None if another process has the lock."""
        make_private_directory(self.directory)
        lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def request_rebuild(self) -> None:
        """Requests that the process that writes the index builds it again. Raises OSError."""
        self._request.touch(mode=0o600)

    def take_rebuild_request(self) -> bool:
        """Whether a rebuild was requested; the request is removed."""
        try:
            self._request.unlink()
        except FileNotFoundError:
            return False
        return True

    def _indexes(self) -> list[Path]:
        if not self.directory.is_dir():
            return []
        return [path for path in self.directory.iterdir() if _INDEX_NAME.fullmatch(path.name)]


def index_files(settings: SecuritySettings, *, service: str) -> IndexFiles:
    """The files of the index of this service: below SECURITY_AUDIT_INDEX_DIR, or beside its journals."""
    return IndexFiles((settings.audit_index_dir or settings.audit_dir) / service / INDEX_FOLDER)


class OtherSchema(sqlite3.DatabaseError):
    """The index was written by another release."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Opens an index, and creates it if it does not exist. The caller has the lock.

    Raises sqlite3.Error; OtherSchema if the index has to be built again.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _configure(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        # After a power failure the last transactions may be missing, with the position in the stream that they stored.
        connection.execute("PRAGMA synchronous = NORMAL")
        # What retention removes is overwritten in the file.
        connection.execute("PRAGMA secure_delete = ON")
        _create_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(files: IndexFiles) -> sqlite3.Connection:
    """Opens the newest index. Raises IndexUnavailable if there is none, and sqlite3.Error."""
    path = files.newest()
    if path is None:
        raise IndexUnavailable("the index of the audit trail does not exist yet", hint="try again in a moment")
    uri = f"{path.resolve().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        _configure(connection)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except BaseException:
        connection.close()
        raise
    if version != SCHEMA_VERSION:
        connection.close()
        raise IndexUnavailable("the index of the audit trail is being built", hint="try again in a moment")
    return connection


@contextmanager
def reading(files: IndexFiles) -> Generator[sqlite3.Connection]:
    """A connection for reading. Requests a rebuild if the index is damaged. Raises IndexUnavailable."""
    try:
        with closing(open_for_reading(files)) as connection:
            yield connection
    except sqlite3.Error as error:
        if is_damage(error):
            files.request_rebuild()
            hint = "it is built again; try again in a minute"
            raise IndexUnavailable("the index of the audit trail is damaged", hint=hint) from error
        raise IndexUnavailable(
            "the index of the audit trail cannot be read", hint="check the disk of the audit volume"
        ) from error


def is_damage(error: sqlite3.Error) -> bool:
    """Whether only a new index helps. A full disk, for example, is not damage."""
    if isinstance(error, OtherSchema):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _create_tables(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.executescript(_SCHEMA)
    elif version != SCHEMA_VERSION:
        raise OtherSchema(f"the index has the tables of version {version}")


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    # A container may have too little space for temporary files. Queries are limited to what memory can sort.
    connection.execute("PRAGMA temp_store = MEMORY")
