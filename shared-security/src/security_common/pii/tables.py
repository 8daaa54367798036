"""Tables in a text: the first line names the columns, so a cell is what its column is called."""

from collections.abc import Iterator

from security_common.pii.labels import is_label

__all__ = ["cells_in"]

_DELIMITERS = "\t,;|"
_FEWEST_LABELS = 2


def cells_in(text: str) -> Iterator[tuple[int, str, str]]:
    """Place, text and column of each cell below a line of labels; nothing when a text does not begin with one."""
    head, _, body = text.partition("\n")
    delimiter = next((mark for mark in _DELIMITERS if mark in head), None)
    if not body or delimiter is None:
        return
    columns = [cell.strip(" \"'\r").lower().replace("_", " ") for cell in head.split(delimiter)]
    if sum(map(is_label, columns)) < _FEWEST_LABELS:
        return
    place = len(head) + 1
    for line in body.split("\n"):
        cells = line.split(delimiter)
        for index, cell in enumerate(cells):
            if len(cells) == len(columns) and len(cell) > 1:  # else a quoted comma moves the columns: they say nothing
                yield place, cell, columns[index]
            place += len(cell) + 1
