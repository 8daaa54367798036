"""Columns without a telling heading whose cells are mostly names: the other cells of the column are names too.

    연락처,칸2            nothing is known about 칸2; two of its three cells are found to be names,
    010-1234-5678,홍길동   so that 노을, which is also a word, is a name here
    010-1234-5679,김영희
    010-1234-5670,노을

In a table without a column of names, but with one of telephone numbers, mail addresses, number plates, cards or
accounts, the first or second column is one of names if all its cells have the form of names, listed or not.

Only the first rows are counted. The work is linear in the number of cells and findings.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from security_common.pii.field_context import FieldContext
from security_common.pii.field_labels import LABEL_OF_PERSON
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.names_in_fields import find_names_in_field, is_other_than_name
from security_common.pii.table_rows import TextCell

__all__ = ["with_columns_of_persons"]

_MAX_ROWS_COUNTED = 50
_MIN_NAMES = 2
_MIN_VALUE_LENGTH = 2
_PERSON = FieldContext(kind=PIIKind.PERSON, label_text=LABEL_OF_PERSON, names_person=True)

_LAST_COLUMN_BY_FORM = 1
_KINDS_BESIDE_NAMES = frozenset(
    {PIIKind.PHONE, PIIKind.EMAIL, PIIKind.VEHICLE_PLATE, PIIKind.CREDIT_CARD, PIIKind.BANK_ACCOUNT}
)

_Column = tuple[int, int]


def with_columns_of_persons(text: str, cells: Sequence[TextCell], found: Sequence[Finding]) -> Sequence[TextCell]:
    """The cells, with the context of a person in columns in which at least two cells, and half of them, are names.

    `cells` and `found`, the findings in the text without the context of the cells, are in order.
    """
    if not any(map(_is_unknown, cells)):
        return cells
    names = [each for each in found if each.kind == PIIKind.PERSON]
    persons = _columns_with_found_names(text, cells, names) | _columns_with_form_of_names(text, cells)
    if not persons:
        return cells
    return [cell._replace(context=_PERSON) if _is_unknown(cell) and cell.column in persons else cell for cell in cells]


def _columns_with_found_names(text: str, cells: Sequence[TextCell], names: Sequence[Finding]) -> set[_Column]:
    if len(names) < _MIN_NAMES:
        return set()
    filled, named = Counter[_Column](), Counter[_Column]()
    for cell, is_name in _unknown_cells(cells, names):
        column = cell.column
        if column is not None and filled[column] < _MAX_ROWS_COUNTED and _has_value(text, cell):
            filled[column] += 1
            named[column] += is_name
    return {column for column, count in named.items() if count >= _MIN_NAMES and count * 2 >= filled[column]}


def _columns_with_form_of_names(text: str, cells: Sequence[TextCell]) -> set[_Column]:
    tables = {cell.column[0] for cell in cells if cell.column is not None and cell.context.kind in _KINDS_BESIDE_NAMES}
    tables -= {cell.column[0] for cell in cells if cell.column is not None and cell.context.kind == PIIKind.PERSON}
    if not tables:
        return set()
    filled, named = Counter[_Column](), Counter[_Column]()
    for cell in cells:
        column = cell.column
        if column is None or column[0] not in tables or column[1] > _LAST_COLUMN_BY_FORM or not _is_unknown(cell):
            continue
        if filled[column] < _MAX_ROWS_COUNTED and _has_value(text, cell):
            filled[column] += 1
            named[column] += _has_form_of_name(text[cell.start : cell.end].strip())
    return {column for column, count in named.items() if count >= _MIN_NAMES and count == filled[column]}


def _has_form_of_name(value: str) -> bool:
    """Whether a value is a name in Hangul, or one of several words in Latin letters."""
    if value.isascii() and " " not in value:
        return False
    found = next(find_names_in_field(value), None)
    return found is not None and found.end - found.start == len(value) and not is_other_than_name(value)


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
