"""Tables in a text: CSV (RFC 4180), the same with tabs or semicolons, Markdown, aligned columns, and a single column.

    name,salary,note                    headings: at least one says what the column contains
    Tenzin Norgay,"1,200,000",ok        a row: a quoted cell may contain separators, line ends and ""
    Norgay, Tenzin,900000,ok            more cells than headings: every cell is treated as personal data

The cells may also be separated by a slash between spaces or by at least two spaces. The columns that a SELECT statement
names are the headings of the rows below it. A table ends at an empty line, and at a line without a separator.
"""

import re
from collections.abc import Generator, Iterator

from security_common.pii.field_context import field_context
from security_common.pii.field_names import kind_of_listed_name, meaning_of_name
from security_common.pii.labels import BANK
from security_common.pii.sql_statements import columns_of_select
from security_common.pii.table_rows import (
    ALIGNED,
    KINDS_OF_NO_PERSON,
    SEPARATORS,
    SLASH,
    Header,
    Row,
    TextCell,
    contexts_of_row,
    is_rule,
    read_row,
)

__all__ = ["find_table_cells", "header_line"]

_ALL_SEPARATORS = (*SEPARATORS, SLASH, ALIGNED)
_WEAK_SEPARATORS = frozenset({SLASH, ALIGNED})
"""Separators that are also used in sentences. A row with more cells than headings is not a part of the table."""
_MAX_HEADER_LENGTH, _MAX_COLUMNS, _MAX_HEADING_LENGTH = 8192, 256, 40
_MAX_SINGLE_HEADING_LENGTH, _MAX_SINGLE_VALUE_LENGTH = 24, 200
_MIN_MEANINGS = 2
_CELLS_OF_PAIR = 2
_HEADING = re.compile(r"(?:[0-9]{1,4})?[^\W\d_][\w \-./()#*&']*(?<![.?!])")


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
        line = text[position : min(line_end, position + _MAX_HEADER_LENGTH)]
        separators = {separator for separator in _ALL_SEPARATORS if separator in line}
        header = None
        if separators - separators_before:
            header = _read_header(text, position) or _read_select(text, line, line_end + 1)
        separators_before = separators
        if header is not None:
            position = yield from _find_in_rows(text, header)
        elif separators <= {ALIGNED} and _is_single_heading(line):
            position = yield from _find_in_single_column(text, line, line_end + 1)
        else:
            position = line_end + 1


def _is_single_heading(line: str) -> bool:
    """Whether a line is the heading of a single column. One that ends in a colon is a label or the name of a record."""
    heading = line.strip()
    if len(heading) > _MAX_SINGLE_HEADING_LENGTH or _HEADING.fullmatch(heading) is None:
        return False
    return kind_of_listed_name(heading) not in KINDS_OF_NO_PERSON


def _end_of_line(text: str, start: int) -> int:
    line_end = text.find("\n", start)
    return len(text) if line_end < 0 else line_end


def _separator_of(line: str) -> str:
    """The most frequent separator of a line; one that is also used in sentences only if there is no other."""
    separator = max(SEPARATORS, key=line.count)
    if separator in line:
        return separator
    return next((weak for weak in (SLASH, ALIGNED) if weak in line.strip()), "")


def _read_header(text: str, start: int) -> Header | None:
    """The headings in the line at `start`, or None if they do not begin a table."""
    line_end = text.find("\n", start, start + _MAX_HEADER_LENGTH)
    if line_end < 0:
        return None
    line = text[start:line_end]
    separator = _separator_of(line)
    if not separator or line.count(separator) >= _MAX_COLUMNS:
        return None
    row = read_row(text, start, separator)
    headings = [text[first:last].strip() for first, last in row.cells]
    if not row.is_readable or row.next_row != line_end + 1 or not _are_headings(headings):
        return None
    next_row = _after_rules(text, row.next_row)
    first_row = read_row(text, next_row, separator)
    fewest = len(headings) - 1 if separator == ALIGNED else len(headings)  # the last column may be empty
    if not fewest <= len(first_row.cells) <= len(headings) or _begins_with_label(text, first_row):
        return None
    return Header(separator, headings, next_row)


def _read_select(text: str, line: str, next_row: int) -> Header | None:
    """The columns that a SELECT statement in a line names, if the next line is a row of its result."""
    columns = columns_of_select(line)
    if len(columns) < _MIN_MEANINGS or not _are_headings(columns) or next_row >= len(text):
        return None
    if _read_header(text, next_row) is not None:
        return None
    first_line = text[next_row : min(_end_of_line(text, next_row), next_row + _MAX_HEADER_LENGTH)]
    separator = _separator_of(first_line)
    if not separator or len(read_row(text, next_row, separator).cells) != len(columns):
        return None
    return Header(separator, columns, next_row)


def _after_rules(text: str, position: int) -> int:
    """The place after a line such as `|---|---|`, or the same place."""
    line_end = _end_of_line(text, position)
    if line_end - position <= _MAX_HEADER_LENGTH and is_rule(text[position:line_end]):
        return min(len(text), line_end + 1)
    return position


def _begins_with_label(text: str, row: Row) -> bool:
    """Whether the first cell is a label, as in lines of `성명 | 홍길동`, where each line has a label of its own."""
    kind = kind_of_listed_name(text[slice(*row.cells[0])])
    return kind not in ({"", BANK} if len(row.cells) == _CELLS_OF_PAIR else KINDS_OF_NO_PERSON)


def _are_headings(headings: list[str]) -> bool:
    """Whether texts are headings: short, without digits at the start, and at least one for personal data."""
    if not all(
        len(heading) <= _MAX_HEADING_LENGTH and (not heading or _HEADING.fullmatch(heading)) for heading in headings
    ):
        return False
    meanings = [meaning_of_name(heading) for heading in headings]
    if all(meaning.kind in KINDS_OF_NO_PERSON for meaning in meanings):
        return False
    known = sum(1 for meaning in meanings if meaning.describes_value or meaning.neighbour or meaning.record)
    return known >= _MIN_MEANINGS or all(" " not in heading for heading in headings)


def _find_in_rows(text: str, header: Header) -> Generator[TextCell, None, int]:
    """The cells of the rows below a header. Returns the place after the table."""
    position = header.next_row
    while position < len(text):
        after_rule = _after_rules(text, position)
        if after_rule > position:
            position = after_rule
            continue
        row = read_row(text, position, header.separator)
        if len(row.cells) < _MIN_MEANINGS:
            break
        fits = row.is_readable and len(row.cells) <= len(header.headings)
        if header.separator in _WEAK_SEPARATORS and not fits:
            break
        contexts = contexts_of_row(text, header, row)
        for index, ((start, end), context) in enumerate(zip(row.cells, contexts, strict=True)):
            if end > start:
                yield TextCell(start, end, context, column=(header.next_row, index))
        position = row.next_row
    return position


def _find_in_single_column(text: str, heading: str, start: int) -> Generator[TextCell, None, int]:
    """The lines below a heading, up to an empty line or the next heading. Returns the place after them."""
    context = field_context(heading)
    position = start
    while position < len(text):
        line_end = _end_of_line(text, position)
        line = text[position : min(line_end, position + _MAX_SINGLE_VALUE_LENGTH)]
        if not line.strip() or _is_single_heading(line):
            break
        if line_end - position <= _MAX_SINGLE_VALUE_LENGTH:
            yield TextCell(position, line_end, context)
        position = line_end + 1
    return position
