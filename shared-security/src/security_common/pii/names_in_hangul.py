"""Names of people from other countries in Hangul: 마이클 존슨, 응우옌 티 란, 왕웨이, 바트볼드.

Two listed names side by side are a person; one alone needs an honorific or a particle for persons.
"""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.word_lists import any_word, longest_word, read_lists

__all__ = ["find_names_in_hangul", "is_name_in_hangul"]

_LISTS = read_lists("names_in_hangul")
_NAMES = longest_word([*_LISTS["given"], *_LISTS["family"]])
_LAST_NAME_ENDING = "[가-힣]{1,4}(?:노프|예프|로프|초프|리프|노바|예바|로바|스키|스카야|비치|오브나)"
_SEPARATOR = r"[ ·.]"
_END = (
    r"(?=(?:이가|이는|이를|이랑|이|가|은|는|을|를|의|와|과|도|에게서?|한테서?|께서?|랑|하고|씨|님|군|양"
    r"|입니다|이에요|예요|이라고|라고|인데)?(?![가-힣]))"
)
_SEVERAL_NAMES = re.compile(
    rf"(?<![가-힣])(?:{_NAMES}(?:{_SEPARATOR}(?:[A-Z]\.[ ])?(?:{_NAMES}|{_LAST_NAME_ENDING})){{1,3}}"
    rf"|{_LAST_NAME_ENDING}{_SEPARATOR}{_NAMES}){_END}"
)
_ONE_NAME = re.compile(
    rf"(?<![가-힣])(?:{_NAMES})"
    r"(?=[ ]?(?:씨|님|고객님|선생님)(?![가-힣]{2})|(?:한테서?|에게서?|이랑|랑)(?![가-힣]))"
)
_VIETNAMESE_FAMILY, _VIETNAMESE_SYLLABLE = (
    any_word(_LISTS["vietnamese_family"]),
    any_word(_LISTS["vietnamese_syllables"]),
)
_VIETNAMESE_NAME = re.compile(rf"(?<![가-힣]){_VIETNAMESE_FAMILY}(?:[ ]{_VIETNAMESE_SYLLABLE}){{1,3}}{_END}")
_CERTAIN_FAMILY_NAME = re.compile("응|쩐|팜|후[인잉]|호앙|쯔엉|즈엉|찐|까오|부이")
_MIDDLE_NAME = re.compile("[가-힣]+ (?:티|반|응옥|꾸옥|득|투이|쑤언) ")
_CHINESE_PART, _ANY_CHINESE_PART = (
    any_word(_LISTS["chinese_parts"]),
    any_word([*_LISTS["chinese_parts"], *_LISTS["chinese_other_parts"]]),
)
_CHINESE_NAME = re.compile(
    rf"(?<![가-힣]){any_word(_LISTS['chinese_family'])}[ ]?"
    rf"(?:{_CHINESE_PART}{_ANY_CHINESE_PART}?|{_ANY_CHINESE_PART}{_CHINESE_PART}){_END}"
)
_SHORTEST_UNUSUAL_NAME = 3
_MONGOLIAN_PART = any_word(_LISTS["mongolian_parts"])
_MONGOLIAN_NAME = re.compile(rf"(?<![가-힣]){_MONGOLIAN_PART}{{2,3}}(?:[ ]{_MONGOLIAN_PART}{{2,3}})?{_END}")

_LISTED_NAME = re.compile(
    rf"(?:{_NAMES}|{_VIETNAMESE_FAMILY} [가-힣 ]+|{_MONGOLIAN_PART}{{2,3}}"
    rf"|{any_word(_LISTS['chinese_family'])}{_ANY_CHINESE_PART}{{1,2}})(?:[ ·][가-힣]+){{0,3}}"
)


def find_names_in_hangul(text: str) -> Iterator[Finding]:
    """The names of people from other countries, and those with an honorific."""
    for match in _SEVERAL_NAMES.finditer(text):
        yield Finding(PIIKind.PERSON, *match.span(), 0.75, "listed")
    for match in _ONE_NAME.finditer(text):
        yield Finding(PIIKind.PERSON, *match.span(), 0.7, "honorific")
    for match in _VIETNAMESE_NAME.finditer(text):
        if _CERTAIN_FAMILY_NAME.match(match.group()) or _MIDDLE_NAME.match(match.group()):
            yield Finding(PIIKind.PERSON, *match.span(), 0.8, "listed")
    for match in _CHINESE_NAME.finditer(text):
        if match.end() - match.start() >= _SHORTEST_UNUSUAL_NAME:
            yield Finding(PIIKind.PERSON, *match.span(), 0.7, "listed")
    for match in _MONGOLIAN_NAME.finditer(text):
        if match.end() - match.start() >= _SHORTEST_UNUSUAL_NAME:
            yield Finding(PIIKind.PERSON, *match.span(), 0.75, "listed")


def is_name_in_hangul(word: str) -> bool:
    """Whether a word is or begins with a listed name of another country."""
    return _LISTED_NAME.fullmatch(word) is not None
