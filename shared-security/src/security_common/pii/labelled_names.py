"""Names of any kind after a label with a separator: 예금주: 설인아름, 이름: 王偉, 성명 | 응우옌 반 안.

Labels such as 예금주 are written before persons or companies only. Labels such as 이름 and name are also written
before things: after those the value itself must look like a name.
"""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.korean_words import is_listed_word, is_ordinary_word
from security_common.pii.labels import Label, LabelledText, is_label
from security_common.pii.names_in_hangul import is_name_in_hangul
from security_common.pii.rules import Rule
from security_common.pii.word_lists import WordEndings, any_word, read_lists

__all__ = ["AFTER_LABEL_GATE", "HAN_NAMES", "find_labelled_names"]

_LISTS = read_lists("labelled_names")
_GENERAL_LABELS = frozenset(_LISTS["general_labels"])
_KOREAN_SURNAMES = frozenset(read_lists("korean_names")["surnames"][0] + "감빈범온옹운")
_NOT_PERSONS = frozenset(_LISTS["not_persons"])
_ENDINGS_OF_ORGANISATIONS = WordEndings(_LISTS["organisation_endings"])
_GAP = r"(?:\([^()\n]{1,6}\))?[\"'\]]?\s{0,2}[:=|]\s{0,2}[\"'\[]?"
_END_OF_VALUE = r"(?=[\"'\n\r,;|/()<\[\]}\t]|\s{2}|\s?[-(|/+0-9]|\s(?:님|씨|귀하)|\s*$)"
_HANGUL_VALUE = re.compile(rf"{_GAP}(?P<name>[가-힣]{{2,9}}(?:[ ·][가-힣]{{1,7}}){{0,3}}){_END_OF_VALUE}")
_HAN, _HAN_OR_KANA = "\u3005\u3400-\u4dbf\u4e00-\u9fff", "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_HAN_SURNAMES = frozenset(_LISTS["han_surnames"][0])
_JAPANESE_SURNAME = any_word(_LISTS["japanese_surnames"])
_HAN_SURNAME = f"(?:{_JAPANESE_SURNAME}|[{_LISTS['han_surnames'][0]}])"
_HAN_NAME = re.compile(_HAN_SURNAME)
_HAN_VALUE = re.compile(
    rf"(?:{_GAP}|은 |는 |[ ])"
    rf"(?P<name>{_JAPANESE_SURNAME}[ ]?[{_HAN_OR_KANA}]{{1,4}}|[{_HAN}]{{1,2}}[{_HAN_OR_KANA}]{{1,4}})"
    rf"(?![가-힣{_HAN_OR_KANA}])"
)
# 김철수(金哲洙)
_HAN_AFTER_HANGUL = re.compile(rf"(?<=[가-힣])\s?\((?P<name>[{_HAN}]{{2,4}})\)")
_HAN_WITH_HONORIFIC = re.compile(
    rf"(?<![{_HAN}])(?P<name>{_HAN_SURNAME}[{_HAN}]{{0,3}}?)(?=先生|女士|小姐|同志|様|さん|氏|君)"
)
_JAPANESE_NAME = re.compile(
    rf"(?<![{_HAN}])(?P<name>{_JAPANESE_SURNAME}[ ]?{any_word(_LISTS['japanese_given'])})(?![{_HAN}])"
)
_MAX_NAME_LENGTH, _MAX_KOREAN_NAME_LENGTH = 5, 4
_HAN_LABELS = frozenset(_LISTS["han_labels"])
_ENDINGS_OF_SENTENCES = frozenset("다요까죠네")


def find_labelled_names(source: LabelledText) -> Iterator[Finding]:
    """Names in Hangul, Han characters and kana after labels for persons."""
    for label in source.labels.of_kind("PERSON"):
        yield from _find_after_label(source, label)


def _find_han_names(source: LabelledText) -> Iterator[Finding]:
    """Names in Han characters with an honorific, with a Japanese given name, or beside the same name in Hangul."""
    text = source.text
    for pattern in (_HAN_WITH_HONORIFIC, _JAPANESE_NAME):
        for match in pattern.finditer(text):
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.75, "honorific")
    for match in _HAN_AFTER_HANGUL.finditer(text):
        if match["name"][0] in _HAN_SURNAMES:
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.7, "neighbour")


def _find_after_label(source: LabelledText, label: Label) -> Iterator[Finding]:
    is_general = source.lowered[label.start : label.end].replace("_", " ") in _GENERAL_LABELS
    hangul = _HANGUL_VALUE.match(source.text, label.end)
    if hangul is not None and _may_be_person(hangul["name"], is_general=is_general):
        yield Finding(PIIKind.PERSON, *hangul.span("name"), 0.72, "label")
    han = _HAN_VALUE.match(source.text, label.end)
    if han is not None and han["name"] not in _HAN_LABELS and (not is_general or _HAN_NAME.match(han["name"])):
        yield Finding(PIIKind.PERSON, *han.span("name"), 0.8, "label")


def _may_be_person(value: str, *, is_general: bool) -> bool:
    """Whether a value in Hangul may be a person's name."""
    words = re.split("[ ·]", value)
    if len(words) > 1 and words[-1][-1] in _ENDINGS_OF_SENTENCES:
        return False
    if value in _NOT_PERSONS or any(_is_other_word(word) for word in words):
        return False
    if is_name_in_hangul(value):
        return True
    if len(words) > 1:
        return any(map(is_name_in_hangul, words))
    return not is_general and len(value) <= _MAX_NAME_LENGTH and value[0] in _KOREAN_SURNAMES


def _is_other_word(word: str) -> bool:
    if len(word) > _MAX_KOREAN_NAME_LENGTH and is_listed_word(word[:2]):
        return True  # a compound: 주문번호는
    return (
        word in _NOT_PERSONS
        or is_label(word)
        or is_listed_word(word)
        or is_ordinary_word(word)
        or _ENDINGS_OF_ORGANISATIONS.match(word)
    )


AFTER_LABEL_GATE = rf"(?:\([^()]*\))?[\"'\]]?\s{{0,2}}[:=|]\s{{0,2}}[\"'\[]?[가-힣{_HAN}]|(?:은 |는 | )[{_HAN}]"
"""What is between a label for persons and the beginning of a name in Hangul or Han characters."""
HAN_NAMES = Rule(f"[{_HAN}]", _find_han_names, may_be_public=True)
