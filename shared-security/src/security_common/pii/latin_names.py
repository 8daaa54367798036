"""Which words in Latin letters are a person's name, by lists of first and family names and the forms of East Asia.

The functions take words in list form: lower case, without accents.
"""

from unicodedata import normalize

from security_common.pii.romanized_names import (
    has_asian_surname,
    is_asian_surname,
    is_mongolian_name,
    is_romanized_korean,
    words_in_chinese_name,
    words_in_vietnamese_name,
)
from security_common.pii.word_lists import read_lists

__all__ = [
    "DISTINCT_FIRST_NAMES",
    "ORDINARY_WORDS",
    "SENTENCE_WORDS",
    "THING_WORDS",
    "has_listed_name",
    "in_list_form",
    "is_ambiguous_name",
    "is_asian_surname",
    "is_distinct_first_name",
    "is_family_name",
    "is_first_name",
    "is_last_then_first",
    "words_in_name",
]

_ENGLISH, _LATIN = read_lists("english_names"), read_lists("latin_names")
_FIRST_NAMES_ALONE = frozenset(_ENGLISH["first"]) | frozenset(_LATIN["given"])
_FIRST_NAMES = _FIRST_NAMES_ALONE | frozenset(_LATIN["given_before_family"])
_LAST_NAMES = frozenset(_ENGLISH["last"]) | frozenset(_LATIN["family"])
_NOT_LAST_NAMES = frozenset(_ENGLISH["not_last"])
_AMBIGUOUS = frozenset(_LATIN["ambiguous"])
"""First names that are also words, places or brands: the next word must be a listed name."""
_AMBIGUOUS_ALONE = _AMBIGUOUS | frozenset(_LATIN["ambiguous_alone"])
ORDINARY_WORDS = (_NOT_LAST_NAMES | frozenset(_ENGLISH["thing_words"])) - _LAST_NAMES
"""Words that are in no name, such as street and pipeline."""
THING_WORDS = ORDINARY_WORDS - frozenset(_ENGLISH["roles"])
"""Ordinary words after which two capitalised words are not a person, as in Oliver Chopping Board."""
SENTENCE_WORDS = frozenset(_LATIN["before_names"])
"""Words with a capital at the beginning of a sentence, after which a name may follow."""
DISTINCT_FIRST_NAMES = _FIRST_NAMES_ALONE - _AMBIGUOUS_ALONE
"""First names that are nothing else, so that they can be recognized alone."""
_NEVER_LAST_NAMES = ORDINARY_WORDS | _NOT_LAST_NAMES
_CERTAIN_FIRST_NAMES = _FIRST_NAMES - _AMBIGUOUS
_MIN_NAME_WITH_MC_LENGTH = 5
_LETTERS_WITHOUT_ACCENT = str.maketrans("łđøıß", "ldois")


def in_list_form(word: str) -> str:
    """Lower case without accents, as names are written in the lists."""
    lowered = word.lower()
    if not lowered.isascii():
        lowered = "".join(char for char in normalize("NFD", lowered) if char.isalpha() or char in "-'")
        lowered = lowered.translate(_LETTERS_WITHOUT_ACCENT)
    return lowered


def is_distinct_first_name(word: str) -> bool:
    """Whether a word is a first name and nothing else, so that it can be recognized alone."""
    return word in DISTINCT_FIRST_NAMES or is_mongolian_name(word)


def is_first_name(word: str) -> bool:
    """Whether a word is a listed first name, perhaps an ordinary word as well."""
    return word in _FIRST_NAMES


def is_ambiguous_name(word: str) -> bool:
    """Whether a first name is also a word, a place or a brand."""
    return word in _AMBIGUOUS_ALONE


def is_family_name(word: str) -> bool:
    """Whether a word is a listed family name, or one with Mc."""
    return word in _LAST_NAMES or (word.startswith("mc") and len(word) > _MIN_NAME_WITH_MC_LENGTH)


def is_last_then_first(last: str, first: str) -> bool:
    """Whether two words with a comma between them are "Last, First"."""
    if last in _LAST_NAMES and first in _FIRST_NAMES:
        return True
    return is_romanized_korean([last, first]) or words_in_chinese_name([last, first]) == 2


def words_in_name(words: list[str], *, needs_family_name: bool = False) -> int:
    """How many of these words form a name that begins with the first one; 0 if they do not.

    With `needs_family_name`, as in a text in capitals, a first name before an unknown word is not a name.
    """
    in_asian_form = _words_in_asian_name(words)
    if in_asian_form:
        return in_asian_form
    count = len(words)
    first = words[0].partition("-")[0]
    if first in _FIRST_NAMES or is_mongolian_name(first):
        if count > 1 and not _may_follow_first_name(words[1], first, needs_family_name=needs_family_name):
            return 0
        if count > 2 and words[2] in _NEVER_LAST_NAMES:
            return 0
        return 3 if count > 2 and words[2] in _LAST_NAMES else min(2, count)
    is_reversed = count > 1 and words[0] in _LAST_NAMES and words[1] in _CERTAIN_FIRST_NAMES
    return 2 if is_reversed else 0


def _may_follow_first_name(word: str, first: str, *, needs_family_name: bool) -> bool:
    if word in ORDINARY_WORDS:
        return False
    if first in _AMBIGUOUS or needs_family_name:
        return word in _LAST_NAMES or is_asian_surname(word) or (word in _FIRST_NAMES and word not in _AMBIGUOUS)
    return True


def _words_in_asian_name(words: list[str]) -> int:
    if not has_asian_surname(words):
        return 0
    for length in (3, 2):
        if len(words) >= length and is_romanized_korean(words[:length]):
            return length
    vietnamese = words_in_vietnamese_name(words)
    if vietnamese:
        return next((index for index, word in enumerate(words[:vietnamese]) if word in ORDINARY_WORDS), vietnamese)
    chinese = words_in_chinese_name(words)
    return chinese if chinese and ORDINARY_WORDS.isdisjoint(words[:chinese]) else 0


def has_listed_name(words: list[str], *, is_capitalised: bool) -> bool:
    """Whether the words of a whole value contain a name. In lower case, first and family name must both be listed."""
    if is_romanized_korean(words, is_labelled=True) or _words_in_asian_name(words) == len(words):
        return True
    if is_capitalised:
        return words[0] in _FIRST_NAMES or words[-1] in _LAST_NAMES or is_mongolian_name(words[0])
    if len(words) == 1:
        return is_distinct_first_name(words[0])
    return words[0] in _FIRST_NAMES and words[-1] in _LAST_NAMES
