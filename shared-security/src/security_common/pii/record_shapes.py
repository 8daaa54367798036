"""What the names of the members of a record say about its values, before the values are read.

The result is remembered by the names, because the records of a document have the same ones.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from security_common.pii.document_members import DocumentMembers, find_document_members
from security_common.pii.field_context import FieldContext, field_context, in_personal_record
from security_common.pii.field_labels import LABEL_OF_PERSON
from security_common.pii.field_names import meaning_of_name, words_of_name
from security_common.pii.finding import PIIKind
from security_common.pii.personal_records import PersonalRecord, may_name_person, vote_of_member
from security_common.pii.split_values import SplitGroup, find_split_groups
from security_common.pii.word_lists import read_tables

__all__ = ["RecordShape", "shape_of"]

_MAX_RECORDS_REMEMBERED = 512
_TABLES = read_tables("field_names")
_SHORT_NAMES = frozenset(_TABLES["names"]["short"])
"""Fields with the name of what a record is about, which are not names of persons by themselves: `nm`, `n`, `한글명`."""
_NAMES_OF_TYPES = frozenset({"type", "kind", "category", "종류", "유형"})
_ABBREVIATIONS_OF_BIRTH_DATE = frozenset({"bd", "bdt", "bdy", "bday", "bir", "생"})
_INITIALS_OF_BIRTH_DATE = frozenset({"d", "b"})
_NAMES_OF_SORT_CODES = frozenset({"sort", "sortcode", "bsb", "bsbno", "bsbnumber", "routingnumber", "routingno", "aba"})
_PAIRS = {key: frozenset(words) for key, words in _TABLES["pairs"].items()}


class RecordShape(NamedTuple):
    """What the names of the members of a record say, whatever their values are. The numbers are indexes of members.

    `fields` has what the name of each member says; `contexts` is the same, with None for a member that has the context
    of the record itself.
    `unclear_names` are names that are a person's if another member is a resident registration number.
    `short_names` are names such as `n` that are a person's if another member is an e-mail address.
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
    short_names: tuple[int, ...]
    has_relations: bool


@lru_cache(maxsize=_MAX_RECORDS_REMEMBERED)
def shape_of(names: tuple[str, ...], record: str, is_certain: bool) -> RecordShape:
    meanings = [meaning_of_name(name) for name in names]
    votes = [vote_of_member(meaning) for meaning in meanings] + [record]
    thing_votes = votes.count("thing") - votes.count("person")
    is_personal = thing_votes < 0 and (is_certain or any(meaning.is_of_person for meaning in meanings))
    evidence = PersonalRecord(names, meanings, thing_votes)
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
            name.lower() in _SHORT_NAMES or (meaning.may_name_thing and own.kind == PIIKind.PERSON)
        ):
            own = own._replace(kind=PIIKind.PERSON, label_text=LABEL_OF_PERSON)
        elif own.kind == PIIKind.BANK_ACCOUNT and has_sort_code:
            own = own._replace(label_text=f"sort code, {own.label_text}")
        is_name = own.kind == PIIKind.PERSON or (not own.kind and may_name_person(meaning))
        if own.names_thing:
            pass
        elif (is_personal and is_name) or evidence.is_certain(meaning):
            own = in_personal_record(own)
        elif evidence.is_probable(name, meaning):
            own = in_personal_record(own)._replace(is_personal_record=False)
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
    return RecordShape(
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
        short_names=tuple(index for index, name in enumerate(names) if name.lower() in _SHORT_NAMES),
        has_relations=(
            is_pair
            or is_table
            or bool(groups or birth_dates)
            or documents.has_relations()
            or (type_ is not None and bool(names_of_record))
        ),
    )


def _first_in(names: Sequence[str], words: frozenset[str]) -> int | None:
    return next((index for index, name in enumerate(names) if name in words), None)
