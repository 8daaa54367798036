"""Tables in a text: the first line names the columns, so a cell is what its column is called."""

import re
from collections.abc import Iterator

from security_common.pii.labels import is_label

__all__ = ["cells_in", "header_of"]

_HEADER = re.compile(r"[^\n\t,;|]*([\t,;|])[^\n]*\n")
_FEWEST_LABELS = 2


def header_of(text: str) -> str:
    """The first line, with its end, when it names columns; else nothing."""
    match = _HEADER.match(text)
    return match.group() if match and sum(map(is_label, _columns(match))) >= _FEWEST_LABELS else ""


def cells_in(text: str) -> Iterator[tuple[int, str, str]]:
    """Place, text and column of each cell below a header; nothing when there is none."""
    match = _HEADER.match(header_of(text))
    if match is None:
        return
    columns, place = _columns(match), match.end()
    for line in text[place:].split("\n"):
        cells = line.split(match.group(1))
        for index, cell in enumerate(cells):
            if len(cells) == len(columns) and len(cell) > 1:  # else a quoted comma moves the columns: they say nothing
                yield place, cell, columns[index]
            place += len(cell) + 1


def _columns(header: re.Match[str]) -> list[str]:
    return [cell.strip(" \"'\r\n").lower().replace("_", " ") for cell in header.group().split(header.group(1))]
