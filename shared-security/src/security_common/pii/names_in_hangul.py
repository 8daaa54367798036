"""Names of people from other countries in Hangul: 마이클 존슨, 응우옌 티 란, 왕웨이, 바트볼드.

Two listed names side by side are a person; one alone needs an honorific or a particle for persons.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.korean_words import is_ordinary_word
from security_common.pii.labels import LabelledText, is_label
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_word, any_word_without_look_around, longest_word, read_lists

__all__ = ["NAMES_IN_HANGUL", "is_name_in_hangul"]

_LISTS = read_lists("names_in_hangul")
_NAMES = longest_word([*_LISTS["given"], *_LISTS["family"]])
_LAST_NAME_ENDING = "[가-힣]{1,4}(?:노프|예프|로프|초프|리프|노바|예바|로바|스키|스카야|비치|오브나)"
# 굴나라 아흐메도바, 카리모프: names that are not listed, by the ending of the family name
_DISTINCT_ENDINGS = any_word(_LISTS["endings_of_slavic_families"])
_BY_ENDING = re.compile(
    rf"(?<![가-힣0-9])(?P<first>[가-힣]{{2,5}}[ ·])?(?P<family>[가-힣]{{2,4}}{_DISTINCT_ENDINGS})"
    "(?=(?:이|가|은|는|을|를|의|와|과|씨|님)?(?![가-힣]))"
)
_PARTICLES_AT_END = frozenset("와과의은는을를에")
_OTHER_WORDS_BY_ENDING = frozenset(_LISTS["words_with_endings_of_families"])
_SEPARATOR = r"[ ·.]"
_PARTICLE = (
    r"(?:이가|이는|이를|이랑|이|가|은|는|을|를|의|와|과|도|에게서?|한테서?|께서?|랑|하고|씨|님|군|양"
    r"|입니다|이에요|예요|이라고|라고|인데)?"
)
_END = rf"(?={_PARTICLE}(?![가-힣]))"
_KOREAN_SURNAMES = (
    "김이박최정강조윤장임한오서신권황안송류유홍전고문손양배백허남노하곽성차주우구민진"
    "엄원천방공현함변염추석선마길표명기리"
)
_KOREAN_SURNAME = f"[{_KOREAN_SURNAMES}]"
# 마이클 존슨; 제시카 리, with a Korean surname
_SEVERAL_NAMES = re.compile(
    rf"{_NAMES}(?:{_SEPARATOR}(?:[A-Z]\.[ ])?"
    rf"(?:{_NAMES}|{_LAST_NAME_ENDING}|{_KOREAN_SURNAME}(?![가-힣]{{2}}))){{1,3}}{_END}"
)
# 김알렉세이, 홍 마틸다: a Korean surname and a name of at least three syllables
_LONG_NAMES = [name for name in _LISTS["given"] if len(name) > 2]
_KOREAN_SURNAME_FIRST = re.compile(rf"{_KOREAN_SURNAME}[ ]?{longest_word(_LONG_NAMES)}{_END}")
_ONE_NAME = re.compile(
    rf"{_NAMES}(?=[ ]?(?:씨|님|고객님|선생님)(?![가-힣]{{2}})|(?:한테서?|에게서?|이랑|랑)(?![가-힣]))"
)
_VIETNAMESE_FAMILY = any_word(_LISTS["vietnamese_family"])
_VIETNAMESE_MIDDLE = "(?:티|반|응옥|꾸옥|득|투이|쑤언)"
_VIETNAMESE_SYLLABLE = any_word(_LISTS["vietnamese_syllables"])
# Family names that are also Korean syllables (도, 하) need a middle name such as 티.
_VIETNAMESE_NAME = re.compile(
    rf"(?=[가-힣 ]{{3}})(?:{any_word(_LISTS['certain_vietnamese_family'])}"
    rf"|{_VIETNAMESE_FAMILY}[ ]{_VIETNAMESE_MIDDLE})"
    rf"(?:[ ]?{_VIETNAMESE_SYLLABLE}){{1,3}}{_END}"
)
_CHINESE_FAMILY, _CHINESE_PART = any_word(_LISTS["chinese_family"]), any_word(_LISTS["chinese_parts"])
_ANY_CHINESE_PART = any_word([*_LISTS["chinese_parts"], *_LISTS["chinese_other_parts"]])
_CHINESE_NAME = re.compile(
    rf"(?=[가-힣 ]{{3}}){_CHINESE_FAMILY}[ ]?"
    rf"(?:{_CHINESE_PART}{_ANY_CHINESE_PART}?|{_ANY_CHINESE_PART}{_CHINESE_PART}){_END}"
)
_MONGOLIAN_PART = any_word(_LISTS["mongolian_parts"])
_MONGOLIAN_NAME = re.compile(
    rf"(?=[가-힣]{{3}}){_MONGOLIAN_PART}{{2,3}}(?:[ ](?=[가-힣]{{3}}){_MONGOLIAN_PART}{{2,3}})?{_END}"
)
_LISTED_NAME = re.compile(
    rf"{_NAMES}(?:{_SEPARATOR}(?:{_NAMES}|{_LAST_NAME_ENDING})){{0,3}}"
    rf"|{_VIETNAMESE_FAMILY}(?:[ ]?{_VIETNAMESE_SYLLABLE}){{1,3}}"
    rf"|{_MONGOLIAN_PART}{{2,3}}(?:[ ]{_MONGOLIAN_PART}{{2,3}})?|{_CHINESE_FAMILY}[ ]?{_ANY_CHINESE_PART}{{1,2}}"
)
_WORD = re.compile("[가-힣]+")

_Pattern = tuple[re.Pattern[str], float, str]
"""Expression of a name, score and reason of its finding."""


def _patterns_by_start() -> Mapping[str, Sequence[_Pattern]]:
    """The patterns that can match at a word with these first two characters; a space may be the second one."""
    names = [*_LISTS["given"], *_LISTS["family"]]
    parts = {part[0] for part in [*_LISTS["chinese_parts"], *_LISTS["chinese_other_parts"], " "]}
    families = _LISTS["vietnamese_family"]
    vietnamese = [*families, *(family + syllable for family in families for syllable in _LISTS["vietnamese_syllables"])]
    beginnings: list[tuple[_Pattern, Iterable[str]]] = [
        ((_SEVERAL_NAMES, 0.75, "listed"), names),
        ((_ONE_NAME, 0.7, "honorific"), names),
        (
            (_KOREAN_SURNAME_FIRST, 0.7, "listed"),
            [surname + start for surname in _KOREAN_SURNAMES for start in {" ", *(name[0] for name in names)}],
        ),
        ((_VIETNAMESE_NAME, 0.8, "listed"), vietnamese),
        ((_CHINESE_NAME, 0.7, "listed"), [family + part for family in _LISTS["chinese_family"] for part in parts]),
        ((_MONGOLIAN_NAME, 0.75, "listed"), map("".join, product(_LISTS["mongolian_parts"], repeat=2))),
    ]
    numbers: dict[str, tuple[int, ...]] = {}
    for number, (_, words) in enumerate(beginnings):
        for start in {f"{word} "[:2] for word in words}:
            numbers[start] = (*numbers.get(start, ()), number)
    # There are thousands of beginnings, and a few combinations of patterns, of which each exists once in memory.
    patterns = {each: [beginnings[number][0] for number in each] for each in set(numbers.values())}
    return {start: patterns[each] for start, each in numbers.items()}


_PATTERNS_BY_START = _patterns_by_start()


def _find_names_in_hangul(source: LabelledText) -> Iterator[Finding]:
    """The names of people from other countries, and those with an honorific."""
    text = source.text
    for word in _WORD.finditer(text):
        start = word.start()
        for pattern, score, why in _PATTERNS_BY_START.get(text[start : start + 2], ()):
            match = pattern.match(text, start)
            if match is not None:
                yield Finding(PIIKind.PERSON, *match.span(), score, why)


def _find_by_ending(source: LabelledText) -> Iterator[Finding]:
    """Family names of at least four syllables with a Slavic ending, and the first name in front of them."""
    for match in _BY_ENDING.finditer(source.text):
        if match["family"] in _OTHER_WORDS_BY_ENDING:
            continue
        first = (match["first"] or "").rstrip(" ·")
        has_first = first and first[-1] not in _PARTICLES_AT_END and not is_ordinary_word(first) and not is_label(first)
        yield Finding(PIIKind.PERSON, match.start() if has_first else match.start("family"), match.end(), 0.66, "form")


def is_name_in_hangul(word: str) -> bool:
    """Whether a word is or begins with a listed name of another country."""
    return _LISTED_NAME.fullmatch(word) is not None


def _gate() -> str:
    """The beginning of a word like one of the patterns, with what has to follow a name."""
    name = any_word_without_look_around([*_LISTS["given"], *_LISTS["family"]])
    vietnamese_family = any_word_without_look_around(_LISTS["certain_vietnamese_family"])
    chinese_given = f"(?:{_CHINESE_PART}{_ANY_CHINESE_PART}?|{_ANY_CHINESE_PART}{_CHINESE_PART})"
    alternatives = (
        rf"{name}(?:{_SEPARATOR}(?:[A-Z]\. )?[가-힣]| ?(?:씨|님|고객님|선생님)|한테|에게|이?랑)",
        rf"(?:{vietnamese_family}|{_VIETNAMESE_FAMILY} {_VIETNAMESE_MIDDLE}) ?{_VIETNAMESE_SYLLABLE}",
        rf"{_CHINESE_FAMILY} ?{chinese_given}{_PARTICLE}(?:[^가-힣]|$)",
        rf"{_MONGOLIAN_PART}{_MONGOLIAN_PART}",
        rf"{_KOREAN_SURNAME} ?{any_word_without_look_around(_LONG_NAMES)}",
    )
    return rf"(?:^|[^가-힣])(?:{'|'.join(alternatives)})"


NAMES_IN_HANGUL = (
    Rule(_gate(), _find_names_in_hangul, may_be_public=True),
    Rule(
        "[가-힣]{2}(?:[노예초모코도]프|[노예로도코모]바|스키|카야|비치|[오예]브나|첸코)",
        _find_by_ending,
        may_be_public=True,
    ),
)
