"""Names of East Asia in Latin letters, in every usual order: PARK SEUNGMIN, Seung-min Park, Nguyen Thi Lan.

The functions take words in lower case without accents, and return how many of them are a name.
"""

import re

from security_common.pii.word_lists import any_word, read_lists

__all__ = [
    "has_asian_surname",
    "is_asian_surname",
    "is_mongolian_name",
    "is_romanized_korean",
    "words_in_chinese_name",
    "words_in_vietnamese_name",
]

_LISTS = read_lists("romanized_names")
_KOREAN_SURNAMES = frozenset(_LISTS["korean_surnames"])
_SURNAMES_LIKE_WORDS = frozenset(_LISTS["korean_surnames_like_words"])
_NOT_KOREAN_GIVEN = frozenset(_LISTS["not_korean_given_names"])
_KOREAN_SYLLABLE = any_word(_LISTS["korean_syllables"])
_KOREAN_GIVEN_NAME = re.compile(rf"{_KOREAN_SYLLABLE}[- ]?{_KOREAN_SYLLABLE}")
_CHINESE_SURNAMES = frozenset(_LISTS["chinese_surnames"])
_SOUTHERN_SURNAMES = frozenset(_LISTS["southern_chinese_surnames"])
_SOUTHERN_SYLLABLES = frozenset(_LISTS["southern_chinese_syllables"])
_DISTINCT_SURNAMES = (
    (_KOREAN_SURNAMES | _CHINESE_SURNAMES | _SOUTHERN_SURNAMES)
    - _SURNAMES_LIKE_WORDS
    - {
        *(
            "li",
            "chow",
            "fang",
            "shin",
            "sin",
            "sim",
            "kit",
            "man",
            "law",
            "low",
            "ma",
            "ang",
            "ban",
            "bae",
            "nam",
            "sang",
        ),
        *(
            "chan",
            "long",
            "king",
            "lo",
            "lam",
            "mak",
            "mok",
            "lau",
            "jo",
            "ha",
            "an",
            "im",
            "gi",
            "no",
            "ro",
            "up",
            "soo",
        ),
    }
)
# A syllable of Hanyu Pinyin: an initial and a final.
_PINYIN = (
    r"(?:(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?"
    r"(?:iang|iong|uang|ang|eng|ian|iao|ing|ong|uai|uan|ai|an|ao|ei|en|ia|ie|in|iu|ou|ua|ue|ui|un|uo|a|e|i|o|u))"
)
_PINYIN_GIVEN_NAME = re.compile(rf"{_PINYIN}(?:[-' ]?{_PINYIN})?")
_VIETNAMESE_FAMILY, _VIETNAMESE_MIDDLE = (
    frozenset(_LISTS["vietnamese_family"]),
    frozenset(_LISTS["vietnamese_middle"]),
)
_CERTAIN_VIETNAMESE_FAMILY = frozenset(_LISTS["certain_vietnamese_family"])
_ALL_SURNAMES = _KOREAN_SURNAMES | _CHINESE_SURNAMES | _SOUTHERN_SURNAMES | _VIETNAMESE_FAMILY
_MAX_VIETNAMESE_WORDS = 4
_MONGOLIAN_NAME = re.compile(rf"{any_word(_LISTS['mongolian_first_parts'])}{any_word(_LISTS['mongolian_last_parts'])}")


def has_asian_surname(words: list[str]) -> bool:
    """Whether a surname that the functions below look for is among the first three words."""
    return not _ALL_SURNAMES.isdisjoint(words[:3])


def is_asian_surname(word: str) -> bool:
    """Whether a word is a surname of Korea, China or Vietnam and not an English word."""
    return word in _DISTINCT_SURNAMES


def is_romanized_korean(words: list[str], *, is_labelled: bool = False) -> bool:
    """Kim Min-su, Minsu Kim, Hong Gil Dong. A surname that is also an English word needs a hyphen or a label."""
    for surname, given in ((words[0], words[1:]), (words[-1], words[:-1])):
        if surname not in _KOREAN_SURNAMES:
            continue
        given_name = " ".join(given)
        if given_name.replace(" ", "") in _NOT_KOREAN_GIVEN:
            continue
        if _KOREAN_GIVEN_NAME.fullmatch(given_name):
            return is_labelled or surname not in _SURNAMES_LIKE_WORDS or "-" in given_name
    return False


def words_in_chinese_name(words: list[str]) -> int:
    """2 for Wang Xiaoming and Xiaoming Wang, 3 for Wang Xiao Ming and Chan Tai Man, otherwise 0."""
    if len(words) > 2 and words[0] in _SOUTHERN_SURNAMES and _SOUTHERN_SYLLABLES.issuperset(words[1:3]):
        return 3
    if len(words) > 1:
        if words[0] in _CHINESE_SURNAMES and _PINYIN_GIVEN_NAME.fullmatch(words[1]):
            joined = f"{words[1]} {words[2]}" if len(words) > 2 else ""
            return 3 if joined and _PINYIN_GIVEN_NAME.fullmatch(joined) else 2
        if words[1] in _CHINESE_SURNAMES and _PINYIN_GIVEN_NAME.fullmatch(words[0]):
            return 2
    return 0


def words_in_vietnamese_name(words: list[str]) -> int:
    """The number of words if they begin with a Vietnamese family name, otherwise 0."""
    if len(words) < 2 or words[0] not in _VIETNAMESE_FAMILY:
        return 0
    if words[0] in _CERTAIN_VIETNAMESE_FAMILY or words[1] in _VIETNAMESE_MIDDLE:
        return min(len(words), _MAX_VIETNAMESE_WORDS)
    return 0


def is_mongolian_name(word: str) -> bool:
    """Whether a word is composed like Batbold and Enkhtuya."""
    return _MONGOLIAN_NAME.fullmatch(word) is not None
