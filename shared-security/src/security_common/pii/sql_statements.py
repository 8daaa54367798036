"""Values in SQL: those of an INSERT statement below its column names, and the columns that a SELECT statement names.

INSERT INTO member (name, birth) VALUES ('홍길동', '1990-01-01'), ('김민지', '1991-02-03');
"""

import re
from collections.abc import Iterator

from security_common.pii.contexts_in_data import member_contexts
from security_common.pii.table_rows import TextCell

__all__ = ["columns_of_select", "find_inserted_values"]

_INSERT = re.compile(
    r"insert\s{1,4}(?:ignore\s{1,4})?into\s{1,4}[^\s()]{1,128}\s{0,4}\((?P<columns>[^()]{1,4000})\)\s{0,4}values\s{0,4}",
    re.IGNORECASE,
)
_TUPLE = re.compile(r"[\s,]{0,8}\(")
# a text with '' for an apostrophe, or anything else up to the comma
_VALUE = re.compile(r"\s{0,8}(?:[NE]?'(?P<text>[^']*(?:''[^']*)*)'|(?P<other>[^,()']{0,200}))\s{0,8}(?P<end>[,)])")
_SELECT = re.compile(r"(?:^|[>\s])select\s+(?P<columns>[^\n;()*]{1,1000}?)\s+from\s", re.IGNORECASE)
_MAX_COLUMNS = 256


def find_inserted_values(text: str) -> Iterator[TextCell]:
    """The values of all INSERT statements with column names, in order."""
    for insert in _INSERT.finditer(text):
        columns = _names(insert["columns"])
        position = insert.end()
        opening = _TUPLE.match(text, position)
        while opening is not None:
            cells, position = _read_tuple(text, opening.end(), len(columns))
            if len(cells) != len(columns):
                break
            contexts = member_contexts(
                [(name, text[start:end]) for name, (start, end) in zip(columns, cells, strict=True)]
            )
            for (start, end), context in zip(cells, contexts, strict=True):
                if end > start:
                    yield TextCell(start, end, context)
            opening = _TUPLE.match(text, position)


def columns_of_select(line: str) -> list[str]:
    """The names of the columns of the SELECT statement in a line, or an empty list."""
    match = _SELECT.search(line)
    return _names(match["columns"]) if match is not None else []


def _names(columns: str) -> list[str]:
    """The last name of each column: `name` for `m.name` and for `member_name AS name`."""
    names = [column.strip().rpartition(" ")[2].rpartition(".")[2] for column in columns.split(",")]
    return [name.strip('`"[]') for name in names][:_MAX_COLUMNS]


def _read_tuple(text: str, start: int, most: int) -> tuple[list[tuple[int, int]], int]:
    """The places of the values of one tuple, and the place after it. Ends early at what is not a value."""
    cells: list[tuple[int, int]] = []
    position = start
    while len(cells) <= most:
        match = _VALUE.match(text, position)
        if match is None:
            break
        cells.append(match.span("text") if match["text"] is not None else match.span("other"))
        position = match.end()
        if match["end"] == ")":
            break
    return cells, position
