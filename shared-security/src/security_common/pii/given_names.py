"""Korean given names without a surname: 민지한테, 지훈이가, 길동씨, 홍 길동님.

A name that is also an ordinary word (지원, 하늘) needs an honorific; 나라님 and 주민님 are not names even then.
"""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_syllable_pair, any_word_without_look_around, longest_word, read_lists

__all__ = ["COMMON_GIVEN_NAMES", "GIVEN_NAMES_BEFORE_HONORIFIC", "GIVEN_NAMES_BEFORE_PARTICLE"]

_LISTS = read_lists("korean_names")
COMMON_GIVEN_NAMES = frozenset(_LISTS["given_names"]) | {
    first + last for first in _LISTS["common_first"][0] for last in _LISTS["name_endings"][0]
}
"""Given names of two syllables that are common enough to be recognized by themselves."""
_NOT_BEFORE_HONORIFIC = frozenset(_LISTS["not_before_honorific"])
_BEFORE_HONORIFIC = re.compile(
    rf"(?<![가-힣])(?:[{_LISTS['surnames'][0]}][ ])?([가-힣]{{2}})(?=\s?(?:씨|님)(?![가-힣]{{3}}))"
)
_DISTINCT_NAME = longest_word(_LISTS["distinct_given_names"])
_BEFORE_PARTICLE = re.compile(
    rf"(?<![가-힣A-Za-z0-9])(?:{_DISTINCT_NAME})"
    r"(?=(?:한테서?|에게서?|께서?|이?랑|하고|야|아|이?가|이?는|이?를|이?도|이?와|이?의|은|을|이|과)(?![가-힣])|이?한테|이라고|이라는|이에요|예요)"
)
# Forms of verbs that are written like a given name and a particle: 지우는 is also a form of 지우다.
_VERB_FORM = re.compile("지우[는고]|지은이|정은|해진")


_QUOTES = frozenset("'\"‘’“”《》「」『』<>")
_REST_OF_WORD = re.compile("[가-힣]*")


def _is_title(text: str, start: int, end: int) -> bool:
    """Whether a name with its particle is the whole text or in quotation marks, as the song '민지에게'."""
    rest = _REST_OF_WORD.match(text, end)
    end_of_word = end if rest is None else rest.end()
    begins = start == 0 or text[start - 1] in _QUOTES
    return begins and (end_of_word == len(text) or text[end_of_word] in _QUOTES)


def _find_before_honorific(source: LabelledText) -> Iterator[Finding]:
    """Given names before 씨 or 님, also with a surname: 길동씨, 홍 길동님."""
    for match in _BEFORE_HONORIFIC.finditer(source.text):
        given = match.group(1)
        if given in COMMON_GIVEN_NAMES and given not in _NOT_BEFORE_HONORIFIC:
            has_surname = match.start(1) > match.start()
            yield Finding(PIIKind.PERSON, match.start(), match.end(), 0.8 if has_surname else 0.6, "given-name")


def _find_before_particle(source: LabelledText) -> Iterator[Finding]:
    """Distinct given names before a particle: 민지한테, 지훈이가."""
    text = source.text
    for match in _BEFORE_PARTICLE.finditer(text):
        if not _is_title(text, *match.span()) and not _VERB_FORM.match(text, match.start()):
            yield Finding(PIIKind.PERSON, *match.span(), 0.6, "given-name")


GIVEN_NAMES_BEFORE_HONORIFIC = Rule(
    rf"(?:^|[^가-힣]){any_syllable_pair(COMMON_GIVEN_NAMES - _NOT_BEFORE_HONORIFIC)}\s?[씨님]",
    _find_before_honorific,
    may_be_public=True,
)
GIVEN_NAMES_BEFORE_PARTICLE = Rule(
    rf"(?:^|[^가-힣A-Za-z0-9]){any_word_without_look_around(_LISTS['distinct_given_names'])}"
    "(?:한테|에게|께|랑|하고|[야아가는를도와의은을과이]|예요)",
    _find_before_particle,
    may_be_public=True,
)
