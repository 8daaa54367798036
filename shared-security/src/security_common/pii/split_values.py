"""Values that are split over several members of an object or items of an array.

    {"tel1": "010", "tel2": "1234", "tel3": "5678"}      a telephone number
    {"rrnFront": "900101", "rrnBack": "1234567"}         a resident registration number
    {"card": ["4111", "1111", "1111", "1111"]}           a card number
    {"email_id": "hong", "email_domain": "example.com"}  an e-mail address
    {"성": "홍", "이름": "길동"}                            a person's name

The names say which members belong together and what they are; the values only have to fit.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from security_common.pii.field_names import meaning_of_name, words_of_name
from security_common.pii.finding import PIIKind
from security_common.pii.word_lists import read_tables

__all__ = ["SplitGroup", "find_split_groups", "is_part_of", "is_part_of_name", "is_split", "is_split_list"]

_MAX_PARTS = 6
_MAX_PART_LENGTH, _MAX_PART = 80, 10**8
_WORDS = read_tables("field_names")["parts"]
_PART_WORDS = frozenset(_WORDS["words"])
_PART_ENDINGS = tuple(_WORDS["endings"])
_NAME_PARTS, _KOREAN_NAME_PARTS = frozenset(_WORDS["person"]), frozenset(_WORDS["korean_pair"])
_SHORT_NAME_PARTS = frozenset(_WORDS["short"])
_ADDRESS_DETAIL = re.compile(r"[0-9]|[가-힣] [가-힣]")
_NAME = re.compile(r"[^\W\d_][^\d_@:/\\<>{}\[\]()=]{0,39}")
_MAX_SPACES_IN_NAME, _ENDS_OF_SENTENCES = 3, ("!", "?", "다", "요", "죠", "요.", "다.", "죠.")
_LOCAL_PART, _DOMAIN = (
    re.compile(r"[A-Za-z0-9._%+\-]{1,64}"),
    re.compile(r"@?[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{2,63}){1,4}"),
)
# How many digits the parts of a number have together.
_DIGITS: Mapping[PIIKind, range] = {
    PIIKind.PHONE: range(9, 14),
    PIIKind.CREDIT_CARD: range(13, 20),
    PIIKind.KR_RRN: range(13, 14),
    PIIKind.BANK_ACCOUNT: range(9, 17),
    PIIKind.US_SSN: range(9, 10),
    PIIKind.BUSINESS_NUMBER: range(10, 11),
    PIIKind.CORP_NUMBER: range(13, 14),
    PIIKind.DRIVER_LICENSE: range(12, 13),
}


class SplitGroup(NamedTuple):
    """Members of a record whose names say that they are the parts of one value of this kind."""

    kind: PIIKind
    members: tuple[int, ...]


def find_split_groups(names: Sequence[str]) -> tuple[SplitGroup, ...]:
    """The groups of members that may be parts of one value. `names` are those of all members of the record."""
    members: dict[tuple[str, PIIKind], list[int]] = {}
    for index, name in enumerate(names):
        whole, kind = _value_of_part(name)
        if kind is not None:
            members.setdefault((whole, kind), []).append(index)
    return tuple(
        SplitGroup(kind, tuple(indexes)) for (_, kind), indexes in members.items() if 1 < len(indexes) <= _MAX_PARTS
    )


def is_part_of_name(name: str) -> bool:
    """Whether a field has only a part of a person's name, such as the surname."""
    words = words_of_name(name)
    return "".join(words) in _NAME_PARTS or (len(words) > 1 and "".join(words[-2:]) in _NAME_PARTS)


def is_split(group: SplitGroup, values: Sequence[object]) -> bool:
    """Whether the values of the members of a group fit together as one value."""
    texts = _as_texts(values)
    return texts is not None and _FITS[group.kind](texts, group.kind)


def is_part_of(kind: str, value: object) -> bool:
    """Whether a value can be a part of a name or address, as `line2` in `{"address": {"line2": "Apt 7"}}`."""
    if type(value) is not str or len(value) > _MAX_PART_LENGTH:
        return False
    return _FITS[kind]([value], PIIKind(kind))


def is_split_list(kind: str, items: Sequence[object]) -> bool:
    """Whether the items of an array in a field of this kind are the parts of one value."""
    if not 1 < len(items) <= _MAX_PARTS or kind not in _FITS_IN_LIST:
        return False
    texts = _as_texts(items)
    return texts is not None and _FITS[PIIKind(kind)](texts, PIIKind(kind))


def _as_texts(values: Sequence[object]) -> list[str] | None:
    """The values as texts, or None if one of them cannot be a part of a value. Empty ones are left out."""
    texts: list[str] = []
    for value in values:
        if value is None:
            continue
        if type(value) is int and abs(value) < _MAX_PART:
            texts.append(str(value))
        elif type(value) is str and len(value) <= _MAX_PART_LENGTH:
            texts.append(value.strip())
        else:
            return None
    texts = [text for text in texts if text]
    return texts if len(texts) > 1 else None


def _value_of_part(name: str) -> tuple[str, PIIKind | None]:
    """The name of the value of which a field of this name has a part, and the kind of that value."""
    words = words_of_name(name)
    if is_part_of_name(name):
        return "".join(words[:-2]), PIIKind.PERSON
    if name in _KOREAN_NAME_PARTS or name.lower() in _SHORT_NAME_PARTS:
        return "", PIIKind.PERSON
    whole = list(words)
    while len(whole) > 1 and (whole[-1].isdigit() or whole[-1] in _PART_WORDS):
        whole.pop()
    if whole == words and words:
        for ending in _PART_ENDINGS:
            if words[-1].endswith(ending) and len(words[-1]) > len(ending) + 1:
                whole[-1] = words[-1].removesuffix(ending)
                break
    kind = meaning_of_name("_".join(whole)).kind if whole else ""
    if kind == PIIKind.ADDRESS:  # 주소 and 상세주소, street and address line 2
        return "address", PIIKind.ADDRESS
    if whole == words or kind not in _FITS or kind == PIIKind.PERSON:  # 직원A and 직원B are two persons
        return "", None
    return "".join(whole), PIIKind(kind)


def _fits_digits(texts: Sequence[str], kind: PIIKind) -> bool:
    allowed = _DIGITS[kind]
    if not all(text.isascii() and text.isdigit() for text in texts):
        return False
    longest = max(map(len, texts))
    return sum(map(len, texts)) in allowed and longest < allowed.start


def _fits_date(texts: Sequence[str], kind: PIIKind) -> bool:
    """A year and at least a month."""
    del kind
    return all(text.isascii() and text.isdigit() for text in texts) and max(map(len, texts)) in {2, 4}


def _fits_email(texts: Sequence[str], kind: PIIKind) -> bool:
    del kind
    return len(texts) == 2 and _LOCAL_PART.fullmatch(texts[0]) is not None and _DOMAIN.fullmatch(texts[1]) is not None


def _fits_name(texts: Sequence[str], kind: PIIKind) -> bool:
    del kind
    if any(text.count(" ") > _MAX_SPACES_IN_NAME or text.endswith(_ENDS_OF_SENTENCES) for text in texts):
        return False  # what two persons say in a chat
    return all(_NAME.fullmatch(text) is not None and not text[0].islower() for text in texts)


def _fits_address(texts: Sequence[str], kind: PIIKind) -> bool:
    del kind
    return any(map(_ADDRESS_DETAIL.search, texts))


_FITS: Mapping[str, Callable[[Sequence[str], PIIKind], bool]] = {
    **dict.fromkeys(_DIGITS, _fits_digits),
    PIIKind.DATE_OF_BIRTH: _fits_date,
    PIIKind.EMAIL: _fits_email,
    PIIKind.PERSON: _fits_name,
    PIIKind.ADDRESS: _fits_address,
}
_FITS_IN_LIST = frozenset({*_DIGITS, PIIKind.EMAIL, PIIKind.ADDRESS})
