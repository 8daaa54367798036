"""Korean names that are also words, or have a rare form, where the grammar around them shows a person.

    하랑이가, 가을이한테도               the syllable that is added to given names, before a particle
    이슬 환아, 조이 어머니, 구름 학생        before a word for a person whom one calls by the given name
    석란 드림, 김훈 올림                  a signature
    안녕하세요, 인사팀 석란입니다           behind a greeting
    탁윤 이름으로                       in whose name something is done
    동생 미솔, 따님 탁영                  behind a relation

The words around decide, so that listed words and names of two syllables are accepted. Roles, labels and names of
organisations are not names. The work is linear in the length of the text.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.given_names import COMMON_GIVEN_NAMES
from security_common.pii.korean_words import fits_last_sound, is_derived_word, is_listed_word, is_ordinary_word
from security_common.pii.labels import LabelledText
from security_common.pii.names_in_fields import (
    DOUBLE_SURNAMES,
    ENDINGS_OF_ROLES,
    SURNAMES,
    WORDS_AS_NAMES,
    is_not_a_name,
)
from security_common.pii.names_in_hangul import is_name_in_hangul
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_word, any_word_without_look_around, longest_word, read_lists

__all__ = ["KOREAN_NAMES_BY_GRAMMAR"]

_LISTS = read_lists("korean_grammar")
_RARELY_NAMES = frozenset(_LISTS["words_rarely_names"])
_GIVEN_NAMES = COMMON_GIVEN_NAMES | (WORDS_AS_NAMES - _RARELY_NAMES)
_USUAL_LENGTH = 3
_PARTICLES_OF_ONE_SYLLABLE = frozenset("에도은는이가을를의와과로만")
_PARTICLES_LIKE_SYLLABLES = frozenset("만도은")  # a line does not end in a particle: 담임 안중만
_PARTICLE = "(?P<particle>[가-힣]{0,4})(?![가-힣])"
_GIVEN_NAME_WITH_I = re.compile(
    "(?<![가-힣'\"‘“「『<])(?P<name>[가-힣]{2})(?=이(?:[가는를의네]|도|랑|하고|한테서?도?|에게서?도?)(?![가-힣]))"
)
_PERSON_AFTER = any_word(_LISTS["persons_after_given_names"])
_BEFORE_PERSON = re.compile(
    rf"(?<![가-힣])(?P<name>[가-힣]{{2,4}})(?=[ ]{_PERSON_AFTER}"
    "(?:이|가|은|는|께서?|을|를|의|도|한테|에게|과|와|랑|님)?(?![가-힣]))"
)
_BEFORE_AGE = re.compile(r"(?<![가-힣])(?P<name>[가-힣]{2,4})(?=[ ]?\((?:만?[ ]?[0-9]{1,3}세|[남여][,)/·]))")
_SIGNATURE = re.compile(r"(?<![가-힣])(?P<name>[가-힣]{2,4})(?=[ ](?:드림|올림|배상|拜上)[ .]*(?:\n|$|\"))")
_GREETING = re.compile(
    r"안녕하(?:세요|십니까|신가요)[,.!~]{0,2}[ \n]{0,2}(?:[가-힣A-Za-z0-9()·/]{1,14},? ){0,4}"
    r"(?P<name>[가-힣]{2,4}?)(?=입니다|이에요|예요|인데요|이라고)"
)
_IN_NAME_OF = re.compile(r"(?<![가-힣])(?P<name>[가-힣]{2,4}?)(?:씨|님)?(?= (?:이름으로|명의로))")
_ROLES = read_lists("person_roles")["korean"]
_AFTER_ROLE = re.compile(
    rf"(?:^|(?<=\n))(?:[-*·] ?)?{longest_word(_ROLES)}[ ]"
    r"(?P<name>[가-힣]{2,4})(?=[ ]*(?:\n|$)|[ ]?\()"
)
_RELATION = longest_word(_LISTS["relations"])
_AFTER_RELATION = re.compile(rf"(?<![가-힣]){_RELATION} (?P<name>[가-힣]{{2,3}}?){_PARTICLE}")


def _is_given_name(word: str) -> bool:
    return word in _GIVEN_NAMES or is_name_in_hangul(word)


def _is_full_name(word: str) -> bool:
    """Whether a word can be a surname and a given name, and is not listed."""
    if is_listed_word(word) or is_ordinary_word(word) or is_derived_word(word):
        return False
    if word[:2] in DOUBLE_SURNAMES:
        return len(word) > 2
    return word[0] in SURNAMES and len(word) <= _USUAL_LENGTH


def _is_name(word: str) -> bool:
    if is_not_a_name(word):
        return False
    return _is_given_name(word) or (_is_full_name(word) and not word.endswith(ENDINGS_OF_ROLES))


def _is_name_after_greeting(word: str) -> bool:
    return _is_name(word) and not word.endswith(ENDINGS_OF_ROLES)


def _is_name_after_role(word: str) -> bool:
    """As the whole line behind a role a listed word can be a name too: 수임인 노을, 담임 안중만."""
    if is_not_a_name(word):
        return False
    if word in WORDS_AS_NAMES or _is_given_name(word) or _is_full_name(word):
        return True
    may_be_name = word[0] in SURNAMES and len(word) == _USUAL_LENGTH and not is_listed_word(word)
    return may_be_name and word[-1] in _PARTICLES_LIKE_SYLLABLES


def _has_final_consonant(syllable: str) -> bool:
    return (ord(syllable) - ord("가")) % 28 != 0


def _is_name_before_i(word: str) -> bool:
    return _has_final_consonant(word[-1]) and (word in COMMON_GIVEN_NAMES or word in WORDS_AS_NAMES)


def _find(
    source: LabelledText, *, pattern: re.Pattern[str], is_name: Callable[[str], bool], why: str
) -> Iterator[Finding]:
    for match in pattern.finditer(source.text):
        if is_name(match["name"]):
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.6, why)


def _find_after_relations(source: LabelledText) -> Iterator[Finding]:
    for match in _AFTER_RELATION.finditer(source.text):
        name, particle = match["name"], match["particle"]
        if is_not_a_name(name) or is_ordinary_word(name + particle) or not fits_last_sound(name, particle):
            continue
        if len(name) < _USUAL_LENGTH and name[-1] in _PARTICLES_OF_ONE_SYLLABLE:
            continue
        if (name in COMMON_GIVEN_NAMES and not is_listed_word(name)) or _is_full_name(name):
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.6, "label")


KOREAN_NAMES_BY_GRAMMAR = (
    Rule(
        "[가-힣]{2}이(?:[가는를의네도랑]|하고|한테|에게)(?:[^가-힣]|[서도]|$)",
        partial(_find, pattern=_GIVEN_NAME_WITH_I, is_name=_is_name_before_i, why="particle"),
        may_be_public=True,
    ),
    Rule(
        f"[가-힣]{{2}} {any_word_without_look_around(_LISTS['persons_after_given_names'])}",
        partial(_find, pattern=_BEFORE_PERSON, is_name=_is_name, why="title"),
        may_be_public=True,
    ),
    Rule(
        r"[가-힣]{2} ?\((?:만? ?[0-9]{1,3}세|[남여][,)/·])",
        partial(_find, pattern=_BEFORE_AGE, is_name=_is_name, why="neighbour"),
    ),
    Rule(
        rf"{any_word_without_look_around(_ROLES)} [가-힣]{{2,4}} *(?:\(|\n|$)",
        partial(_find, pattern=_AFTER_ROLE, is_name=_is_name_after_role, why="label"),
        may_be_public=True,
        begins_with_word=True,
    ),
    Rule(
        r"[가-힣]{2} (?:드림|올림|배상|拜上)[ .]*(?:\n|$|\")",
        partial(_find, pattern=_SIGNATURE, is_name=_is_name, why="signature"),
    ),
    Rule(
        r"안녕하(?:세요|십니까|신가요)",
        partial(_find, pattern=_GREETING, is_name=_is_name_after_greeting, why="says-name"),
        also_required="입니다|이에요|예요|인데요|이라고",
    ),
    Rule("[가-힣]{2} (?:이름으로|명의로)", partial(_find, pattern=_IN_NAME_OF, is_name=_is_name, why="label")),
    Rule(
        f"{any_word_without_look_around(_LISTS['relations'])} [가-힣]{{2}}",
        _find_after_relations,
        may_be_public=True,
        begins_with_word=True,
    ),
)
