"""Korean names with rare surnames or unusual syllables, where the words around them show that they are names.

    두만석 과장이 회신함                  before a rank
    삼순녀 611102-2284239              before a resident number or a mobile number
    하율(남, 2015-04-02)               before the sex or the date of birth in brackets
    저는 하정태이고요                    a person says the own name
    사용자 궁예찬, 차주분(복진철)           behind a role that is also the beginning of other phrases
    통관 보류 – 섭지현, 부호 …            between a dash and a comma

A listed word, a word with a particle, a role and the name of an organisation are no names here.
"""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.given_names import COMMON_GIVEN_NAMES
from security_common.pii.korean_words import is_derived_word, is_listed_word, is_ordinary_word
from security_common.pii.labels import LabelledText
from security_common.pii.names_in_fields import SURNAMES, is_not_a_name
from security_common.pii.names_in_hangul import is_name_in_hangul
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_word, any_word_without_look_around, longest_word, read_lists

__all__ = ["UNUSUAL_KOREAN_NAMES"]

_LISTS = read_lists("names_in_fields")
_RANK = any_word(_LISTS["ranks"])
_NUMBER = r"(?:[0-9]{6}-?[1-8][0-9]{6}|01[016-9][-. ]?[0-9]{3,4}[-. ]?[0-9]{4})(?![0-9])"
_NAME = "(?<![가-힣])(?P<name>[가-힣]{2,4})"
_BEFORE_RANK = re.compile(rf"{_NAME}[ ]{_RANK}(?:님|이|가|은|는|께서?|한테|에게|도|의|과|와|을|를)?(?![가-힣])")
_BEFORE_NUMBER = re.compile(rf"{_NAME}(?:[ ,:(]|, |: |[\"'], ?[\"'])(?={_NUMBER})")
_BEFORE_SEX_OR_BIRTH = re.compile(
    rf"{_NAME}[ ]?\((?:[남여](?:[,)/·]|아[,)]|성[,)])|(?:19|20)[0-9]{{2}}[-.년/][0-9 ]{{1,3}}[-.월/]|[0-9]{{2}}년생)"
)
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


def _find_before_ranks(source: LabelledText) -> Iterator[Finding]:
    """A given name alone is no name here: 한빛 대표 is the representative of a company."""
    for finding in _find(source, _BEFORE_RANK, "title"):
        if source.text[finding.start : finding.end] not in COMMON_GIVEN_NAMES:
            yield finding


def _find_before_numbers(source: LabelledText) -> Iterator[Finding]:
    yield from _find(source, _BEFORE_NUMBER, "neighbour")


def _find_before_sex_or_birth(source: LabelledText) -> Iterator[Finding]:
    yield from _find(source, _BEFORE_SEX_OR_BIRTH, "neighbour")


def _find_introduced(source: LabelledText) -> Iterator[Finding]:
    yield from _find(source, _INTRODUCED, "says-name")


def _find_after_roles(source: LabelledText) -> Iterator[Finding]:
    yield from _find(source, _AFTER_ROLE, "label")


def _find_between_marks(source: LabelledText) -> Iterator[Finding]:
    """Names with a common given name in a list or after a dash. Here other words are frequent too."""
    for finding in _find(source, _BETWEEN_MARKS, "neighbour"):
        name = source.text[finding.start : finding.end]
        if name[1:] in COMMON_GIVEN_NAMES or name[2:] in COMMON_GIVEN_NAMES:
            yield finding


def _find(source: LabelledText, pattern: re.Pattern[str], why: str) -> Iterator[Finding]:
    for match in pattern.finditer(source.text):
        if _is_name(match["name"]):
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.6, why)


UNUSUAL_KOREAN_NAMES = (
    Rule(rf"[가-힣]{{2}} {_RANK}", _find_before_ranks, may_be_public=True),
    Rule(r"[가-힣]{2}[\"']?[ ,:(] ?[\"']?(?:[0-9]{6}-?[1-8][0-9]{6}|01[016-9][-. ]?[0-9])", _find_before_numbers),
    Rule(r"[가-힣]{2} ?\((?:[남여]|19|20|[0-9]{2}년생)", _find_before_sex_or_birth),
    Rule(
        rf"{any_word_without_look_around(_LISTS['roles_before_unusual_names'])}[님분]? ?[ (][\"'(]?[가-힣]{{2}}",
        _find_after_roles,
        may_be_public=True,
        begins_with_word=True,
    ),
    Rule(r"[–—\-.)] [가-힣]{3,4}(?:[,(\n]| [–—-] |$)", _find_between_marks, may_be_public=True),
    Rule(r"(?:저는?|제 이름은|한|했던|드린) [가-힣]{3}(?:입|이|인|고|예|라)", _find_introduced),
)
