"""Korean names after the role of a person: 세입자 엄지온, 남편 장수덕, 피의자: 계만수, 시어머니 성함은 차끝분이고요.

Such a role is hardly ever written before another word that looks like a name, so that rare surnames and rare given
names are accepted here.
"""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.given_names import COMMON_GIVEN_NAMES
from security_common.pii.korean_words import is_derived_word, is_listed_word, is_ordinary_word
from security_common.pii.labels import LabelledText, is_label
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_word_without_look_around, longest_word, read_lists

__all__ = ["NAMES_AFTER_ROLES"]

_LISTS, _ROLES, _LABELLED, _LATIN = (
    read_lists(name) for name in ("korean_names", "person_roles", "labelled_names", "latin_prose")
)
_SURNAMES, _RARE_SURNAMES = frozenset(_LISTS["surnames"][0]), frozenset(_LABELLED["rare_surnames"][0])
_DISTINCT_RARE_SURNAMES = frozenset("감계간단당두빈빙음순뇌낭궉탄풍리려란누해흥증온옹엽")
_DOUBLE_SURNAMES = frozenset(_LISTS["double_surnames"])
_FIRST_SYLLABLES, _LAST_SYLLABLES, _SINGLE_GIVEN = (
    frozenset(_LISTS[name][0]) for name in ("first_syllables", "last_syllables", "single_given")
)
_LENGTHS = (3, 2, 4)
_NUMERALS = frozenset("영일이삼사오육칠팔구십백천만년월")
_NOT_PERSONS = frozenset(_LABELLED["not_persons"]) | frozenset(_ROLES["korean"]) | frozenset(_LISTS["titles"])
_ENDINGS_OF_THINGS = tuple("서장건시금료비증표권률율형식별용측팀과실관점사")
_ORGANISATION = tuple(ending for ending in _LABELLED["organisation_endings"] if len(ending) > 1)
_MORE_LABELS = {"이름은", "성함", "성명", "성 명", "원 고", "피 고", "수신인", "발신인"}
_ROLES_BEFORE_NAMES = _MORE_LABELS | (
    {role for role in _ROLES["korean"] if len(role) > 1} - set(_ROLES["roles_like_words"])
)
_NAME_AFTER_ROLE = re.compile(
    rf"{longest_word(_ROLES_BEFORE_NAMES)}(?:님|분)?(?:[ ]?(?:성함|성명|이름))?(?:은|는|인|이|가)?"
    r"(?:[ ]?\([^()\n]{1,8}\))?"
    r"(?P<connector>[ ]{0,2}[:=|][ ]{0,2}[\"'\[]?|[ ]{1,4})(?P<word>[가-힣]{2,9})(?![가-힣])"
    r"(?P<is_value>[ ]{0,2}(?:[\n,;/|(\"'\]]|$)|[ ]{2})?"
)
# 감이슬입니다, 계민준 드림: a rare surname with a common given name
_RARE_NAME = re.compile(
    rf"(?<![가-힣])(?P<name>[{''.join(sorted(_DISTINCT_RARE_SURNAMES))}](?P<given>[가-힣]{{2}}))"
    r"(?=입니다|이에요|예요|인데요|[ ]?(?:드림|올림|배상|님|씨|귀하)(?![가-힣]{2}))"
)
# seller 마광진, guest="곽두형"
_ENGLISH_ROLE = longest_word(_LATIN["roles"] + _LATIN["roles_before_hangul"])
_NAME_AFTER_ENGLISH_ROLE = re.compile(
    rf"(?<![a-z]){_ENGLISH_ROLE}(?:_?(?:name|nm))?[\"']?(?P<connector>[ ]?[:=][ ]?[\"']?|[ ][\"']?)"
    r"(?P<word>[가-힣]{2,4})(?![가-힣])",
    re.IGNORECASE,
)
# 증인 감찬영, 임금례: more names behind the first one
_NEXT_NAME = re.compile(r"[ ]?[,·/、][ ]?(?P<word>[가-힣]{2,9})(?![가-힣])")
_MAX_NAMES = 40
# The answer to a question in the next line of a chat: 성함이 어떻게 되세요? / 고객: 문명자요
_ANSWER = re.compile(
    r"(?:성함|성명|이름)[^\n?]{0,20}[?요오]\s{0,2}\n(?:[^\n:>]{1,12}[:>][ ]?)?(?:네[,.]?[ ]|저는[ ])?"
    r"(?P<word>[가-힣]{2,9}?)(?:이?요|이?고요|인데요|입니다|이에요|예요)?(?=[.!,]|\s*(?:\n|$)|[ ](?:씨|님|여사|고객))"
)
# A speaker whose surname is written apart, at the beginning of a line: 박 하나: …
_SPEAKER = re.compile(
    rf"(?:^|(?<=\n))(?P<name>(?:[{_LISTS['surnames'][0]}]|{'|'.join(_LISTS['double_surnames'])})[ ]"
    r"(?P<given>[가-힣]{2}))(?=:[ ])"
)
_INTRODUCED = re.compile(
    r"(?<![가-힣])(?:저는?|제가|제 이름은|본명은?)[ ](?P<word>[가-힣]{2,4}?)(?:이?라고|라는)[ ]?(?=[하합해불])"
)
_PARTICLE = re.compile(
    r"(?:이랑|랑|이|가|은|는|을|를|과|와|의|에게서?|한테서?|께서?|하고|도|만|로|으로|외"
    r"|이고요?|이구요?|고요|구요|이요|이며"
    r"|이?(?:라고|라는|예요|에요|었|였)[가-힣]{0,3}|입니다|인데요?|님|씨)?"
)


def _find_after_roles(source: LabelledText) -> Iterator[Finding]:
    """At most one name after each role."""
    for match in _NAME_AFTER_ROLE.finditer(source.text):
        is_whole_value = match["is_value"] is not None
        is_certain = is_whole_value and (":" in match["connector"] or "=" in match["connector"])
        length = _length_of_name(match["word"], is_certain=is_certain)
        if not length and is_whole_value and _has_rare_surname(match["word"]):
            length = len(match["word"])
        if length:
            start = match.start("word")
            yield Finding(PIIKind.PERSON, start, start + length, 0.71, "label")
            if length == len(match["word"]):
                yield from _find_next_names(source.text, start + length)


def _find_next_names(text: str, position: int) -> Iterator[Finding]:
    """The names of a list, behind its first name."""
    for _ in range(_MAX_NAMES):
        match = _NEXT_NAME.match(text, position)
        length = _length_of_name(match["word"], is_certain=False) if match is not None else 0
        if match is None or not length:
            return
        start = match.start("word")
        yield Finding(PIIKind.PERSON, start, start + length, 0.7, "list")
        position = match.end()
        if length < len(match["word"]):
            return


def _find_rare_names(source: LabelledText) -> Iterator[Finding]:
    """Rare surnames with a common given name, before an introduction, a signature or an honorific."""
    for match in _RARE_NAME.finditer(source.text):
        if match["given"] in COMMON_GIVEN_NAMES:
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.7, "given-name")


def _find_after_english_roles(source: LabelledText) -> Iterator[Finding]:
    """Names in Hangul after a role in English."""
    for match in _NAME_AFTER_ENGLISH_ROLE.finditer(source.text):
        length = _length_of_name(match["word"], is_certain=not match["connector"].isspace())
        if length:
            start = match.start("word")
            yield Finding(PIIKind.PERSON, start, start + length, 0.71, "label")


def _find_answers(source: LabelledText) -> Iterator[Finding]:
    """The answer to a question for a name."""
    for match in _ANSWER.finditer(source.text):
        length = _length_of_name(match["word"], is_certain=True)
        if length:
            start = match.start("word")
            yield Finding(PIIKind.PERSON, start, start + length, 0.72, "label")


def _find_speakers(source: LabelledText) -> Iterator[Finding]:
    """Speakers of a chat with a space behind the surname."""
    for match in _SPEAKER.finditer(source.text):
        if match["given"] in COMMON_GIVEN_NAMES or match["name"][:2] in _DOUBLE_SURNAMES:
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.66, "speaker")


def _find_introduced(source: LabelledText) -> Iterator[Finding]:
    """The name with which a person speaks of himself or herself."""
    for match in _INTRODUCED.finditer(source.text):
        if _may_be_name(match["word"], is_certain=True):
            yield Finding(PIIKind.PERSON, *match.span("word"), 0.7, "says-name")


def _length_of_name(word: str, *, is_certain: bool) -> int:
    """How many syllables at the beginning of a word are a name, before a particle; 0 if none are."""
    if is_ordinary_word(word) and not (is_certain and word[1:3] in COMMON_GIVEN_NAMES):
        return 0
    if is_certain and len(word) in _LENGTHS and _may_be_name(word, is_certain=True):
        return len(word)
    lengths = (4, 3) if word[:2] in _DOUBLE_SURNAMES else (3, 2)
    for length in lengths:
        is_whole = len(word) >= length and _PARTICLE.fullmatch(word, length) is not None
        if is_whole and _may_be_name(word[:length], is_certain=False):
            return length
    return 0


def _has_rare_surname(word: str) -> bool:
    """Whether a whole word may be a rare surname with two usual syllables of a given name."""
    if len(word) != 3 or word[0] not in _DISTINCT_RARE_SURNAMES or word in _NOT_PERSONS or is_label(word):
        return False
    return word[1] in _FIRST_SYLLABLES and word[2] in _LAST_SYLLABLES and not word.endswith(_ORGANISATION)


def _may_be_name(name: str, *, is_certain: bool) -> bool:
    """Whether the syllables may be a surname followed by a given name, and are not another word.

    The whole value after a colon (`is_certain`) may also have a rare surname and unusual syllables.
    """
    surname = name[:2] if name[:2] in _DOUBLE_SURNAMES else name[:1]
    given = name[len(surname) :]
    is_common = given in COMMON_GIVEN_NAMES
    is_surname = len(surname) == 2 or surname in _SURNAMES or (surname in _RARE_SURNAMES and (is_certain or is_common))
    if not given or not is_surname or _NUMERALS.issuperset(name):
        return False
    may_be_derived = is_derived_word(name) and not (is_certain and is_common)
    if name in _NOT_PERSONS or is_listed_word(name) or may_be_derived or is_label(name):
        return False
    if name.endswith(_ORGANISATION) or (is_listed_word(name[:2]) and name.endswith(_ENDINGS_OF_THINGS)):
        return False
    if len(given) == 1:
        return given in _SINGLE_GIVEN
    return is_certain or (given[0] in _FIRST_SYLLABLES and given[-1] in _LAST_SYLLABLES)


NAMES_AFTER_ROLES = (
    Rule(any_word_without_look_around(_ROLES_BEFORE_NAMES), _find_after_roles, begins_with_word=True),
    Rule("(?:저는?|제가|제 이름은|본명은?) [가-힣]{2,6}[고는]", _find_introduced),
    Rule(
        f"[{''.join(sorted(_DISTINCT_RARE_SURNAMES))}][가-힣]{{2}}"
        "(?:입니다|이에요|예요|인데요| ?(?:드림|올림|배상|님|씨|귀하))",
        _find_rare_names,
    ),
    Rule(
        rf"(?i:{any_word_without_look_around(_LATIN['roles'] + _LATIN['roles_before_hangul'])})"
        r"(?i:_?(?:name|nm))?[\"']?[ :=]{1,3}[\"']?[가-힣]",
        _find_after_english_roles,
        begins_with_word=True,
    ),
    Rule(r"[?요오]\s*\n", _find_answers),
    Rule(
        rf"(?:^|\n)(?:[{_LISTS['surnames'][0]}]|{'|'.join(_LISTS['double_surnames'])}) [가-힣]{{2}}: ", _find_speakers
    ),
)
