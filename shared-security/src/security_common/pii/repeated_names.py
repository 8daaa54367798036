"""Names that are found at one place of a text and repeated at another where nothing beside them shows what they are.

    이주한 반장이 신고. … 이주한이 부축      found before the rank, repeated before a particle
    왕한결 과장 … 한결 과장이 제안함          the given name of a full name
    Ruth Okafor called. … Ruth will pay     the first name of a full name

Only names that are hardly ever another word are repeated: Hangul of at least three syllables, given names that are not
words or are followed by what only follows names of persons, and the parts of a full name in Latin letters that are not
ordinary words. The work is linear in the length of the text.
"""

import re
from itertools import islice
from operator import attrgetter

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.korean_words import fits_last_sound, is_listed_word, is_ordinary_word
from security_common.pii.latin_names import ORDINARY_WORDS, SENTENCE_WORDS, in_list_form, is_ambiguous_name
from security_common.pii.names_in_fields import DOUBLE_SURNAMES, SURNAMES
from security_common.pii.public_names import PUBLIC_NAME

__all__ = ["with_repeated_names"]

_MIN_HANGUL_LENGTH, _MAX_HANGUL_LENGTH = 3, 5
_MIN_LATIN_LENGTH = 3
_MAX_NAMES = 256
_MAX_NAMES_COUNTED = 4
_SCORE = 0.6
_HANGUL = re.compile("[가-힣]+")
_WORD = re.compile("[가-힣]{2,9}|[A-ZÀ-Ž][A-Za-zÀ-ž'’-]{2,24}")
_LATIN_NAME = re.compile("[A-ZÀ-Ž][A-Za-zÀ-ž'’-]{1,24}(?: [A-ZÀ-Ž][A-Za-zÀ-ž'’-]{1,24}){1,3}")
_GIVEN_NAME_LENGTH = 2
# 하나님, 우주한테, 하늘이가: after a given name that is also a word, only what follows names of persons
_AFTER_WORD_AS_NAME = re.compile(
    "(?:이[가는를랑도의네]|이?(?:한테|에게|께)서?[는도]?|님[이은을과의도께]?|씨[가는를와의도]?)(?![가-힣])"
)
_AFTER_GIVEN_NAME = re.compile(rf"(?:{_AFTER_WORD_AS_NAME.pattern}|[이가은는을를과와랑의도만]|이?랑)(?![가-힣])")
_JOINED_BEFORE = frozenset("@_/.-=")
_JOINED_BEHIND = re.compile(r"[@_/=-]|\.\w")


def with_repeated_names(text: str, found: list[Finding]) -> list[Finding]:
    """`found`, which are findings of `text` in order, with the other places of the names in them."""
    persons = (each for each in found if each.kind is PIIKind.PERSON and each.why != PUBLIC_NAME)
    names = {text[each.start : each.end] for each in islice(persons, _MAX_NAMES)}
    if not names:
        return found
    hangul = {name for name in names if _is_distinct_in_hangul(name)}
    given = {name[-_GIVEN_NAME_LENGTH:] for name in names if _is_full_name_in_hangul(name)}
    latin = {part for name in names if _LATIN_NAME.fullmatch(name) for part in _distinct_parts(name)}
    if not (hangul or given or latin):
        return found
    if len(names) <= _MAX_NAMES_COUNTED and all(text.count(part) == 1 for part in hangul | given | latin):
        return found  # nearly every text: counting a few names is faster than reading every word
    repeated: list[Finding] = []
    index = 0
    for match in _WORD.finditer(text):
        start, word = match.start(), match.group()
        if word[0] >= "가":
            length = _length_in_hangul(word, hangul) or _length_of_given_name(word, given)
        else:
            length = _length_in_latin(text, start, word, latin)
        if not length:
            continue
        while index < len(found) and found[index].end <= start:
            index += 1
        if index == len(found) or found[index].start >= start + length:
            repeated.append(Finding(PIIKind.PERSON, start, start + length, _SCORE, "repeated"))
    return sorted([*found, *repeated], key=attrgetter("start")) if repeated else found


def _is_distinct_in_hangul(name: str) -> bool:
    if not _MIN_HANGUL_LENGTH <= len(name) <= _MAX_HANGUL_LENGTH or _HANGUL.fullmatch(name) is None:
        return False
    return not is_listed_word(name)


def _is_full_name_in_hangul(name: str) -> bool:
    """Whether a name is a surname of one or two syllables and a given name of two."""
    surname = name[:-_GIVEN_NAME_LENGTH]
    return _HANGUL.fullmatch(name) is not None and (surname in DOUBLE_SURNAMES or surname in SURNAMES)


def _distinct_parts(name: str) -> list[str]:
    """The first and the last word of a full name, except those that are other words too."""
    words = name.split(" ")
    parts: list[str] = []
    for word in (words[0], words[-1]):
        in_form = in_list_form(word)
        is_other = in_form in ORDINARY_WORDS or in_form in SENTENCE_WORDS or is_ambiguous_name(in_form)
        if len(word) >= _MIN_LATIN_LENGTH and not is_other and not word.isupper():
            parts.append(word)
    return parts


def _length_in_hangul(word: str, names: set[str]) -> int:
    for length in range(min(len(word), _MAX_HANGUL_LENGTH), _MIN_HANGUL_LENGTH - 1, -1):
        name = word[:length]
        if name in names and fits_last_sound(name, word[length:]) and not is_ordinary_word(word):
            return length
    return 0


def _length_of_given_name(word: str, names: set[str]) -> int:
    name = word[:_GIVEN_NAME_LENGTH]
    if name not in names:
        return 0
    after = _AFTER_WORD_AS_NAME if is_ordinary_word(word) or is_listed_word(name) else _AFTER_GIVEN_NAME
    return _GIVEN_NAME_LENGTH if after.fullmatch(word, _GIVEN_NAME_LENGTH) else 0


def _length_in_latin(text: str, start: int, word: str, names: set[str]) -> int:
    name = word.rstrip("'’-").removesuffix("'s").removesuffix("’s")
    if name not in names or text[start - 1 : start] in _JOINED_BEFORE or _JOINED_BEHIND.match(text, start + len(name)):
        return 0
    return len(name)
