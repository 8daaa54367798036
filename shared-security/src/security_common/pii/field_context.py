"""The context of a value in structured data: the name of its field, and what the neighbouring fields say about it.

    {"name": "이유식", "price": 9000}                  name of a thing: it is not searched for persons
    {"label": "계좌번호", "value": "302-3845-1903-48"}   the value has the label in the field beside it
    {"docType": "passport", "docNo": "CK9KW8108"}      the same for a document and its number
    {"tel1": "010", "tel2": "1234", "tel3": "5678"}    each value is a part of a telephone number
    {"columns": ["이름"], "rows": [["홍길동"]]}          the items of a row have the names of the columns

A walk over data calls `member_contexts` once for each object and `item_contexts` once for each array, with the context
of the object or array itself, and passes the contexts on to `PIIDetector.scan_text`. A context has a bounded size and
contains no value, so it can be a part of a cache key.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

from security_common.pii.document_members import DocumentMembers, can_have_number, find_document_members
from security_common.pii.field_labels import LABEL_OF_KIND, LABEL_OF_PERSON, label_of_field
from security_common.pii.field_names import MAX_NAME_LENGTH, FieldMeaning, cut_name, meaning_of_name, words_of_name
from security_common.pii.finding import PIIKind
from security_common.pii.labels import OTHER
from security_common.pii.split_values import SplitGroup, find_split_groups, is_part_of, is_split, is_split_list
from security_common.pii.word_lists import read_tables

__all__ = ["NO_CONTEXT", "FieldContext", "field_context", "item_contexts", "member_contexts"]

_MAX_MEMBERS = 64
"""How many members of an object are compared with each other. An object with more is a collection of values."""
_MAX_RECORDS_REMEMBERED, _MAX_NAMES_REMEMBERED = 512, 4096
_MAX_COLUMNS = 256
_MIN_HEADINGS = 2
# A field `type` is one vote for a thing. If its value names a person it is one for a person: a difference of two votes.
_VOTES_OF_TYPE = 2
_PAIR = 2

_KINDS_WITH_PARTS = frozenset({PIIKind.PERSON, PIIKind.ADDRESS})
_ABBREVIATED_NAME_FIELDS = frozenset(
    {"nm", "n", "nms", "한글명", "국문명", "영문명", "nm_kor", "nm_eng", "nmkor", "nmeng"}
)
_NAMES_OF_TYPES = frozenset({"type", "kind", "category", "종류", "유형"})
_KINDS_OF_PERSONS = frozenset(
    {
        PIIKind.KR_RRN,
        PIIKind.US_SSN,
        PIIKind.PASSPORT,
        PIIKind.DRIVER_LICENSE,
        PIIKind.DATE_OF_BIRTH,
        PIIKind.BANK_ACCOUNT,
        PIIKind.IBAN,
        PIIKind.CUSTOMS_CODE,
        PIIKind.PHONE,
        PIIKind.EMAIL,
    }
)
"""Members of these kinds are evidence that a record is that of a person."""
_ABBREVIATIONS_OF_BIRTH_DATE = frozenset({"bd", "bdt", "bdy", "bday", "bir", "생"})
_INITIALS_OF_BIRTH_DATE = frozenset({"d", "b"})
_RESIDENT_NUMBER = re.compile(r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])-[1-8][0-9]{6}")
_LONG_PAST_DATE = re.compile(r"(?:19[0-9]{2}|20(?:0[0-9]|1[0-5]))([-./]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12][0-9]|3[01])")
_NAMES_OF_SORT_CODES = frozenset({"sortcode", "bsb", "bsbno", "bsbnumber", "routingnumber", "routingno", "aba"})
_SECRETS = "secrets"
_PAIRS = {key: frozenset(words) for key, words in read_tables("field_names")["pairs"].items()}


class FieldContext(NamedTuple):
    """What is known about a value before it is read.

    `name` is the name of the field, up to MAX_NAME_LENGTH characters; an item of an array has the name of the array.
    `kind` is the kind of the field: a PIIKind, `OTHER` for values that belong to no person, `BANK`, or empty.
    `label_text` is the text that is written in front of the value when it is searched, or empty.
    `names_thing` is whether the value is the name of a thing, `is_unclear` whether it is a name of something that
    is not known. `names_person` is whether the value certainly names a person, `is_personal_record` whether other
    fields show that the record is about a person. `names_login` is whether the value is the name of an account of a
    person.
    `is_part` is whether the whole value is a part of a value of `kind`. `record` is `person` or `thing` if the value,
    an object or array, is a record of one, and `secrets` if all its values are secrets.
    `columns` has the contexts of the items if the value is a row of a table, or an array of rows.
    """

    name: str = ""
    kind: str = ""
    label_text: str = ""
    names_thing: bool = False
    is_part: bool = False
    record: str = ""
    columns: tuple["FieldContext", ...] = ()
    is_unclear: bool = False
    names_person: bool = False
    is_personal_record: bool = False
    names_login: bool = False

    @property
    def affects_search(self) -> bool:
        """Whether the value has to be searched in this context, because it changes what is found."""
        return bool(self.kind or self.names_thing or self.is_unclear or self.names_login)


NO_CONTEXT = FieldContext()


def field_context(name: str) -> FieldContext:
    """The context of a value of which only the name of its field is known."""
    return _context_of_cut_name(cut_name(name))


@lru_cache(maxsize=_MAX_NAMES_REMEMBERED)
def _context_of_cut_name(name: str) -> FieldContext:
    return _context_of(name, meaning_of_name(name))


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
    names = tuple([cut_name(name) if type(name) is str else "" for name, _ in members[:_MAX_MEMBERS]])
    is_certain = own.record == "person" and not meaning_of_name(own.name).is_ambiguous_role
    shape = _shape_of(names, own.record, is_certain)
    contexts = [
        (field if field.names_login and not own.kind else own) if each is None else each
        for each, field in zip(shape.contexts, shape.fields, strict=True)
    ]
    if shape.unclear_names and any(map(_is_resident_number, [value for _, value in members[:_MAX_MEMBERS]])):
        for index in shape.unclear_names:
            contexts[index] = _in_personal_record(contexts[index])
    if shape.has_relations:
        _relate_members(shape, [value for _, value in members[:_MAX_MEMBERS]], contexts)
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


class _RecordShape(NamedTuple):
    """What the names of the members of a record say, whatever their values are. The numbers are indexes of members.

    `fields` has what the name of each member says; `contexts` is the same, with None for a member that has the context
    of the record itself.
    `unclear_names` are names that are a person's if another member is a resident registration number.
    `names` are the members that have the name of the record, `type` the one that says what it is a record of.
    `thing_votes` is the number of members that indicate a thing, minus those that indicate a person.
    `birth_dates` are members of a person's record with a short name such as `d`, which can have the date of birth.
    `label` and `value`, `columns` and `rows`, and the `documents` belong together. `has_relations` is whether the
    values have to be read.
    """

    fields: tuple[FieldContext, ...]
    contexts: tuple[FieldContext | None, ...]
    names: tuple[int, ...]
    type: int | None
    thing_votes: int
    label: int | None
    value: int | None
    documents: DocumentMembers
    columns: int | None
    rows: int | None
    groups: tuple[SplitGroup, ...]
    birth_dates: tuple[int, ...]
    unclear_names: tuple[int, ...]
    has_relations: bool


@lru_cache(maxsize=_MAX_RECORDS_REMEMBERED)
def _shape_of(names: tuple[str, ...], record: str, is_certain: bool) -> _RecordShape:
    meanings = [meaning_of_name(name) for name in names]
    votes = [_vote(meaning) for meaning in meanings] + [record]
    thing_votes = votes.count("thing") - votes.count("person")
    is_personal = thing_votes < 0 and (is_certain or any(meaning.is_of_person for meaning in meanings))
    plain_names = ["".join(words_of_name(name)) for name in names]
    has_sort_code = not _NAMES_OF_SORT_CODES.isdisjoint(plain_names)
    fields: list[FieldContext] = []
    contexts: list[FieldContext | None] = []
    unclear_names: list[int] = []
    for name, meaning in zip(names, meanings, strict=True):
        own = field_context(name)
        if meaning.may_name_thing and thing_votes > 0:
            own = own._replace(kind="", label_text="", names_thing=True)
        elif thing_votes < 0 and (
            name.lower() in _ABBREVIATED_NAME_FIELDS or (meaning.may_name_thing and own.kind == PIIKind.PERSON)
        ):
            own = own._replace(kind=PIIKind.PERSON, label_text=LABEL_OF_PERSON)
        elif own.kind == PIIKind.BANK_ACCOUNT and has_sort_code:
            own = own._replace(label_text=f"sort code, {own.label_text}")
        is_name = own.kind == PIIKind.PERSON or (not own.kind and _may_name_person(meaning))
        if is_personal and is_name and not own.names_thing:
            own = _in_personal_record(own)
        elif own.kind == PIIKind.PERSON and not (own.names_person or meaning.may_name_thing):
            unclear_names.append(len(fields))
        fields.append(own)
        inherits = not name or (meaning.is_modifier and not own.kind)
        contexts.append(None if inherits else own)
    type_ = _first_in(plain_names, _NAMES_OF_TYPES)
    label, value = (_first_in(plain_names, _PAIRS[role]) for role in ("labels", "values"))
    columns, rows = (_first_in(plain_names, _PAIRS[role]) for role in ("columns", "rows"))
    documents = find_document_members(plain_names)
    names_of_record = tuple(index for index, meaning in enumerate(meanings) if meaning.may_name_thing)
    groups = find_split_groups(names)
    names_of_birth_dates = _ABBREVIATIONS_OF_BIRTH_DATE if thing_votes <= 0 else frozenset[str]()
    if thing_votes < 0:
        names_of_birth_dates |= _INITIALS_OF_BIRTH_DATE
    birth_dates = tuple(index for index, name in enumerate(names) if name.lower() in names_of_birth_dates)
    is_pair = value is not None and (label is not None or type_ is not None)
    is_table = columns is not None and rows is not None
    return _RecordShape(
        fields=tuple(fields),
        contexts=tuple(contexts),
        names=names_of_record,
        type=type_,
        thing_votes=thing_votes,
        label=label if is_pair else None,
        value=value if is_pair else None,
        documents=documents,
        columns=columns if is_table else None,
        rows=rows if is_table else None,
        groups=groups,
        birth_dates=birth_dates,
        unclear_names=tuple(unclear_names),
        has_relations=(
            is_pair
            or is_table
            or bool(groups or birth_dates)
            or documents.has_relations()
            or (type_ is not None and bool(names_of_record))
        ),
    )


def _vote(meaning: FieldMeaning) -> str:
    """`person` or `thing`, by what a member of a record shows about it, or empty."""
    return meaning.neighbour or ("person" if meaning.kind in _KINDS_OF_PERSONS else "")


def _may_name_person(meaning: FieldMeaning) -> bool:
    """Whether a field names a person if its record is certainly about one: `nm`, `alphaName`, `client`."""
    is_role = (
        meaning.is_ambiguous_role and meaning.record == "person" and not (meaning.neighbour or meaning.is_modifier)
    )
    return meaning.may_name_thing or meaning.is_unclear or is_role


def _in_personal_record(own: FieldContext) -> FieldContext:
    """The context of the name in a record that is certainly about a person."""
    label_text = own.label_text or LABEL_OF_PERSON
    return own._replace(
        kind=PIIKind.PERSON, label_text=label_text, is_unclear=False, names_person=True, is_personal_record=True
    )


def _is_resident_number(value: object) -> bool:
    return type(value) is str and _RESIDENT_NUMBER.fullmatch(value) is not None


def _first_in(names: Sequence[str], words: frozenset[str]) -> int | None:
    return next((index for index, name in enumerate(names) if name in words), None)


def _relate_members(shape: _RecordShape, values: Sequence[object], contexts: list[FieldContext]) -> None:
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


def _relate_type_and_names(shape: _RecordShape, type_: object, contexts: list[FieldContext]) -> None:
    """A `type` such as `customer` makes the record that of a person. `_shape_of` counted it as a sign of a thing."""
    if isinstance(type_, str) and meaning_of_name(type_).record == "person":
        for index in shape.names:
            contexts[index] = FieldContext(shape.fields[index].name, PIIKind.PERSON, LABEL_OF_KIND[PIIKind.PERSON])


def _relate_label_and_value(shape: _RecordShape, values: Sequence[object], contexts: list[FieldContext]) -> None:
    for index in (shape.label, shape.type):
        if index is None or index == shape.value or shape.value is None:
            continue
        value_context = _context_of_label(values[index])
        if value_context is not None and (index == shape.label or value_context.kind != OTHER):
            contexts[index] = FieldContext(contexts[index].name, names_thing=True)
            contexts[shape.value] = value_context
            return


def _relate_documents(shape: _RecordShape, values: Sequence[object], contexts: list[FieldContext]) -> None:
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


def _context_of(name: str, meaning: FieldMeaning) -> FieldContext:
    return FieldContext(
        name,
        meaning.kind,
        label_of_field(name, meaning),
        names_thing=meaning.names_thing,
        record=meaning.record,
        is_unclear=meaning.is_unclear,
        names_person=meaning.names_person,
        names_login=meaning.names_login,
    )
