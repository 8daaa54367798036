"""Rows of tables in a text: how they are split into cells, and the contexts of the cells below headings."""

import re
from typing import NamedTuple

from security_common.pii.contexts_in_data import member_contexts
from security_common.pii.field_context import FieldContext
from security_common.pii.field_names import meaning_of_name
from security_common.pii.finding import PIIKind
from security_common.pii.labels import BANK, OTHER

__all__ = [
    "ALIGNED",
    "KINDS_OF_NO_PERSON",
    "SEPARATORS",
    "SLASH",
    "Header",
    "Row",
    "TextCell",
    "contexts_of_row",
    "is_rule",
    "read_row",
]

SLASH, ALIGNED = " / ", "  "
"""A slash between spaces; at least two spaces, as in columns that are aligned."""
SEPARATORS = "\t|│;,"
_BORDERS = frozenset("|│")  # also at both ends of a row
KINDS_OF_NO_PERSON = frozenset({"", OTHER, BANK})
_KINDS_WITHOUT_DIGITS = frozenset({PIIKind.PERSON, PIIKind.ADDRESS, PIIKind.EMAIL, PIIKind.SECRET})
_CHARS_OF_RULE = " \t-+|:=─━┼├┤┌┐└┘┬┴═║╪╞╡│"
_RULES = ("--", "──", "══", "━━")


_QUOTED = r'"(?P<quoted>[^"]*(?:""[^"]*)*)"[ ]*'


def _cell_pattern(plain: str, separator: str, line_end: str = r"\r?\n|\Z") -> re.Pattern[str]:
    return re.compile(rf"[ ]*(?:{_QUOTED}|(?P<plain>{plain}))(?:(?P<separator>{separator})|{line_end})")


_CELLS = {mark: _cell_pattern(rf"[^{re.escape(mark)}\n]*", re.escape(mark)) for mark in SEPARATORS}
_CELLS[SLASH] = _cell_pattern(r"(?:[^\s/]|/(?! )|[ \t](?!/ ))*", r"[ \t]?/[ ]")
_CELLS[ALIGNED] = _cell_pattern(r"[^ \n]*(?:[ ][^ \n]+)*", r"[ ]{2,}(?=[^ \r\n])", r"[ ]*(?:\r?\n|\Z)")


class TextCell(NamedTuple):
    """A value at `text[start:end]` and its context. `is_bounded` is whether no value continues in another cell.

    `column` has the place of the first row of the table and the index of the column, if the cell is one of a table.
    """

    start: int
    end: int
    context: FieldContext
    is_bounded: bool = True
    column: tuple[int, int] | None = None


class Row(NamedTuple):
    """The places of the cells of a row, and where the next row begins. `is_readable` is false after a stray quote."""

    cells: list[tuple[int, int]]
    next_row: int
    is_readable: bool


class Header(NamedTuple):
    """The headings of a table, how its cells are separated, and where its first row begins."""

    separator: str
    headings: list[str]
    next_row: int


def is_rule(line: str) -> bool:
    """Whether a line only separates rows, as `|---|---|` and `+-----+-----+`."""
    return any(rule in line for rule in _RULES) and not line.strip(_CHARS_OF_RULE)


def read_row(text: str, start: int, separator: str) -> Row:
    """The cells of the row that begins at `start`. The empty cells at both ends of a Markdown row are left out."""
    pattern = _CELLS[separator]
    cells: list[tuple[int, int]] = []
    is_readable = True
    position = start
    while True:
        match = pattern.match(text, position)
        if match is None:
            break
        first, last = match.span("quoted")
        if first < 0:
            first, last = match.span("plain")
            is_readable = is_readable and not text.startswith('"', first)
        cells.append((first, last))
        position = match.end()
        if match.group("separator") is None or position == match.start():
            break
    if separator in _BORDERS:
        cells = _without_outer_cells(text, cells)
    return Row(cells, position, is_readable)


def _without_outer_cells(text: str, cells: list[tuple[int, int]]) -> list[tuple[int, int]]:
    if cells and not text[slice(*cells[0])].strip():
        cells = cells[1:]
    if cells and not text[slice(*cells[-1])].strip():
        cells = cells[:-1]
    return cells


def contexts_of_row(text: str, header: Header, row: Row) -> list[FieldContext]:
    """The contexts of the cells. In a row that does not fit the headings, every cell is treated as personal data."""
    while len(row.cells) > len(header.headings) and not text[slice(*row.cells[-1])].strip():
        row.cells.pop()
    contents = [text[slice(*cell)].strip() for cell in row.cells]
    if row.is_readable and len(row.cells) <= len(header.headings):
        return member_contexts(list(zip(header.headings, contents, strict=False)))
    kinds = [meaning_of_name(heading).kind for heading in header.headings]
    personal = [PIIKind(kind) for kind in kinds if kind not in KINDS_OF_NO_PERSON]
    return [_context_in_unreadable_row(content, personal) for content in contents]


def _context_in_unreadable_row(content: str, kinds: list[PIIKind]) -> FieldContext:
    """A context that hides the whole cell. The kind is the first of the table that fits the content."""
    has_digits = any(map(str.isdigit, content))
    fitting = [kind for kind in kinds if (kind not in _KINDS_WITHOUT_DIGITS) == has_digits]
    return FieldContext(kind=(fitting or kinds)[0], is_part=True)
