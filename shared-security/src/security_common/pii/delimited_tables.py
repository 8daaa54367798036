"""Tables in a text: CSV (RFC 4180), the same with tabs or semicolons, Markdown, and a single column of values.

    name,salary,note                    headings: at least one says what the column contains
    Tenzin Norgay,"1,200,000",ok        a row: a quoted cell may contain separators, line ends and ""
    Norgay, Tenzin,900000,ok            more cells than headings: every cell is treated as personal data

A table ends at an empty line, and at a line without a separator.
"""

import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

from security_common.pii.field_context import FieldContext, field_context, member_contexts
from security_common.pii.field_names import kind_of_listed_name, meaning_of_name
from security_common.pii.finding import PIIKind
from security_common.pii.labels import BANK, OTHER

__all__ = ["TextCell", "find_table_cells", "header_line"]

_SEPARATORS = "\t|;,"
_LONGEST_HEADER, _MOST_COLUMNS, _LONGEST_HEADING = 8192, 256, 40
_LONGEST_SINGLE_HEADING, _LONGEST_SINGLE_VALUE = 24, 200
_FEWEST_MEANINGS = 2
_HEADING = re.compile(r"[^\W\d_][\w \-./()#*&']*(?<![.?!])")
_MARKDOWN_RULE = re.compile(r"[ \t]*\|?(?:[ \t]*:?-{2,}:?[ \t]*\|?)+[ \t]*")
_NO_KIND_OF_PERSON = frozenset({"", OTHER, BANK})
_KINDS_WITHOUT_DIGITS = frozenset({PIIKind.PERSON, PIIKind.ADDRESS, PIIKind.EMAIL, PIIKind.SECRET})


def _cell_pattern(separator: str) -> re.Pattern[str]:
    escaped = re.escape(separator)
    return re.compile(
        r'[ ]*(?:"(?P<quoted>[^"]*(?:""[^"]*)*)"[ ]*|'
        rf"(?P<plain>[^{escaped}\n]*))(?P<end>{escaped}|\r?\n|\Z)"
    )


_CELLS = {separator: _cell_pattern(separator) for separator in _SEPARATORS}


class TextCell(NamedTuple):
    """A value at `text[start:end]` and its context. `is_bounded` is whether no value continues in another cell."""

    start: int
    end: int
    context: FieldContext
    is_bounded: bool = True


class _Row(NamedTuple):
    """The places of the cells of a row, and where the next row begins. `is_readable` is false after a stray quote."""

    cells: list[tuple[int, int]]
    next_row: int
    is_readable: bool


class _Header(NamedTuple):
    separator: str
    headings: list[str]
    next_row: int


def header_line(text: str) -> str:
    """The first line with its line end if it has the headings of a table with several columns, otherwise empty."""
    header = _read_header(text, 0)
    return text[: header.next_row] if header is not None else ""


def find_table_cells(text: str) -> Iterator[TextCell]:
    """The cells of all tables of a text in order, except headings and empty cells."""
    position = 0
    separators_before: set[str] = set()  # a header is the first of several lines with its separator
    while position < len(text):
        line_end = _end_of_line(text, position)
        line = text[position : min(line_end, position + _LONGEST_HEADER)]
        separators = {separator for separator in _SEPARATORS if separator in line}
        header = _read_header(text, position) if separators - separators_before else None
        separators_before = separators
        if header is not None:
            position = yield from _find_in_rows(text, header)
        elif not separators and _is_single_heading(line):
            position = yield from _find_in_single_column(text, line, line_end + 1)
        else:
            position = line_end + 1


def _is_single_heading(line: str) -> bool:
    """Whether a line is the heading of a single column. One that ends in a colon is a label or the name of a record."""
    heading = line.strip()
    if len(heading) > _LONGEST_SINGLE_HEADING or _HEADING.fullmatch(heading) is None:
        return False
    return kind_of_listed_name(heading) not in _NO_KIND_OF_PERSON


def _end_of_line(text: str, start: int) -> int:
    line_end = text.find("\n", start)
    return len(text) if line_end < 0 else line_end


def _read_header(text: str, start: int) -> _Header | None:
    """The headings in the line at `start`, or None if they do not begin a table."""
    line_end = text.find("\n", start, start + _LONGEST_HEADER)
    if line_end < 0:
        return None
    line = text[start:line_end]
    separator = max(_SEPARATORS, key=line.count)
    if not 0 < line.count(separator) < _MOST_COLUMNS:
        return None
    row = _read_row(text, start, separator)
    headings = [text[first:last].strip() for first, last in row.cells]
    if not row.is_readable or row.next_row != line_end + 1 or not _are_headings(headings):
        return None
    next_row = row.next_row
    rule = _MARKDOWN_RULE.match(text, next_row)
    if separator == "|" and rule is not None:
        next_row = min(len(text), rule.end() + 1)
    first_row = _read_row(text, next_row, separator)
    if len(first_row.cells) != len(headings) or _begins_with_label(text, first_row):
        return None
    return _Header(separator, headings, next_row)


def _begins_with_label(text: str, row: _Row) -> bool:
    """Whether the first cell is a label, as in lines of `성명 | 홍길동`, where each line has a label of its own."""
    return kind_of_listed_name(text[slice(*row.cells[0])]) not in {"", BANK}


def _are_headings(headings: list[str]) -> bool:
    """Whether texts are headings: short, without digits at the start, and at least one for personal data."""
    if not all(
        len(heading) <= _LONGEST_HEADING and (not heading or _HEADING.fullmatch(heading)) for heading in headings
    ):
        return False
    meanings = [meaning_of_name(heading) for heading in headings]
    if all(meaning.kind in _NO_KIND_OF_PERSON for meaning in meanings):
        return False
    known = sum(1 for meaning in meanings if meaning.says_something or meaning.neighbour or meaning.record)
    return known >= _FEWEST_MEANINGS or all(" " not in heading for heading in headings)


def _read_row(text: str, start: int, separator: str) -> _Row:
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
        if match.group("end") != separator or position == match.start():
            break
    if separator == "|":
        cells = _without_outer_cells(text, cells)
    return _Row(cells, position, is_readable)


def _without_outer_cells(text: str, cells: list[tuple[int, int]]) -> list[tuple[int, int]]:
    if cells and not text[slice(*cells[0])].strip():
        cells = cells[1:]
    if cells and not text[slice(*cells[-1])].strip():
        cells = cells[:-1]
    return cells


def _find_in_rows(text: str, header: _Header) -> Generator[TextCell, None, int]:
    """The cells of the rows below a header. Returns the place after the table."""
    position = header.next_row
    while position < len(text):
        row = _read_row(text, position, header.separator)
        if len(row.cells) < _FEWEST_MEANINGS:
            break
        contexts = _contexts_of_row(text, header, row)
        for (start, end), context in zip(row.cells, contexts, strict=True):
            if end > start:
                yield TextCell(start, end, context)
        position = row.next_row
    return position


def _contexts_of_row(text: str, header: _Header, row: _Row) -> list[FieldContext]:
    """The contexts of the cells. In a row that does not fit the headings, every cell is treated as personal data."""
    while len(row.cells) > len(header.headings) and not text[slice(*row.cells[-1])].strip():
        row.cells.pop()
    contents = [text[slice(*cell)].strip() for cell in row.cells]
    if row.is_readable and len(row.cells) <= len(header.headings):
        return member_contexts(list(zip(header.headings, contents, strict=False)))
    kinds = [meaning_of_name(heading).kind for heading in header.headings]
    personal = [PIIKind(kind) for kind in kinds if kind not in _NO_KIND_OF_PERSON]
    return [_context_in_unreadable_row(content, personal) for content in contents]


def _context_in_unreadable_row(content: str, kinds: list[PIIKind]) -> FieldContext:
    """A context that hides the whole cell. The kind is the first of the table that fits the content."""
    has_digits = any(map(str.isdigit, content))
    fitting = [kind for kind in kinds if (kind not in _KINDS_WITHOUT_DIGITS) == has_digits]
    return FieldContext(kind=(fitting or kinds)[0], is_part=True)


def _find_in_single_column(text: str, heading: str, start: int) -> Generator[TextCell, None, int]:
    """The lines below a heading, up to an empty line or the next heading. Returns the place after them."""
    context = field_context(heading)
    position = start
    while position < len(text):
        line_end = _end_of_line(text, position)
        line = text[position : min(line_end, position + _LONGEST_SINGLE_VALUE)]
        if not line.strip() or _is_single_heading(line):
            break
        if line_end - position <= _LONGEST_SINGLE_VALUE:
            yield TextCell(position, line_end, context)
        position = line_end + 1
    return position
