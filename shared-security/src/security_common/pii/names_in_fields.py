"""Names of any kind in a value whose field certainly names a person.

    {"세대주": "가을"}                      a noun is a name here
    {"guardian": "STORM, Wynn"}           the family name first
    soprano: [백하빈, 이나빈, 장엘리]          a list of names
    | 우상 안수집사 |                         a title or role is not a part of the name

Elsewhere a value has to look like a name. Here every value of the form of a name is one, except those that say that
there is no name (미정, unknown), names of organisations, and titles alone.
"""

import re
from collections.abc import Iterator

from security_common.pii.field_names import kind_of_listed_name
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.given_names import COMMON_GIVEN_NAMES
from security_common.pii.korean_words import is_derived_word, is_listed_word, is_ordinary_word
from security_common.pii.labels import is_label
from security_common.pii.latin_names import ORDINARY_WORDS, SENTENCE_WORDS, in_list_form, is_family_name, is_first_name
from security_common.pii.names_in_hangul import is_name_in_hangul
from security_common.pii.word_lists import WordEndings, read_lists

__all__ = [
    "DOUBLE_SURNAMES",
    "ENDINGS_OF_ROLES",
    "SURNAMES",
    "WORDS_AS_NAMES",
    "find_name_by_form",
    "find_names_in_field",
    "find_probable_name",
    "find_username_in_field",
    "is_not_a_name",
    "is_other_than_name",
]

_LISTS = read_lists("names_in_fields")
_LABELLED = read_lists("labelled_names")
_KOREAN = read_lists("korean_names")
_ROLES = read_lists("person_roles")
_NOT_NAMES = frozenset(_LISTS["not_names"]) | frozenset(_LABELLED["not_persons"])
_LATIN_NOT_NAMES = frozenset(_LISTS["latin_not_names"])
WORDS_AS_NAMES = frozenset(_LISTS["words_as_names"])
ENDINGS_OF_ROLES = tuple(_LISTS["endings_of_roles"])
"""The last syllables of many roles: 고객, 직원."""
_BEGINNINGS_OF_ORGANISATIONS = tuple(_LISTS["organisation_parts"])
_ENDINGS_OF_ORGANISATIONS = WordEndings([*_LABELLED["organisation_endings"], *_LISTS["organisation_endings"]])
_ORGANISATION_WORDS = frozenset(_LISTS["latin_organisation_words"])
_TITLES = frozenset(_LISTS["titles"]) | frozenset(_KOREAN["titles"]) | frozenset(_KOREAN["honorifics"])
_TITLES_AND_ROLES = _TITLES | frozenset(_ROLES["korean"])
_LONG_TITLES = tuple(title for title in _TITLES if len(title) > 1)
_MIN_COMPOUND_TITLE_LENGTH = 4
_LATIN_TITLES = frozenset(_LISTS["latin_titles"])
_PARTICLES, _SUFFIXES = frozenset(_LISTS["latin_particles"]), frozenset(_LISTS["latin_suffixes"])
DOUBLE_SURNAMES = frozenset(_KOREAN["double_surnames"])
_FIRST_SYLLABLES, _LAST_SYLLABLES = (frozenset(_KOREAN[name][0]) for name in ("first_syllables", "last_syllables"))
SURNAMES = frozenset(_LISTS["surnames"][0])
_WORDS_LIKE_SURNAMES = frozenset("전하상선신유용시안내간당도만반부소수중초")
_LATIN_KOREAN_SURNAMES = frozenset(_LISTS["korean_surnames_in_latin"])

_MAX_VALUE_LENGTH, _MAX_WORDS, _MAX_WORDS_WITH_TITLES = 300, 5, 7
_MAX_KOREAN_NAME_LENGTH, _MAX_HANGUL_WORD_LENGTH, _MAX_HANGUL_NAME_LENGTH = 5, 8, 16
_USUAL_LENGTH, _LENGTH_WITH_TWO_SURNAMES = 3, 4
_MIN_NAME_IN_CAPITALS_LENGTH, _MAX_ABBREVIATION_LENGTH = 3, 4
_MAX_VALUE_WITH_NAME_LENGTH, _MAX_WORDS_READ = 60, 8
_SCORE = 0.9

# A slash is a part of "son of" and "daughter of" in names of Singapore and Malaysia: Devaraj s/o Muthu.
_ITEM = re.compile(r"(?:[^,;·、/&|\n\t\[\]{}\"]|(?<= [sda])/(?=[olp] ))+")
_CONJUNCTIONS = (" and ", " 및 ")
# The end of a name: a note in brackets, a number, a dash, a colon, "and 2 others".
_REST_OF_ITEM = re.compile(r"[ ]?[(<（].*|[ ]{2,}.*|[ ]외(?:[ ].*|[0-9].*)?$|[ ](?:[0-9\-–—:=→].*)", re.DOTALL)
# A date of birth, a resident number, an age or the sex in brackets.
_NOTE_ABOUT_PERSON = re.compile(
    r"[ ]?\((?:[0-9]{6}|(?:19|20)[0-9]{2}|[0-9]{2}[.년]|[남여][,·)자성]|만?[ ]?[0-9]{1,3}세)"
)
_QUOTES_AND_SPACES = " \t\r\n'\"`“”‘’.*"
_WORD = re.compile(r"[^ ]+")
_LETTER = r"A-Za-zÀ-ÖØ-öø-\u024f\u1e00-\u1eff"
_PART_OF_LAST_NAME, _PART_OF_FIRST_NAME = (
    rf"[{_LETTER}][{_LETTER}'’\-]{{0,20}}",
    rf"[{_LETTER}][{_LETTER}'’.\-]{{0,20}}",
)
_LAST_THEN_FIRST = re.compile(
    rf"{_PART_OF_LAST_NAME}(?: {_PART_OF_LAST_NAME})?, {_PART_OF_FIRST_NAME}(?: {_PART_OF_FIRST_NAME})?"
)
_HANGUL = re.compile("[가-힣]+")
_LATIN = re.compile(rf"[A-ZÀ-ÖØ-Þ\u0100-\u024f\u1e00-\u1eff](?:[{_LETTER}]|['’\-](?=[{_LETTER}])){{0,24}}\.?")
_INITIALS = re.compile(r"(?:[A-Z]\.-?){1,3}[A-Z]?")
_HAN, _KANA = "\u3005\u3400-\u4dbf\u4e00-\u9fff", "\u3040-\u30ff"
_HAN_OR_OTHER = re.compile(
    rf"[{_HAN}]{{2,5}}|[{_HAN}{_KANA}]{{2,10}}"
    # Thai, Cyrillic, Arabic, Devanagari, Greek
    r"|[\u0e00-\u0e7f]{2,24}|[\u0400-\u04ff]{2,24}|[\u0600-\u06ff]{2,24}|[\u0900-\u097f]{2,24}|[\u0370-\u03ff]{2,24}"
)
_ONE_HAN = re.compile(f"[{_HAN}]")
_HAN_LABELS = frozenset(_LABELLED["han_labels"])
_CAPITAL_INSIDE = re.compile(r"[a-zà-ÿ][A-Z]|[A-Z]{2}[a-z]")
_PREFIX_WITH_CAPITAL = re.compile("(?:Mc|Mac|De|Di|Du|La|Le|Van|Von|Al|El|Fitz)[A-Z]")
_ENDINGS_OF_SENTENCES = frozenset("다요까죠네함됨임음중시")
_SUFFIXES_OF_OTHER_WORDS = frozenset("자장사소실과부점팀당들분님료금비원측쪽별씩째후전시제품물권증표함적")
_ENDINGS_OF_AMOUNTS = frozenset("료금비세율액점")
_VERB_ENDINGS = ("니다", "세요", "네요", "어요", "아요", "해요", "예요", "에요", "는데", "해서", "에서", "에게", "으로")
_USERNAME = re.compile(r"(?P<first>[a-z]{1,14})[._\-](?P<last>[a-z]{2,14})[0-9]{0,4}")


def find_names_in_field(value: str, *, is_personal_record: bool = False) -> Iterator[Finding]:
    """The names in the value of a field that certainly names a person, in order.

    With `is_personal_record`, other fields show that the record is about a person: an ordinary word is a name too.
    """
    if len(value) > _MAX_VALUE_LENGTH:
        return
    whole = value.strip(_QUOTES_AND_SPACES)
    if _LAST_THEN_FIRST.fullmatch(whole):
        words = whole.replace(",", "").split(" ")
        if _is_name_in_latin(words, is_personal_record=is_personal_record):
            start = value.index(whole)
            yield Finding(PIIKind.PERSON, start, start + len(whole), _SCORE, "field")
            return
    separated = value
    for conjunction in _CONJUNCTIONS:
        separated = separated.replace(conjunction, "," * len(conjunction))
    for item in _ITEM.finditer(separated):
        place = _name_in_item(value, *item.span(), is_personal_record=is_personal_record)
        if place is not None:
            yield Finding(PIIKind.PERSON, *place, _SCORE, "field")


def find_username_in_field(value: str) -> Iterator[Finding]:
    """The username in the value of a field for logins if one of its parts is a listed name: bokji_heo."""
    match = _USERNAME.fullmatch(value.strip())
    if match is None:
        return
    parts = [part for part in (match["first"], match["last"]) if len(part) > 1]
    if any(part in _LATIN_KOREAN_SURNAMES or is_first_name(part) or is_family_name(part) for part in parts):
        start = value.index(match.group())
        yield Finding(PIIKind.PERSON, start, start + len(match.group()), 0.75, "username")


def is_other_than_name(value: str) -> bool:
    """Whether a value says that there is no name, or names an organisation: 신입사원, Adults Only, Acme Inc."""
    if _HANGUL.fullmatch(value):
        return is_not_a_name(value)
    words = [word.lower() for word in value.replace(",", " ").replace(".", " ").split()[:_MAX_WORDS_READ]]
    return not _ORGANISATION_WORDS.isdisjoint(words) or (bool(words) and _LATIN_NOT_NAMES.issuperset(words))


def find_probable_name(value: str) -> Iterator[Finding]:
    """The name that is the value of a field for names of persons or companies if it looks like a Korean name.

    That is three syllables with a surname, a common given name, a foreign name with a Korean surname (알렉산드르 김), a
    noun that is also a name, or two or three syllables with a title (경장 문별). An ordinary word, title or
    organisation is not a name.
    """
    if len(value) > _MAX_VALUE_WITH_NAME_LENGTH:
        return
    place = _name_in_item(value, 0, len(value), is_personal_record=False)
    if place is None or _ITEM.fullmatch(value) is None:
        return
    words = value[slice(*place)].split(" ")
    has_title = any(map(_is_title, value.split(" ")))
    if has_title or _looks_like_korean_name(words):
        yield Finding(PIIKind.PERSON, *place, 0.72, "label")


def find_name_by_form(value: str) -> Iterator[Finding]:
    """The name that is the whole value of a field that can name a person or a thing, if it is hardly anything else.

    That is a Korean name with a common or usual given name, or two to five words in Latin letters that begin with a
    listed first name or end in a listed family name.
    """
    if len(value) > _MAX_VALUE_WITH_NAME_LENGTH or is_other_than_name(value):
        return
    whole = value.strip(_QUOTES_AND_SPACES)
    words = whole.split(" ")
    if not whole or len(words) > _MAX_WORDS:
        return
    is_name = _is_korean_by_form(whole) if _HANGUL.fullmatch(whole) else _is_latin_by_form(words)
    if is_name:
        start = value.index(whole)
        yield Finding(PIIKind.PERSON, start, start + len(whole), 0.7, "field")


def _is_korean_by_form(word: str) -> bool:
    if not _USUAL_LENGTH <= len(word) <= _LENGTH_WITH_TWO_SURNAMES or is_listed_word(word) or is_derived_word(word):
        return False
    if is_name_in_hangul(word):
        return True
    surname, given = (word[:2], word[2:]) if word[:2] in DOUBLE_SURNAMES else (word[:1], word[1:])
    is_surname = surname in SURNAMES or surname in DOUBLE_SURNAMES
    if not is_surname or (len(word) > _USUAL_LENGTH and len(surname) < 2 and word[2:] not in COMMON_GIVEN_NAMES):
        return False
    if given in COMMON_GIVEN_NAMES or word[2:] in COMMON_GIVEN_NAMES:
        return True
    return not is_ordinary_word(word) and given[0] in _FIRST_SYLLABLES and given[-1] in _LAST_SYLLABLES


def _is_latin_by_form(words: list[str]) -> bool:
    if len(words) < 2 or not all(word[:1].isupper() for word in words) or all(word.isupper() for word in words):
        return False
    if not _is_name_in_latin(words, is_personal_record=False):
        return False
    first, last = in_list_form(words[0]), in_list_form(words[-1])
    if first in SENTENCE_WORDS or last in SENTENCE_WORDS:
        return False
    return is_first_name(first) or is_family_name(last)


def _looks_like_korean_name(words: list[str]) -> bool:
    if not all(map(_HANGUL.fullmatch, words)):
        return False
    if len(words) > 1:
        surname, given = min(words, key=len), max(words, key=len)
        is_given_name = is_name_in_hangul(given) or given in COMMON_GIVEN_NAMES
        is_behind = words[-1] == surname and surname not in _WORDS_LIKE_SURNAMES  # not 입금 전
        return len(words) == 2 and surname in SURNAMES and (is_given_name or is_behind)
    word = words[0]
    if word in WORDS_AS_NAMES or (word in COMMON_GIVEN_NAMES and not is_ordinary_word(word)):
        return True
    return len(word) == _USUAL_LENGTH and word[0] in SURNAMES and word[-1] not in _ENDINGS_OF_AMOUNTS


def _name_in_item(text: str, start: int, end: int, *, is_personal_record: bool) -> tuple[int, int] | None:
    """The place of the name in one item of a list, without what is written before and after it."""
    item = text[start:end].rstrip(_QUOTES_AND_SPACES)
    content = item.lstrip(_QUOTES_AND_SPACES)
    start += len(item) - len(content)
    rest = _REST_OF_ITEM.search(content)
    after = rest.group() if rest is not None else ""
    written = _WORD.finditer(content[: len(content) - len(after)])
    words = [(start + match.start(), match.group()) for match in written]
    if not 0 < len(words) <= _MAX_WORDS_WITH_TITLES or _is_numbered_word(words, after):
        return None
    name = _without_titles(words)
    if not 0 < len(name) <= _MAX_WORDS:
        return None
    is_personal = is_personal_record or len(name) < len(words) or _NOTE_ABOUT_PERSON.match(after) is not None
    if not _is_name([word for _, word in name], is_personal_record=is_personal):
        return None
    last_start, last = name[-1]
    return name[0][0], last_start + len(last)


def _is_numbered_word(words: list[tuple[int, str]], after: str) -> bool:
    """As Grade 3."""
    return len(words) == 1 and words[0][1].isascii() and after.strip()[:1].isdigit()


def _without_titles(words: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The words, each with its place, without the titles and roles at both ends and without an attached 님."""
    first, end = 0, len(words)
    while first < end and _is_title(words[first][1]):
        first += 1
    while first < end and _is_title(words[end - 1][1]):
        end -= 1
    name = words[first:end]
    if name and name[-1][1].endswith("님") and len(name[-1][1]) > 2:
        last_start, last = name[-1]
        name[-1] = (last_start, last.removesuffix("님"))
    return name


def _is_title(word: str) -> bool:
    if word in _TITLES_AND_ROLES or word.lower().rstrip(".") in _LATIN_TITLES:
        return True
    return len(word) >= _MIN_COMPOUND_TITLE_LENGTH and word.endswith(_LONG_TITLES)  # 행정주사보


def _is_name(words: list[str], *, is_personal_record: bool) -> bool:
    if all(map(_HANGUL.fullmatch, words)):
        if len(words) == 1:
            return _is_name_of_one_word(words[0], is_personal_record=is_personal_record)
        return _is_name_of_hangul_words(words)
    if any(map(_HAN_OR_OTHER.fullmatch, words)):
        return all(
            (_HAN_OR_OTHER.fullmatch(word) or _ONE_HAN.fullmatch(word)) and word not in _HAN_LABELS for word in words
        )
    hangul = [word for word in words if _HANGUL.fullmatch(word)]
    if len(hangul) == 1 and not is_not_a_name(hangul[0]):  # 윤 Sophia
        words = [word for word in words if word != hangul[0]]
    return _is_name_in_latin(words, is_personal_record=is_personal_record)


def is_not_a_name(word: str) -> bool:
    """Whether a word in Hangul is a role, a label, a note such as 미정, or the name of an organisation."""
    if word in _NOT_NAMES or word in _TITLES_AND_ROLES or is_label(word) or kind_of_listed_name(word):
        return True
    return _ENDINGS_OF_ORGANISATIONS.match(word) or word.startswith(_BEGINNINGS_OF_ORGANISATIONS)


def _is_name_of_one_word(word: str, *, is_personal_record: bool) -> bool:
    if not 1 < len(word) <= _MAX_HANGUL_WORD_LENGTH or is_not_a_name(word):
        return False
    if is_name_in_hangul(word) or word in WORDS_AS_NAMES or word[1:] in COMMON_GIVEN_NAMES:
        return True
    if len(word) == _LENGTH_WITH_TWO_SURNAMES and word[0] in SURNAMES and word[2:] in COMMON_GIVEN_NAMES:
        return True
    if len(word) > _MAX_KOREAN_NAME_LENGTH or word[1:] in _TITLES:
        return False
    if len(word) == 2:
        return is_personal_record or not is_listed_word(word)
    if len(word) == _USUAL_LENGTH and word[0] in SURNAMES and is_derived_word(word):
        return word[-1] not in _SUFFIXES_OF_OTHER_WORDS  # 이설화 is a name, though 이설 is a word
    if word[-1] in _ENDINGS_OF_SENTENCES and (is_listed_word(word[:2]) or len(word) > _USUAL_LENGTH):
        return False
    if len(word) > _USUAL_LENGTH and is_listed_word(word[:2]):
        return False
    return is_personal_record or not (is_listed_word(word) or is_ordinary_word(word) or is_derived_word(word))


def _is_name_of_hangul_words(words: list[str]) -> bool:
    """Several words, as in 망절 윤아, 윤 소피아, 뒤 르엉 티 빅 응옥. Nouns side by side are not a name."""
    length = sum(map(len, words))
    if not 2 < length <= _MAX_HANGUL_NAME_LENGTH or any(map(is_not_a_name, words)):
        return False
    if any(map(is_name_in_hangul, words)):
        return True
    if len(words) == 2 and min(map(len, words)) == 1:  # a surname before or behind
        surname, given = sorted(words, key=len)
        if words[0] in DOUBLE_SURNAMES:
            return True
        is_given_name = given in COMMON_GIVEN_NAMES or not is_ordinary_word(given)
        return surname in SURNAMES and len(given) <= _MAX_KOREAN_NAME_LENGTH and is_given_name
    if words[-1][-1] in _ENDINGS_OF_SENTENCES or any(word.endswith(_VERB_ENDINGS) for word in words):
        return False
    return not any(is_listed_word(word) or is_ordinary_word(word) for word in words)


def _is_name_in_latin(words: list[str], *, is_personal_record: bool) -> bool:
    """Up to five capitalised words with initials, particles and suffixes between them; none is an ordinary word."""
    full: list[str] = []
    for word in words:
        lowered = word.lower().strip(".,")
        is_other = lowered in _PARTICLES or lowered in _SUFFIXES or _INITIALS.fullmatch(word) is not None
        if not is_other or (len(words) == 1 and "." not in word):
            is_end_of_sentence = word.endswith(".") and len(word) > _MAX_ABBREVIATION_LENGTH
            if is_end_of_sentence or _LATIN.fullmatch(word) is None:
                return False
            full.append(word.rstrip("."))
    in_form = [in_list_form(word) for word in full]
    if not full or not _ORGANISATION_WORDS.isdisjoint(in_form):
        return False
    is_listed = [is_first_name(word) or is_family_name(word) for word in in_form]
    if len(words) == 1:
        return is_listed[0] or _is_name_of_one_latin_word(full[0], in_form[0])
    if all(word.isupper() for word in full) and not any(is_listed):
        return is_personal_record and all(len(word) >= _MIN_NAME_IN_CAPITALS_LENGTH for word in full)
    ordinary = [word for word in in_form if word in ORDINARY_WORDS or word in _LATIN_NOT_NAMES]
    return _LATIN_KOREAN_SURNAMES.issuperset(ordinary) and not any(map(_has_capital_inside, full))


def _has_capital_inside(word: str) -> bool:
    """Whether a capital follows a small letter, or the other way round: GitHub, ESLint, but not McDonald."""
    return _CAPITAL_INSIDE.search(word) is not None and _PREFIX_WITH_CAPITAL.match(word) is None


def _is_name_of_one_latin_word(word: str, in_form: str) -> bool:
    if len(word) < 2 or word.isupper() or _has_capital_inside(word):
        return False
    return in_form not in ORDINARY_WORDS and in_form not in SENTENCE_WORDS and in_form not in _LATIN_NOT_NAMES
