"""Tables in a text: a line of headings, then rows whose cells are separated by tab, comma, semicolon or `|`."""

import re
from collections.abc import Iterator

from security_common.pii.labels import is_label

__all__ = ["header_line", "table_cells"]

_HEADER_LINE = re.compile(r"[^\n\t,;|]*([\t,;|])[^\n]*\n")
_FEWEST_LABELS = 2


def header_line(text: str) -> str:
    """The first line with its line end if it has the headings of a table, otherwise an empty string.

    At least two headings must be labels. Columns are separated by tab, comma, semicolon or `|`.
    """
    match = _HEADER_LINE.match(text)
    if match is None or sum(map(is_label, _headings(match))) < _FEWEST_LABELS:
        return ""
    return match.group()


def table_cells(text: str) -> Iterator[tuple[int, str, str]]:
    """Start, text and heading of each cell, if the text begins with a line of headings.

    Rows with another number of cells are skipped: a quoted comma moves the columns.
    """
    match = _HEADER_LINE.match(header_line(text))
    if match is None:
        return
    headings, start = _headings(match), match.end()
    separator = match.group(1)
    for line in text[start:].split("\n"):
        cells = line.split(separator)
        has_all_cells = len(cells) == len(headings)
        for index, cell in enumerate(cells):
            if has_all_cells and len(cell) > 1:
                yield start, cell, headings[index]
            start += len(cell) + 1


def _headings(header: re.Match[str]) -> list[str]:
    cells = header.group().split(header.group(1))
    return [cell.strip(" \"'\r\n").lower().replace("_", " ") for cell in cells]
