"""What the members of a record show about the names in it: whether they name a person.

    {"rdrNm": …, "dlvrAddr": …}           goods are delivered to persons
    {"drvNm": …, "drvTel": …}             `drv` has a telephone number, so it is a person
    {"company": …, "contact": …}          the contact of a company is a person
    {"예약자": …, "연락처": …}               an ordinary word is a name here
    {"차주": …, "차량번호": …}               the same for the owner of a vehicle

The evidence is in the names of members, not in their values. The work is linear in the number of members.
"""

import re
from collections.abc import Iterator, Sequence

from security_common.pii.field_names import FieldMeaning, words_of_name
from security_common.pii.finding import PIIKind
from security_common.pii.word_lists import read_tables

__all__ = ["PersonalRecord", "is_email", "may_name_person", "vote_of_member"]

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
_KINDS_OF_CONTACTS = frozenset({PIIKind.PHONE, PIIKind.EMAIL, PIIKind.VEHICLE_PLATE})
_KINDS_OF_COMPANIES = frozenset({PIIKind.BUSINESS_NUMBER, PIIKind.CORP_NUMBER})
_WORDS = {key: frozenset(words) for key, words in read_tables("field_names")["personal_records"].items()}
_EMAIL = re.compile(r"[A-Za-z0-9._%+\-]+@[A-Za-z0-9.\-]{3,}")
_MAX_EMAIL_LENGTH = 100
_WORDS_FOR_NAMES = ("name", "nm")


def is_email(value: object) -> bool:
    """Whether a value as a whole is an e-mail address."""
    return type(value) is str and len(value) <= _MAX_EMAIL_LENGTH and _EMAIL.fullmatch(value) is not None


def vote_of_member(meaning: FieldMeaning) -> str:
    """`person` or `thing`, by what a member of a record shows about it, or empty."""
    return meaning.neighbour or ("person" if meaning.kind in _KINDS_OF_PERSONS else "")


def may_name_person(meaning: FieldMeaning) -> bool:
    """Whether a field names a person if its record is certainly about one: `nm`, `alphaName`, `client`."""
    is_role = (
        meaning.is_ambiguous_role and meaning.record == "person" and not (meaning.neighbour or meaning.is_modifier)
    )
    return meaning.may_name_thing or meaning.is_unclear or is_role


class PersonalRecord:
    """The evidence of the members of one record. `thing_votes` is that of `shape_of` in `record_shapes`."""

    def __init__(self, names: Sequence[str], meanings: Sequence[FieldMeaning], thing_votes: int) -> None:
        self._thing_votes = thing_votes
        words = [words_of_name(name) for name in names]
        kinds = {meaning.kind for meaning in meanings}
        plain_names = {"".join(each) for each in words}
        self._has_contact = not _KINDS_OF_CONTACTS.isdisjoint(kinds)
        self._has_vehicle = PIIKind.VEHICLE_PLATE in kinds
        self._has_delivery = any(
            meaning.kind == PIIKind.ADDRESS and not _WORDS["deliveries"].isdisjoint(_beginnings(each))
            for meaning, each in zip(meanings, words, strict=True)
        )
        self._is_of_company = not (
            _KINDS_OF_COMPANIES.isdisjoint(kinds) and plain_names.isdisjoint(_WORDS["companies"])
        )
        self._has_name = any(
            meaning.kind == PIIKind.PERSON and (meaning.may_name_thing or meaning.names_person) for meaning in meanings
        )
        self._is_party = self._has_contact and not plain_names.isdisjoint(_WORDS["numbers_of_persons"])
        self._with_contact = {
            tuple(each[:-1])
            for meaning, each in zip(meanings, words, strict=True)
            if meaning.kind in _KINDS_OF_CONTACTS and len(each) > 1
        }

    def is_certain(self, meaning: FieldMeaning) -> bool:
        """Whether ordinary words are names too in a field with this meaning."""
        if meaning.names_person:
            return self._has_contact or self._has_delivery
        if meaning.kind == PIIKind.PERSON and meaning.is_ambiguous_role and self._has_vehicle:
            return not self._is_of_company
        return self._is_party and self._thing_votes < 0 and may_name_person(meaning)

    def is_probable(self, name: str, meaning: FieldMeaning) -> bool:
        """Whether a field names a person if its value has the form of a name."""
        words = words_of_name(name)
        plain_name = "".join(words)
        if plain_name in _WORDS["persons_of_companies"]:
            return self._is_of_company
        is_role = meaning.is_unclear or (meaning.is_ambiguous_role and not (meaning.neighbour or meaning.is_modifier))
        if not _WORDS["chosen_names"].isdisjoint(words):
            return False
        if not is_role or meaning.names_thing or meaning.kind not in ("", PIIKind.PERSON):
            return False
        if words[-1] in _WORDS_FOR_NAMES:
            words = words[:-1]
        if words and tuple(words) in self._with_contact:
            return True
        if self._is_of_company or self._has_name:
            return False
        most_votes = 0 if meaning.kind == PIIKind.PERSON else -1
        return self._has_delivery or (self._has_contact and self._thing_votes <= most_votes)


def _beginnings(words: Sequence[str]) -> Iterator[str]:
    """The words, and the first two syllables of those in Hangul: 배송 for 배송지주소."""
    for word in words:
        yield word if word.isascii() else word[:2]
