"""How texts and descriptions of events are stored in the index."""

import json
import sqlite3
from operator import attrgetter
from typing import Any

from security_common.audit.event import AuditEvent, Outcome

__all__ = [
    "TASK_OF_DESCRIPTION",
    "StoredDescriptions",
    "StoredNames",
    "StoredTexts",
    "encode_name",
    "parse_description",
    "text_of",
    "write_description",
]

CACHED_TEXTS = 20_000

_DESCRIBED = ("event_type", "action_taken", "outcome", "tool_name", "client_id", "reason", "task", "contains_pii")
"""With `pii_kinds`, the members of an event that reports and charts count. The user is not among them, so there are few
descriptions."""

_described_members = attrgetter(*_DESCRIBED)

TASK_OF_DESCRIPTION = f"json_extract(text, '$[{_DESCRIBED.index('task')}]')"
"""The task of a description in SQL."""


def write_description(event: AuditEvent) -> str:
    """The description of an event as JSON, the same text for the same members."""
    return json.dumps([*_described_members(event), dict(sorted(event.pii_kinds.items()))], separators=(",", ":"))


def parse_description(text: str) -> AuditEvent:
    """An event with the described members; the others are unknown."""
    *values, pii_kinds = json.loads(text)
    members: dict[str, Any] = dict(zip(_DESCRIBED, values, strict=True))
    members["outcome"] = Outcome(members["outcome"])
    return AuditEvent(**members, pii_kinds=pii_kinds)


def encode_name(name: str) -> bytes:
    """The stored form of a name. Events may contain lone surrogates, which UTF-8 does not allow."""
    return name.encode("utf-8", "surrogatepass")


def text_of(stored: bytes) -> str:
    """The name from its stored form."""
    return stored.decode("utf-8", "surrogatepass")


class StoredTexts:
    """The numbers of names and descriptions; new ones are added. Call `forget` after a rollback."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._names: dict[str, int] = {}
        self._descriptions: dict[tuple[object, ...], int] = {}

    def name(self, name: str) -> int:
        """The number of a name, which is added if it is new."""
        number = self._names.get(name)
        if number is None:
            number = self._number(encode_name(name), "names")
            if len(self._names) >= CACHED_TEXTS:
                self._names.clear()
            self._names[name] = number
        return number

    def optional_name(self, name: str | None) -> int | None:
        """The number of a name; None without one."""
        return None if name is None else self.name(name)

    def description(self, event: AuditEvent) -> int:
        """The number of the description of an event, which is added if it is new."""
        # The members themselves are the key, because writing them as JSON takes longer than everything else here.
        key = (*_described_members(event), *sorted(event.pii_kinds.items()))
        number = self._descriptions.get(key)
        if number is None:
            number = self._number(write_description(event), "descriptions")
            if len(self._descriptions) >= CACHED_TEXTS:
                self._descriptions.clear()
            self._descriptions[key] = number
        return number

    def forget(self) -> None:
        self._names.clear()
        self._descriptions.clear()

    def _number(self, stored: bytes | str, table: str) -> int:
        find = f"SELECT id FROM {table} WHERE text = ?"  # noqa: S608  # the name of a table
        found: tuple[int] | None = self._connection.execute(find, (stored,)).fetchone()
        if found is not None:
            return found[0]
        added = self._connection.execute(f"INSERT INTO {table} (text) VALUES (?)", (stored,))  # noqa: S608
        return added.lastrowid or 0


class StoredNames(dict[int | None, str | None]):
    """The names by their numbers, read when they are first used. The name of None is None."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__({None: None})
        self._connection = connection

    def __missing__(self, number: int) -> str:
        (stored,) = self._connection.execute("SELECT text FROM names WHERE id = ?", (number,)).fetchone()
        if len(self) >= CACHED_TEXTS:
            self.clear()
            self[None] = None
        self[number] = text_of(stored)
        return text_of(stored)


class StoredDescriptions(dict[int, AuditEvent]):
    """The descriptions by their numbers, read when they are first used."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        self._connection = connection

    def __missing__(self, number: int) -> AuditEvent:
        (text,) = self._connection.execute("SELECT text FROM descriptions WHERE id = ?", (number,)).fetchone()
        if len(self) >= CACHED_TEXTS:
            self.clear()
        self[number] = parse_description(text)
        return self[number]
