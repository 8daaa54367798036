"""Ordinary Korean words that begin with the syllable of a surname, so that they can look like a name.

배송이 is the noun 배송 with a particle and not Ms. 배 with the given name 송이. The words are in
`data/korean_words.toml`; particles, suffixes and the forms of 하다 and 되다 are derived.
"""

import re

from security_common.pii.word_lists import read_lists

__all__ = ["fits_last_sound", "is_derived_word", "is_listed_word", "is_ordinary_word"]

_LISTS = read_lists("korean_words")
_WORDS = frozenset(_LISTS["words"])
_MAX_WORD_LENGTH = max(map(len, _WORDS))
# Verbs of one syllable with 하다 (구하다, 정하다); some of their forms look like a surname and a given name.
_VERB_STEM = re.compile("[강구권명변선심약원위임전정편피][하][지는고면며여기게던도다려자니]")
_ENDING_AFTER_ANY = (
    # particles
    r"의|에|에서|에게|에도|에는|에만|에선|에서는|에서도|에서의|에의|도|만|만은|만을|만이|뿐|까지|부터|까지는|부터는|조차|마다|마저|처럼|보다|하고"
    # forms of 이다
    r"|인|일|임|인데|인지|일지|이다|이자|이지만|이라고|이라는|이라도|이라면|이라서|이므로|이며|이고|이었[가-힣]{0,3}|입니[가-힣]|이에요|이죠|이네요|인가요?"
    # forms of 하다, 되다 and 시키다
    r"|[한할함해된될됨돼]|[하해했되돼됐][가-힣]{1,4}|한[다지]?[가-힣]{0,2}|된다[가-힣]{0,2}|시[키킨킬킴켜켰][가-힣]{0,3}|[받당]는|받[은을아고기][가-힣]?"
    # suffixes
    r"|들|들[이은을의도]|들에게|등|등[을의이은]|및|중|중[인에]|시|시[에의]|용|용[으이은]?[로은]?|형|형[의은이을]|식|적|적[인이]|적으로|화|률|량|액|값"
    r"|별|별로|급|쯤|씩|째|상|상의|측|쪽|팀|당|님|님[이은의께]|분|분[들이은]|후|전"
)
_ENDING_AFTER_CONSONANT = re.compile(
    rf"(?:{_ENDING_AFTER_ANY}|이|은|을|과|이나|이랑|이든|이든지|이란|으로|으로서|으로써|으로는|으로도|과의|이라)?"
)
_ENDING_AFTER_VOWEL = re.compile(
    rf"(?:{_ENDING_AFTER_ANY}|가|는|를|와|나|랑|든지|로|로서|로써|로는|로도|로의|와의|라고|라는|라도|라면|라서|며|고|지만|예요|죠|네요"
    r"|였[가-힣]{0,3})?"
)
_FIRST_SYLLABLE, _FINAL_CONSONANTS, _FINAL_L = ord("가"), 28, 8


def _matches_ending(word: str, length: int) -> bool:
    """Whether the rest is a particle, suffix or verb form, in the form that fits the sound before it."""
    final_consonant = (ord(word[length - 1]) - _FIRST_SYLLABLE) % _FINAL_CONSONANTS
    if final_consonant == 0:
        return _ENDING_AFTER_VOWEL.fullmatch(word, length) is not None
    if final_consonant == _FINAL_L and word[length:] in {"로", "로는", "로도", "로서", "로써"}:
        return True
    return _ENDING_AFTER_CONSONANT.fullmatch(word, length) is not None


_PARTICLES_OF_PERSONS = "|의|도|만|에게|에게서|한테|한테서|께서|께|입니다|님|씨|군|양"
_PARTICLES_AFTER_CONSONANT = frozenset(
    f"{_PARTICLES_OF_PERSONS}|이|은|을|과|이랑|이라고|이라는|이에요|이고|이며|으로부터".split("|")
)
_PARTICLES_AFTER_VOWEL = frozenset(f"{_PARTICLES_OF_PERSONS}|가|는|를|와|랑|라고|라는|예요|고|며|로부터".split("|"))


def fits_last_sound(word: str, particle: str) -> bool:
    """Whether a particle for persons, or nothing, may follow a word that ends in this sound: 민수가, but 민준이."""
    final_consonant = (ord(word[-1]) - _FIRST_SYLLABLE) % _FINAL_CONSONANTS
    return particle in (_PARTICLES_AFTER_CONSONANT if final_consonant else _PARTICLES_AFTER_VOWEL)


# Last syllables of derived words (이용자, 정보력) that are rare as the last syllables of given names.
_SUFFIXES = frozenset(
    "자장사소실금비회과관부제품물력점간일월년초차구면법론학안본판권증표함급식형용적화률율량액값별쯤씩째측쪽팀당상중시들분님석"
)


def is_listed_word(word: str) -> bool:
    """Whether this is an ordinary word without a particle or suffix."""
    return word in _WORDS


def is_ordinary_word(word: str) -> bool:
    """Whether this is an ordinary word, with or without a particle, a suffix or a form of 하다 and 되다."""
    if _VERB_STEM.match(word):
        return True
    for length in range(min(len(word), _MAX_WORD_LENGTH), 1, -1):
        if word[:length] in _WORDS and _matches_ending(word, length):
            return True
    return False


def is_derived_word(word: str) -> bool:
    """Whether these three syllables may be a word of two syllables with a suffix, as 이용자 (이용) or 정수형 (정수)."""
    return word[:2] in _WORDS and word[2:3] in _SUFFIXES
