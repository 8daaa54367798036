"""Names outside of a value that say what it is: the name of a field, and the headings of the columns of a table.

Both are used as labels: a value is scanned as if its name and a colon were in front of it.
"""

import re
from collections.abc import Callable, Iterator

from security_common.pii.finding import Finding
from security_common.pii.labels import is_label

__all__ = ["header_line", "moved_by", "scan_under_name", "table_cells"]

_HEADER_LINE = re.compile(r"[^\n\t,;|]*([\t,;|])[^\n]*\n")
_FEWEST_LABELS = 2


def scan_under_name(name: str, text: str, scan: Callable[[str], list[Finding]]) -> list[Finding]:
    """What `scan` finds in `text` if `name` is its label. The places are those in `text`."""
    prefix = f"{name}: "
    found: list[Finding] = []
    for finding in scan(prefix + text):
        if finding.end > len(prefix):  # not in the name itself
            moved = moved_by(-len(prefix), finding)
            found.append(moved if moved.start >= 0 else moved._replace(start=0))
    return found


def moved_by(distance: int, finding: Finding) -> Finding:
    """The same finding at another place."""
    return finding._replace(start=finding.start + distance, end=finding.end + distance)


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
