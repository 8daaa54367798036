"""Korean names with rare surnames or unusual syllables, where the words around them show that they are names.

    두만석 과장이 회신함                  before a rank
    삼순녀 611102-2284239              before a resident number or a mobile number
    하율(남, 2015-04-02)               before the sex or the date of birth in brackets
    저는 하정태이고요                    a person introduces himself or herself
    사용자 궁예찬, 차주분(복진철)           behind a role that is also the beginning of other phrases
    통관 보류 – 섭지현, 부호 …            between a dash and a comma

Listed words, words with a particle, roles and names of organisations are not taken for names of persons.
"""

import re
from collections.abc import Iterator
from functools import partial

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.given_names import COMMON_GIVEN_NAMES
from security_common.pii.korean_words import fits_last_sound, is_derived_word, is_listed_word, is_ordinary_word
from security_common.pii.labels import LabelledText
from security_common.pii.names_in_fields import ENDINGS_OF_ROLES, SURNAMES, WORDS_AS_NAMES, is_not_a_name
from security_common.pii.names_in_hangul import is_name_in_hangul
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_word, any_word_without_look_around, longest_word, read_lists

__all__ = ["UNUSUAL_KOREAN_NAMES"]

_LISTS, _ROLES = read_lists("names_in_fields"), read_lists("person_roles")
_RANK = any_word(_LISTS["ranks"])
_NUMBER = r"(?:[0-9]{6}-?[1-8][0-9]{6}|01[016-9][-. ]?[0-9]{3,4}[-. ]?[0-9]{4})(?![0-9])"
_NAME = "(?<![가-힣])(?P<name>[가-힣]{2,4})"
_BEFORE_RANK = re.compile(rf"{_NAME}[ ]{_RANK}(?:님|이|가|은|는|께서?|한테|에게|도|의|과|와|을|를)?(?![가-힣])")
_BEFORE_HONORIFIC = re.compile(
    "(?<![가-힣])(?P<name>[가-힣]{2,6}?)[ ]?(?:씨|님)"
    "(?:이랑|이나|이고|이며|이라|이네|네는?|댁|이|은|을|과|께서?|께는|한테|에게|의|도|가|는|를|와|랑|인데|입니다|이세요|이신)?"
    "(?![가-힣])"
)
_BEFORE_HONORIFIC_BUT_NO_NAME = frozenset(_LISTS["before_honorific_but_no_name"])
_NOT_BEFORE_ATTACHED_HONORIFIC = frozenset(read_lists("korean_names")["not_before_honorific"])
_ENDINGS_BEFORE_HONORIFIC = (*ENDINGS_OF_ROLES, *"생수꾼공분들팀집맘파모부")
"""The last syllables of roles and groups of persons, which are also written before 님."""
_BEFORE_NUMBER = re.compile(rf"{_NAME}(?:[ ,:(]|, |: |[\"'], ?[\"'])(?={_NUMBER})")
_BEFORE_SEX_OR_BIRTH = re.compile(
    rf"{_NAME}[ ]?\((?:[남여](?:[,)/·]|아[,)]|성[,)])|(?:19|20)[0-9]{{2}}[-.년/][0-9 ]{{1,3}}[-.월/]|[0-9]{{2}}년생)"
)
# 빙하준은, 탄영숙: surnames with which hardly any word begins, before a common given name
_RARE_SURNAME = "[빙음뇌궉탄풍옹엽즙묵섭]"
_RARE_NAME = re.compile(rf"(?<![가-힣])(?P<name>{_RARE_SURNAME}[가-힣]{{2}})(?P<particle>[가-힣]{{0,4}})(?![가-힣])")
_INTRODUCED = re.compile(
    r"(?<![가-힣])(?:저는?|제 이름은|(?:예약|예매|신청|주문|문의|구매|가입|등록|결제|계약|방문|전화)(?:한|했던|드린)) "
    r"(?P<name>[가-힣]{3})"
    r"(?=입니다|이고요?[ ,.]|이구요|이에요|인데요?|이라고 (?:합니다|해요|하는데)|고요|예요|라고 (?:합니다|해요))"
)
_ROLE = longest_word(_LISTS["roles_before_unusual_names"])
_AFTER_ROLE = re.compile(
    rf"(?<![가-힣]){_ROLE}(?:님|분)?(?:[ ]|[ ]?\()[\"'(]?(?P<name>[가-힣]{{2,4}})"
    r"(?=[,.;)/(\n\"']|$|[ ](?:[0-9+(]|(?:주민|면허|차량|연락|전화|주소|생년|승인|과장|차장|대리)))"
)
# 총무 배춘선, 의장 천막동이: behind a role that is also the beginning of other phrases, with a particle that fits
_AMBIGUOUS_ROLE = longest_word(_ROLES["roles_like_words"])
_AFTER_AMBIGUOUS_ROLE = re.compile(
    rf"(?<![가-힣]){_AMBIGUOUS_ROLE}[ ](?P<name>[가-힣]{{3}})(?P<particle>[가-힣]{{0,4}})(?![가-힣])"
)
_BETWEEN_MARKS = re.compile(r"(?:[–—-]|[0-9][.)]) (?P<name>[가-힣]{3,4})(?=,| [–—-] |\(|\n|$)")
_USUAL_LENGTH = 3
_ENDINGS_OF_OTHER_WORDS = frozenset("한은는의된할적던운을를에도로과와서고며진점역실팀부국처청줘해돼요죠네음함건층호번")


def _is_name(name: str) -> bool:
    """Whether a word in front of evidence for a person is a name and no other word."""
    if is_not_a_name(name) or is_listed_word(name):
        return False
    if is_name_in_hangul(name) or (name in COMMON_GIVEN_NAMES and not is_ordinary_word(name)):
        return True
    if len(name) != _USUAL_LENGTH or name[0] not in SURNAMES:
        return len(name) > _USUAL_LENGTH and name[0] in SURNAMES and name[2:] in COMMON_GIVEN_NAMES
    if name[1:] in COMMON_GIVEN_NAMES:
        return not is_ordinary_word(name)
    if name[-1] in _ENDINGS_OF_OTHER_WORDS or is_listed_word(name[1:]) or is_listed_word(name[:2]):
        return False
    return not (is_ordinary_word(name) or is_derived_word(name))


def _find_before_honorifics(source: LabelledText) -> Iterator[Finding]:
    """Words before 님 or 씨, except roles, labels and ordinary words: 예프게니 씨, 띠엔님, 반석님."""
    for match in _BEFORE_HONORIFIC.finditer(source.text):
        name = match["name"]
        if name in _BEFORE_HONORIFIC_BUT_NO_NAME or is_not_a_name(name) or name.endswith(_ENDINGS_BEFORE_HONORIFIC):
            continue
        if source.text.startswith(" ", match.end("name")):
            is_given_name = True
        elif name in _NOT_BEFORE_ATTACHED_HONORIFIC:
            continue
        else:
            is_given_name = not {name, name[1:]}.isdisjoint(COMMON_GIVEN_NAMES) or name in WORDS_AS_NAMES
        if is_given_name or not (is_ordinary_word(name) or is_derived_word(name) or is_listed_word(name[:2])):
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.61, "honorific")


def _find_before_ranks(source: LabelledText) -> Iterator[Finding]:
    """Full names only. A given name before a rank may be that of a company: 한빛 대표 is its representative."""
    for finding in _find(source, pattern=_BEFORE_RANK, why="title"):
        if source.text[finding.start : finding.end] not in COMMON_GIVEN_NAMES:
            yield finding


def _find_after_ambiguous_roles(source: LabelledText) -> Iterator[Finding]:
    for match in _AFTER_AMBIGUOUS_ROLE.finditer(source.text):
        name, particle = match["name"], match["particle"]
        if fits_last_sound(name, particle) and not is_ordinary_word(name + particle) and _is_name(name):
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.62, "label")


def _find_rare_names(source: LabelledText) -> Iterator[Finding]:
    for match in _RARE_NAME.finditer(source.text):
        name, particle = match["name"], match["particle"]
        is_name = name[1:] in COMMON_GIVEN_NAMES and _is_name(name) and not is_derived_word(name)
        if is_name and fits_last_sound(name, particle) and not is_ordinary_word(name + particle):
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.62, "given-name")


def _find_between_marks(source: LabelledText) -> Iterator[Finding]:
    """Names with a common given name in a list or after a dash. Here other words are frequent too."""
    for finding in _find(source, pattern=_BETWEEN_MARKS, why="neighbour"):
        name = source.text[finding.start : finding.end]
        if name[1:] in COMMON_GIVEN_NAMES or name[2:] in COMMON_GIVEN_NAMES:
            yield finding


def _find(source: LabelledText, *, pattern: re.Pattern[str], why: str) -> Iterator[Finding]:
    for match in pattern.finditer(source.text):
        if _is_name(match["name"]):
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.6, why)


UNUSUAL_KOREAN_NAMES = (
    Rule("[가-힣]{2} ?(?:씨|님)", _find_before_honorifics, may_be_public=True),
    Rule(rf"[가-힣]{{2}} {_RANK}", _find_before_ranks, may_be_public=True),
    Rule(
        r"[가-힣]{2}[\"']?[ ,:(] ?[\"']?(?:[0-9]{6}-?[1-8][0-9]{6}|01[016-9][-. ]?[0-9])",
        partial(_find, pattern=_BEFORE_NUMBER, why="neighbour"),
    ),
    Rule(r"[가-힣]{2} ?\((?:[남여]|19|20|[0-9]{2}년생)", partial(_find, pattern=_BEFORE_SEX_OR_BIRTH, why="neighbour")),
    Rule(
        rf"{any_word_without_look_around(_LISTS['roles_before_unusual_names'])}[님분]? ?[ (][\"'(]?[가-힣]{{2}}",
        partial(_find, pattern=_AFTER_ROLE, why="label"),
        may_be_public=True,
        begins_with_word=True,
    ),
    Rule(
        rf"{any_word_without_look_around(_ROLES['roles_like_words'])} [가-힣]{{3}}",
        _find_after_ambiguous_roles,
        may_be_public=True,
        begins_with_word=True,
    ),
    Rule(f"{_RARE_SURNAME}[가-힣][가-힣]", _find_rare_names, may_be_public=True),
    Rule(r"[–—\-.)] [가-힣]{3,4}(?:[,(\n]| [–—-] |$)", _find_between_marks, may_be_public=True),
    Rule(
        r"(?:저는?|제 이름은|한|했던|드린) [가-힣]{3}(?:입|이|인|고|예|라)",
        partial(_find, pattern=_INTRODUCED, why="says-name"),
    ),
)
