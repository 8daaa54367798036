"""Columns without a telling heading whose cells are mostly names: the other cells of the column are names too.

    연락처,칸2            nothing is known about 칸2; two of its three cells are found to be names,
    010-1234-5678,홍길동   so that 노을, which is also a word, is a name here
    010-1234-5679,김영희
    010-1234-5670,노을

Only the first rows are counted. The work is linear in the number of cells and findings.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from security_common.pii.field_context import FieldContext
from security_common.pii.field_labels import LABEL_OF_PERSON
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.table_rows import TextCell

__all__ = ["with_columns_of_persons"]

_MAX_ROWS_COUNTED = 50
_MIN_NAMES = 2
_MIN_VALUE_LENGTH = 2
_PERSON = FieldContext(kind=PIIKind.PERSON, label_text=LABEL_OF_PERSON, names_person=True)

_Column = tuple[int, int]


def with_columns_of_persons(text: str, cells: Sequence[TextCell], found: Sequence[Finding]) -> Sequence[TextCell]:
    """The cells, with the context of a person in columns in which at least two cells, and half of them, are names.

    `cells` and `found`, the findings in the text without the context of the cells, are in order.
    """
    names = [each for each in found if each.kind == PIIKind.PERSON]
    if len(names) < _MIN_NAMES or not any(map(_is_unknown, cells)):
        return cells
    filled, named = Counter[_Column](), Counter[_Column]()
    for cell, is_name in _unknown_cells(cells, names):
        column = cell.column
        if column is not None and filled[column] < _MAX_ROWS_COUNTED and _has_value(text, cell):
            filled[column] += 1
            named[column] += is_name
    persons = {column for column, count in named.items() if count >= _MIN_NAMES and count * 2 >= filled[column]}
    if not persons:
        return cells
    return [cell._replace(context=_PERSON) if _is_unknown(cell) and cell.column in persons else cell for cell in cells]


def _is_unknown(cell: TextCell) -> bool:
    return cell.column is not None and not cell.context.affects_search and not cell.context.is_part


def _unknown_cells(cells: Sequence[TextCell], names: Sequence[Finding]) -> Iterator[tuple[TextCell, bool]]:
    """The cells without a context, each with whether a name is found inside it."""
    index = 0
    for cell in cells:
        while index < len(names) and names[index].start < cell.start:
            index += 1
        if _is_unknown(cell):
            yield cell, index < len(names) and names[index].end <= cell.end


def _has_value(text: str, cell: TextCell) -> bool:
    return len(text[cell.start : cell.end].strip()) >= _MIN_VALUE_LENGTH
