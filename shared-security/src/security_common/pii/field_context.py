"""The context of a value in structured data: the name of its field, and what the neighbouring fields say about it.

A context has a bounded size and contains no value, so it can be a part of a cache key. `contexts_in_data` finds the
contexts of the members of an object and of the items of an array.
"""

from functools import lru_cache
from typing import NamedTuple

from security_common.pii.field_labels import LABEL_OF_PERSON, label_of_field
from security_common.pii.field_names import FieldMeaning, cut_name, meaning_of_name
from security_common.pii.finding import PIIKind
from security_common.pii.value_surroundings import is_specific_name

__all__ = ["NO_CONTEXT", "FieldContext", "field_context", "in_personal_record"]

_MAX_NAMES_REMEMBERED = 4096


class FieldContext(NamedTuple):
    """What is known about a value before it is read.

    `name` is the name of the field, up to MAX_NAME_LENGTH characters; an item of an array has the name of the array.
    `kind` is the kind of the field: a PIIKind, `OTHER` for values that belong to no person, `BANK`, or empty.
    `label_text` is the text that is written in front of the value when it is searched, or empty.
    `names_thing` is whether the value is the name of a thing, `is_unclear` whether it is a name of something that
    is not known. `names_person` is whether the value certainly names a person, `is_personal_record` whether other
    fields show that the record is about a person. `names_login` is whether the value is the name of an account of a
    person.
    `is_role` is whether it is a role that persons, companies and things have, such as `lead`.
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
    is_role: bool = False

    @property
    def affects_search(self) -> bool:
        """Whether the value has to be searched in this context, because it changes what is found."""
        return bool(self.kind or self.names_thing or self.is_unclear or self.names_login or self.is_role)

    @property
    def says_nothing(self) -> bool:
        """Whether the same is found in a value in this context as without a context: `text`, `message`."""
        return self[1:] == NO_CONTEXT[1:] and not (self.name and is_specific_name(self.name))


NO_CONTEXT = FieldContext()


def field_context(name: str) -> FieldContext:
    """The context of a value of which only the name of its field is known."""
    return _context_of_cut_name(cut_name(name))


@lru_cache(maxsize=_MAX_NAMES_REMEMBERED)
def _context_of_cut_name(name: str) -> FieldContext:
    return _context_of(name, meaning_of_name(name))


def in_personal_record(own: FieldContext) -> FieldContext:
    """The context of the name in a record that is certainly about a person."""
    label_text = own.label_text or LABEL_OF_PERSON
    return own._replace(
        kind=PIIKind.PERSON,
        label_text=label_text,
        is_unclear=False,
        is_role=False,
        names_person=True,
        is_personal_record=True,
    )


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
        is_role=meaning.is_ambiguous_role and not meaning.kind,
    )
