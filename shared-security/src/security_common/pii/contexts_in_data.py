"""The contexts of the values in data, one for each member of an object and for each item of an array.

    {"name": "이유식", "price": 9000}                  name of a thing: it is not searched for persons
    {"label": "계좌번호", "value": "302-3845-1903-48"}   the value has the label in the field beside it
    {"docType": "passport", "docNo": "CK9KW8108"}      the same for a document and its number
    {"tel1": "010", "tel2": "1234", "tel3": "5678"}    each value is a part of a telephone number
    {"columns": ["이름"], "rows": [["홍길동"]]}          the items of a row have the names of the columns

A walk over data calls `member_contexts` once for each object and `item_contexts` once for each array, with the context
of the object or array itself, and passes the contexts on to `PIIDetector.scan_text`.
"""

import re
from collections.abc import Sequence
from typing import Any, cast

from security_common.pii.document_members import can_have_number
from security_common.pii.field_context import NO_CONTEXT, FieldContext, field_context, in_personal_record
from security_common.pii.field_labels import LABEL_OF_KIND
from security_common.pii.field_names import MAX_NAME_LENGTH, meaning_of_name
from security_common.pii.finding import PIIKind
from security_common.pii.labels import OTHER
from security_common.pii.personal_records import is_email
from security_common.pii.record_shapes import RecordShape, shape_of
from security_common.pii.split_values import is_part_of, is_split, is_split_list

__all__ = ["item_contexts", "member_contexts"]

_MAX_MEMBERS = 64
"""How many members of an object are compared with each other. An object with more is a collection of values."""
_MAX_COLUMNS = 256
_MIN_HEADINGS = 2
# A field `type` is one vote for a thing. If its value names a person it is one for a person: a difference of two votes.
_VOTES_OF_TYPE = 2
_PAIR = 2
_KINDS_WITH_PARTS = frozenset({PIIKind.PERSON, PIIKind.ADDRESS})
_RESIDENT_NUMBER = re.compile(r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])-[1-8][0-9]{6}")
_LONG_PAST_YEAR = "(?:19[0-9]{2}|20(?:0[0-9]|1[0-5]))"
_LONG_PAST_DATE = re.compile(
    rf"{_LONG_PAST_YEAR}(?:([-./]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12][0-9]|3[01])|년 ?[0-9]{{1,2}}월 ?[0-9]{{1,2}}일)"
)
_SECRETS = "secrets"


def member_contexts(
    members: Sequence[tuple[object, object]], context: FieldContext | None = None
) -> list[FieldContext]:
    """The contexts of the members of an object, in their order.

    `members` has name and value of each. `context` is that of the object itself. A member whose
    name is not a text has the context of the object.
    """
    own = context or NO_CONTEXT
    if own.columns:
        own = own._replace(columns=())
    if own.record == _SECRETS:
        return [own._replace(record="", kind=PIIKind.SECRET, is_part=True)] * len(members)
    compared = members[:_MAX_MEMBERS]
    values = [value for _, value in compared]
    names = tuple([name[:MAX_NAME_LENGTH] if type(name) is str else "" for name, _ in compared])
    is_certain = own.record == "person" and not meaning_of_name(own.name).is_ambiguous_role
    shape = shape_of(names, own.record, is_certain)
    contexts = [
        (field if field.names_login and not own.kind else own) if each is None else each
        for each, field in zip(shape.contexts, shape.fields, strict=True)
    ]
    if shape.unclear_names or shape.short_names:
        _relate_names_and_numbers(shape, values, contexts)
    if shape.has_relations:
        _relate_members(shape, values, contexts)
    if own.kind in _KINDS_WITH_PARTS:
        for index, (member_context, (_, value)) in enumerate(zip(shape.contexts, members, strict=False)):
            if member_context is None and names[index] and is_part_of(own.kind, value):
                contexts[index] = own._replace(is_part=True)
    for name, _ in members[_MAX_MEMBERS:]:
        contexts.append(field_context(name) if type(name) is str else own)
    return contexts


def item_contexts(items: Sequence[object], context: FieldContext | None = None) -> list[FieldContext]:
    """The contexts of the items of an array, in their order. `context` is that of the array itself."""
    own = context or NO_CONTEXT
    if own.columns:
        if items and isinstance(items[0], (list, tuple)):
            return [own] * len(items)
        return [own.columns[index] if index < len(own.columns) else NO_CONTEXT for index in range(len(items))]
    if items and isinstance(items[0], (list, tuple)):
        return _row_contexts(items, own)
    if own.kind and is_split_list(own.kind, items):
        return [own._replace(is_part=True)] * len(items)
    if not own.kind and len(items) == _PAIR and isinstance(items[0], str):
        return [own, _context_of_label(items[0]) or own]
    return [own] * len(items)


def _relate_names_and_numbers(shape: RecordShape, values: Sequence[object], contexts: list[FieldContext]) -> None:
    """Names that are a person's because another value is a resident registration number or an e-mail address."""
    if shape.unclear_names and any(map(_is_resident_number, values)):
        for index in shape.unclear_names:
            contexts[index] = in_personal_record(contexts[index])
    if shape.short_names and any(map(is_email, values)):
        for index in shape.short_names:
            if not (contexts[index].kind or contexts[index].names_thing):
                contexts[index] = in_personal_record(contexts[index])


def _is_resident_number(value: object) -> bool:
    return type(value) is str and _RESIDENT_NUMBER.fullmatch(value) is not None


def _relate_members(shape: RecordShape, values: Sequence[object], contexts: list[FieldContext]) -> None:
    """Adds to the contexts of members what the values of other members say."""
    if shape.type is not None and shape.thing_votes <= _VOTES_OF_TYPE:
        _relate_type_and_names(shape, values[shape.type], contexts)
    if shape.value is not None:
        _relate_label_and_value(shape, values, contexts)
    _relate_documents(shape, values, contexts)
    if shape.columns is not None and shape.rows is not None:
        columns = _columns_of(values[shape.columns])
        if columns is not None and isinstance(values[shape.rows], (list, tuple)):
            contexts[shape.rows] = contexts[shape.rows]._replace(columns=columns)
    for index in shape.birth_dates:
        value = values[index]
        if type(value) is str and _LONG_PAST_DATE.fullmatch(value):
            contexts[index] = field_context("birth_date")
    for group in shape.groups:
        if is_split(group, [values[index] for index in group.members]):
            for index in group.members:
                name = shape.fields[index].name
                contexts[index] = FieldContext(name, group.kind, LABEL_OF_KIND[group.kind], is_part=True)


def _relate_type_and_names(shape: RecordShape, type_: object, contexts: list[FieldContext]) -> None:
    """A `type` such as `customer` makes the record that of a person. `shape_of` counted it as a sign of a thing."""
    if isinstance(type_, str) and meaning_of_name(type_).record == "person":
        for index in shape.names:
            contexts[index] = FieldContext(shape.fields[index].name, PIIKind.PERSON, LABEL_OF_KIND[PIIKind.PERSON])


def _relate_label_and_value(shape: RecordShape, values: Sequence[object], contexts: list[FieldContext]) -> None:
    for index in (shape.label, shape.type):
        if index is None or index == shape.value or shape.value is None:
            continue
        value_context = _context_of_label(values[index])
        if value_context is not None and (index == shape.label or value_context.kind != OTHER):
            contexts[index] = FieldContext(contexts[index].name, names_thing=True)
            contexts[shape.value] = value_context
            return


def _relate_documents(shape: RecordShape, values: Sequence[object], contexts: list[FieldContext]) -> None:
    """The number of a document, account or card whose kind is in another member, and members with secrets."""
    members = shape.documents
    for document in members.documents:
        number_context = _context_of_label(values[document])
        if number_context is None:
            continue
        for number in members.numbers:
            if number != document and can_have_number(number_context.kind, contexts[number].kind):
                contexts[number] = number_context
    for index in members.manifest_with_secrets(values[shape.type] if shape.type is not None else None):
        contexts[index] = FieldContext(contexts[index].name, record=_SECRETS)
    for index in members.docker_credentials(values):
        contexts[index] = FieldContext(contexts[index].name, PIIKind.SECRET, is_part=True)


def _context_of_label(label: object) -> FieldContext | None:
    """The context of a value whose label is this text, or None if the text is not a label."""
    if type(label) is not str or len(label) > MAX_NAME_LENGTH:
        return None
    context = field_context(label)
    return context if context.kind else None


def _columns_of(headings: object) -> tuple[FieldContext, ...] | None:
    """The contexts of the columns of a table, or None if the headings say nothing about them.

    A heading is a text, or an object with the name of the column.
    """
    if not isinstance(headings, (list, tuple)):
        return None
    texts: list[str] = []
    for heading in cast("Sequence[object]", headings)[:_MAX_COLUMNS]:
        text: object = heading
        if isinstance(heading, dict):
            described = cast("dict[object, object]", heading)
            text = described.get("name") or described.get("field") or described.get("label")
        texts.append(text if type(text) is str else "")
    contexts = member_contexts([(text, None) for text in texts])
    return tuple(contexts) if any(context.affects_search for context in contexts) else None


def _row_contexts(rows: Sequence[Any], own: FieldContext) -> list[FieldContext]:
    """The contexts of rows: those below a row of headings, or pairs of a label and a value."""
    first, second = rows[0], rows[1] if len(rows) > 1 else None
    is_below_headings = isinstance(second, (list, tuple)) and len(cast("Sequence[object]", second)) == len(first)
    if is_below_headings and all(type(cell) is str for cell in first):
        known = [context.kind for context in map(_context_of_label, first[:_MAX_COLUMNS]) if context is not None]
        if len(known) >= min(_MIN_HEADINGS, len(first)) and any(kind != OTHER for kind in known):
            return [NO_CONTEXT] + [own._replace(columns=_columns_of(first) or ())] * (len(rows) - 1)
    return [_pair_context(row, own) for row in rows]


def _pair_context(row: object, own: FieldContext) -> FieldContext:
    if not isinstance(row, (list, tuple)):
        return own
    cells = cast("Sequence[object]", row)
    value_context = _context_of_label(cells[0]) if len(cells) == _PAIR else None
    return own if value_context is None else own._replace(columns=(NO_CONTEXT, value_context))
