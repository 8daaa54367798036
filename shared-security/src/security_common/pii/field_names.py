"""What the name of a field says about its value, from `data/field_names.toml` and `data/labels.toml`.

    mblPhonNo  휴대폰_번호1  customer.phone_home
        │  words               without separators, in lower case
        ▼
    mbl phon no  휴대폰 번호 1  customer phone home
        │  longest listed ending, after words such as `home` and `1` are removed from the end
        ▼
    PHONE

The name of a member of an object, of a column and the key of a `key: value` line are all read by `meaning_of_name`.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from security_common.pii.finding import PIIKind
from security_common.pii.word_lists import read_lists, read_tables

__all__ = [
    "MAX_NAME_LENGTH",
    "_NO_MEANING",
    "FieldMeaning",
    "cut_name",
    "kind_of_listed_name",
    "meaning_of_name",
    "words_of_name",
]

MAX_NAME_LENGTH = 64
"""The number of characters of a name that are read. No label is longer."""
_MAX_NAMES_REMEMBERED = 4096
_MAX_WORDS = 12
_MIN_HANGUL_ENDING_LENGTH = 2
_MIN_PREFIX_LENGTH = 2

_TABLES = read_tables("field_names")
_KIND_OF_NAME = {word.replace(" ", ""): kind for kind, words in read_lists("labels").items() for word in words}
_SECRET_WORDS = read_lists("secret_words")
for _word in (*_SECRET_WORDS["password"], *_SECRET_WORDS["key"]):
    _KIND_OF_NAME[_word.replace(" ", "").replace("-", "")] = PIIKind.SECRET
for _kind, _words in _TABLES["kinds"].items():
    _KIND_OF_NAME.update(dict.fromkeys(_words, "" if _kind == "NONE" else _kind))
_MODIFIERS = frozenset(_TABLES["modifiers"]["words"])
_PREFIXES = frozenset(_TABLES["prefixes"]["words"])
_NAMES_OF_RECORDS = frozenset(_TABLES["names"]["words"])
_THING_NEIGHBOURS, _PERSON_NEIGHBOURS = (frozenset(_TABLES["records"][side]) for side in ("thing", "person"))
_THING_TYPES, _PERSON_TYPES = (frozenset(_TABLES["records"][f"{side}_types"]) for side in ("thing", "person"))

_ROLES = read_lists("person_roles")
for _role in _ROLES["korean"]:
    for _word in (_role, *(f"{_role}{_ending}" for _ending in ("명", "성명", "이름", "성함"))):
        _KIND_OF_NAME.setdefault(_word, PIIKind.PERSON)
for _word in _ROLES["alone"]:
    _KIND_OF_NAME.setdefault(_word, PIIKind.PERSON)
_THING_OWNERS = frozenset(_ROLES["things"]) | _THING_TYPES | _THING_NEIGHBOURS
_AMBIGUOUS_ROLES = frozenset(_ROLES["ambiguous"])
_RECORDS_OF_PERSONS = frozenset(_ROLES["korean"] + _ROLES["owners"]) - _MODIFIERS
_ONLY_OF_PERSONS = frozenset(_TABLES["records"]["only_person"])
_KINDS_OF_PERSONS_ONLY = frozenset(
    {PIIKind.KR_RRN, PIIKind.US_SSN, PIIKind.PASSPORT, PIIKind.DRIVER_LICENSE, PIIKind.DATE_OF_BIRTH}
)
_NATIONAL_ID = "NATIONAL_ID_"
_NAMES_OF_THINGS = frozenset(_TABLES["names"]["of_things"])
_NAMES_OF_LOGINS = frozenset(_TABLES["names"]["logins"])
_PERSONAL_OWNERS = frozenset(_ROLES["korean"] + _ROLES["owners"]) | (
    (_PERSON_TYPES | _PREFIXES | _MODIFIERS) - _THING_OWNERS
)

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[가-힣]+|[^\W\d_]")
_BIRTH = re.compile("birth|brth|brdt|bthdt|bithdy|birdt")  # also as a part of a word: pbirth, brthdd, birthorbizno
_OF_BIRTH_BUT_NO_DATE = re.compile("place|plc|loc|city|ctry|country|nation|cert|weight|wght|order|ordr|rate|cnt|count")
_NOTE_IN_BRACKETS = re.compile(r"[(\[（].*", re.DOTALL)
_ENDINGS_FOR_NAMES = ("name", "nm", "명", "이름")
_ENDINGS_FOR_NAMES_OF_PERSONS = ("성명", "성함", "이름", "fullname", "flnm", "surname")
_ENDINGS_FOR_NAMES_OF_ROLES = ("name", "nm", "명")
_ENDING_FOR_TITLES = "title"
_ENDING_OF_AGENTS = "by"  # found_by, receivedBy
_NOT_BEFORE_BY = frozenset(_TABLES["names"]["before_by"])
_AGENT_SUFFIXES = ("자", "인", "객")
_OTHER_AGENT_ENDINGS = tuple(_TABLES["names"]["other_agent_endings"])
_MIN_AGENT_NOUN_LENGTH = 3
_MIN_SECRET_NAME_LENGTH = 3
_MIN_ENDING_OF_OWNER_LENGTH = 4


class FieldMeaning(NamedTuple):
    """What a name says.

    `kind` is that of the value: a PIIKind, `OTHER` for values that belong to no person, `BANK`, or empty.
    `may_name_thing` is whether the value is a name that can be a person's or a thing's: `name`, `title`.
    `names_thing` is the same for names of things only: `bucketName`.
    `is_unclear` is whether the value is a name and nothing says of what: `alphaName`.
    `names_person` is whether it certainly is a person's name: `patientName`, but not `ownerName`, which companies have.
    `names_login` is whether the value is the name with which a person signs in: `userId`.
    `is_of_person` is whether only a person has this property: `birthDate`, but not `phone`.
    `is_ambiguous_role` is whether it is a role of persons, companies and things: `owner`.
    `is_modifier` is whether the name says nothing alone, as `home` in `{"phone": {"home": …}}`.
    `record` is `person` or `thing` if a field of this name contains a record of one: `customer`, `products`.
    `neighbour` is `person` or `thing` if a field of this name shows what its record is about: `age`, `price`.
    """

    kind: str = ""
    may_name_thing: bool = False
    names_thing: bool = False
    is_modifier: bool = False
    record: str = ""
    neighbour: str = ""
    is_unclear: bool = False
    names_person: bool = False
    names_login: bool = False
    is_of_person: bool = False
    is_ambiguous_role: bool = False

    @property
    def describes_value(self) -> bool:
        """Whether the name says something about its value."""
        return bool(self.kind or self.names_thing or self.is_unclear)


_NO_MEANING = FieldMeaning()


def cut_name(name: str) -> str:
    """The part of a name that is read."""
    return name if len(name) <= MAX_NAME_LENGTH else name[:MAX_NAME_LENGTH]


def words_of_name(name: str) -> list[str]:
    """The words of a name in lower case, without a note in brackets: `homeTel_1 (optional)` has home, tel and 1."""
    return [word.lower() for word in _WORD.findall(_without_note(cut_name(name)))]


def _without_note(name: str) -> str:
    shortened = _NOTE_IN_BRACKETS.sub("", name)
    return shortened if shortened.strip() else name


def meaning_of_name(name: str) -> FieldMeaning:
    """What the name of a field says about its value. Names are read up to MAX_NAME_LENGTH characters."""
    return _meaning_of_cut_name(cut_name(name))


def kind_of_listed_name(name: str) -> str:
    """The kind of a text that as a whole is the name of a field, such as 계좌번호, or an empty string."""
    return _KIND_OF_NAME.get("".join(words_of_name(name)), "") if len(name) <= MAX_NAME_LENGTH else ""


@lru_cache(maxsize=_MAX_NAMES_REMEMBERED)
def _meaning_of_cut_name(name: str) -> FieldMeaning:
    words = words_of_name(name)[-_MAX_WORDS:]
    if not words:
        return _NO_MEANING
    whole = "".join(words)
    without_number = whole.rstrip("0123456789")
    is_modifier = all(word.isdigit() or word in _MODIFIERS for word in words)
    kind = _kind_of_words(words)
    owner = _owner_of_name(words) if whole not in _KIND_OF_NAME and kind in {"PERSON", ""} else ""
    names_thing = owner == "thing" or (whole in _NAMES_OF_THINGS and kind in {"OTHER", ""})
    is_unclear = owner == "unclear"
    if owner:
        kind = "PERSON" if owner == "person" else ""
    may_name_thing = without_number in _NAMES_OF_RECORDS
    is_ambiguous_role = _is_ambiguous_role(words)
    names_person = kind == PIIKind.PERSON and not may_name_thing and not is_ambiguous_role
    is_of_person = kind in _KINDS_OF_PERSONS_ONLY or kind.startswith(_NATIONAL_ID) or without_number in _ONLY_OF_PERSONS
    record = _side(words[-1], whole, _PERSON_TYPES, _THING_TYPES)
    if not record and (names_person or "".join(_without_modifiers(words)) in _RECORDS_OF_PERSONS):
        record = "person"
    if not record and names_thing and whole in _NAMES_OF_THINGS:
        record = "thing"
    return FieldMeaning(
        kind=kind,
        may_name_thing=may_name_thing,
        names_thing=names_thing,
        is_modifier=is_modifier,
        record=record,
        neighbour="person" if is_of_person else _side(without_number, whole, _PERSON_NEIGHBOURS, _THING_NEIGHBOURS),
        is_unclear=is_unclear,
        names_person=names_person,
        names_login=whole in _NAMES_OF_LOGINS,
        is_of_person=is_of_person,
        is_ambiguous_role=is_ambiguous_role,
    )


def _is_ambiguous_role(words: list[str]) -> bool:
    """Whether companies and things have this role too: 소유자, ownerName. 소유자성명 is only written for persons."""
    whole = "".join(_without_modifiers(words))
    if whole.endswith(_ENDINGS_FOR_NAMES_OF_PERSONS):
        return False
    roles = {whole, *(whole.removesuffix(ending) for ending in _ENDINGS_FOR_NAMES_OF_ROLES)}
    if words[-1] in _AMBIGUOUS_ROLES or not roles.isdisjoint(_AMBIGUOUS_ROLES):
        return True
    return any(
        role[first:] in _AMBIGUOUS_ROLES for role in roles if not role.isascii() for first in range(1, len(role) - 1)
    )


def _side(word: str, whole: str, person: frozenset[str], thing: frozenset[str]) -> str:
    if word in person or whole in person:
        return "person"
    return "thing" if word in thing or whole in thing else ""


def _kind_of_words(words: list[str]) -> str:
    """The kind of the longest listed ending; words such as `home` and numbers at the end are removed one by one."""
    count = len(words)
    while count:
        for first in range(count):
            ending = "".join(words[first:count])
            kind = _KIND_OF_NAME.get(ending, _KIND_OF_NAME.get(ending.removesuffix("s")))
            if kind is not None:
                return kind
        kind = _kind_of_compound(words[count - 1])
        if kind:
            return kind
        last = words[count - 1]
        if not (last.isdigit() or last in _MODIFIERS):
            return ""
        count -= 1
    return ""


def _kind_of_compound(word: str) -> str:
    """The kind of a word without separators: 보호자연락처 ends in 연락처, custaddr begins with cust."""
    if word.isascii():
        for length in range(_MIN_PREFIX_LENGTH, len(word) - 1):
            kind = _KIND_OF_NAME.get(word[length:], "") if word[:length] in _PREFIXES else ""
            if kind and (kind != PIIKind.SECRET or length + _MIN_SECRET_NAME_LENGTH <= len(word)):
                return kind
        return PIIKind.DATE_OF_BIRTH if _BIRTH.search(word) and not _OF_BIRTH_BUT_NO_DATE.search(word) else ""
    for first in range(1, len(word) - _MIN_HANGUL_ENDING_LENGTH + 1):
        kind = _KIND_OF_NAME.get(word[first:])
        if kind is not None:
            return kind
    return ""


def _owner_of_name(words: list[str]) -> str:
    """Whose name a field contains: `person` for patientName, `thing` for bucketName, `unclear` for alphaName.

    Empty if the name of the field does not end in a word for a name.
    """
    words = _without_modifiers(words)
    last = words[-1]
    for ending in _ENDINGS_FOR_NAMES:
        if last.endswith(ending) and (last != ending or len(words) > 1):
            owner = last.removesuffix(ending) or words[-2]
            return _side_of_owner(owner, "".join(words).removesuffix(ending)) or "unclear"
    if _is_agent_noun(last) or (last == _ENDING_OF_AGENTS and not _NOT_BEFORE_BY.issuperset(words[:-1])):
        return "unclear"
    if last.endswith(_ENDING_FOR_TITLES) and "".join(words) != _ENDING_FOR_TITLES:
        return "thing"
    return ""


def _is_agent_noun(word: str) -> bool:
    """Whether a word has the form of a Korean word for a person who does something: 할인자, 접견인, 관람객."""
    is_long_enough = len(word) >= _MIN_AGENT_NOUN_LENGTH
    return is_long_enough and word.endswith(_AGENT_SUFFIXES) and not word.endswith(_OTHER_AGENT_ENDINGS)


def _without_modifiers(words: list[str]) -> list[str]:
    """The words without numbers and modifiers at the end: dept, nm for `deptNmKr1`."""
    end = len(words)
    while end > 1 and (words[end - 1].isdigit() or words[end - 1] in _MODIFIERS):
        end -= 1
    return words[:end]


def _side_of_owner(owner: str, whole: str) -> str:
    """`person` or `thing` by the longest listed ending of the words in front of `name`, otherwise empty."""
    for candidate in (whole, owner, owner.removesuffix("s")):
        if candidate in _PERSONAL_OWNERS or _KIND_OF_NAME.get(candidate) == PIIKind.PERSON:
            return "person"
        if candidate in _THING_OWNERS or candidate.removesuffix("s") in _THING_OWNERS:
            return "thing"
    shortest = _MIN_ENDING_OF_OWNER_LENGTH if owner.isascii() else 1
    for first in range(1, len(owner) - shortest + 1):
        if owner[first:] in _PERSONAL_OWNERS:
            return "person"
        if owner[first:] in _THING_OWNERS:
            return "thing"
    return ""
