"""Korean names: a surname and given-name syllables, if something beside them confirms that they are a name.

In "담당자 홍길동 과장(010-…)" the surname is 홍 and the given name 길동. The label 담당자, the title 과장 and the
number confirm it. A common given name alone is enough if it does not look like an ordinary word.
"""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.given_names import (
    COMMON_GIVEN_NAMES,
    GIVEN_NAMES_BEFORE_HONORIFIC,
    GIVEN_NAMES_BEFORE_PARTICLE,
)
from security_common.pii.korean_words import fits_last_sound, is_derived_word, is_listed_word, is_ordinary_word
from security_common.pii.labelled_names import AFTER_LABEL_GATE, HAN_NAMES, find_labelled_names
from security_common.pii.labels import LabelledText, any_label, is_label
from security_common.pii.names_in_fields import is_not_a_name
from security_common.pii.names_in_hangul import NAMES_IN_HANGUL
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_syllable_pair, any_word, read_lists

__all__ = ["KOREAN_NAMES"]

_LISTS = read_lists("korean_names")
_SYLLABLES = {name: words[0] for name, words in _LISTS.items()}  # a list of syllables is written as one word
_SURNAMES = frozenset(_SYLLABLES["surnames"])
_DOUBLE_SURNAMES = frozenset(_LISTS["double_surnames"])
_FIRST_SYLLABLES = frozenset(_SYLLABLES["first_syllables"])
_LAST_SYLLABLES = frozenset(_SYLLABLES["last_syllables"])
_SINGLE_GIVEN = frozenset(_SYLLABLES["single_given"])
_FULL_NAMES = frozenset(_LISTS["full_names"])

# The beginning of a word whose syllables can be a name. The character class comes first and the look-behind after it,
# so that the engine skips to surnames quickly; the look-aheads exclude most other words.
_WORD = re.compile(
    rf"[{_SYLLABLES['surnames']}{''.join(name[0] for name in _DOUBLE_SURNAMES)}](?<![가-힣].)(?:"
    # after a surname of one syllable: two given-name syllables; any two syllables with 님; a single given-name syllable
    rf"(?<=[{_SYLLABLES['surnames']}])(?=[{_SYLLABLES['first_syllables']}][{_SYLLABLES['last_syllables']}]"
    rf"|[가-힣](?![{_SYLLABLES['role_endings']}])[가-힣][ ]?님|[{_SYLLABLES['single_given']}](?:(?![가-힣])|[님씨]))"
    # the second syllable of a double surname
    rf"|(?=[{''.join(name[1] for name in _DOUBLE_SURNAMES)}])"
    r")[가-힣]{1,11}"
)
_HANGUL_WORD = re.compile("[가-힣]{2,12}")
_NAME_WITH_SPACES = re.compile(rf"[{_SYLLABLES['surnames']}][ ][가-힣][ ][가-힣](?![가-힣])")  # 홍 길 동
_LABEL_GAP = re.compile(r"(?:\([^()]{1,6}\))?[\"']?\s{0,2}[:=|]\s{0,2}[\"']?")
_CASE_PARTICLE = r"(?:께서|께|의|이|가|은|는|을|를|도|과|와|한테|에게|이랑|랑)?(?![가-힣])"
_HONORIFIC = re.compile(rf"[ \t]?{any_word(_LISTS['honorifics'])}{_CASE_PARTICLE}|님")
_NIM = re.compile("[ ]?님")
_HONORIFIC_AFTER_SHORT_NAME = re.compile(rf"[ \t]?(?:님|씨|귀하|고객님|회원님){_CASE_PARTICLE}")
_RANK_AFTER_SHORT_NAME = re.compile(
    "[ ]?(?:과장|부장|차장|대리|팀장|실장|이사|상무|전무|대표|사장|원장|교수|선생|변호사|매니저|강사|소장|주임"
    "|집사|권사)님"
    "|[ ](?:과장|부장|차장|대리|팀장|실장|상무|전무|교수|변호사|매니저|주임|강사|선생님|간호사|주무관|기사|환자|어르신"
    "|학생|집사|권사|장로|수녀|신부|목사)(?![가-힣]{2})"
)
_LONG_TITLES = tuple(title for title in _LISTS["titles"] if len(title) > 1)
# Particles and the forms of "to be", but no verb endings. Whether a particle fits the sound before it is not checked,
# because people make mistakes when they type.
_PARTICLE = re.compile(
    r"(?:이랑|랑|이|가|은|는|을|를|과|와|의|아|야|에게서?|한테서?|께서?|하고|도|만|로|으로|로부터|이고|이며|이?요"
    r"|(?:이?(?:라고|라는|예요|에요|었|였|라)|입니다|인데|인가|이신|이시|이야|이죠|이네|인지|이랑|에게|한테)[가-힣]{0,4})?"
)
_TITLE = re.compile(rf"[ \t]?{any_word(_LISTS['titles'])}(?:님|들)?{_PARTICLE.pattern}(?![가-힣])")
_ATTACHED_TITLE = re.compile("[가-힣]{2}")
_PARTICLE_FOR_PERSONS = re.compile(r"(?:한테|에게|께서?|이랑|이?라는\s?(?:분|사람))")
_INTRODUCTION = re.compile(r"(?:이라고|라고|입니다|이에요|예요|이예요|이야|이라|인데)")
_PERSONAL_DATA_AFTER = re.compile(
    # (남, (만 35, (35세
    r"\((?:남|여|만\s?[0-9]|[0-9]{1,3}세)"
    # a number, an e-mail address or a passport
    r"|[\s,(/|:;\-\[<·\t]{1,4}(?:\+?[0-9][0-9\-. ]{5}|[A-Za-z0-9._%+\-]{2,40}@|[MSROD][0-9]{3})"
    # "t":"010-1234-5678" in the next member of an object
    r"|\"[ ]?,[ ]?\"[A-Za-z_]{1,12}\"[ ]?:[ ]?\"(?:01[016-9]-?[0-9]{3,4}-?[0-9]{4}|[A-Za-z0-9._%+\-]{2,40}@)"
)
_PERSONAL_DATA_BEFORE = re.compile(r"(?:[0-9]{4}|\.[a-z]{2,4})[\s,)/|:;\-\]>]{1,4}$")
_MAX_END_OF_DATA_LENGTH = 12
_POSSESSION_AFTER = re.compile(r"의?\s?(?:앞으로|명의|계좌|통장|생년월일|생일|주민|여권|카드)")
_ATTACHED_HONORIFIC = re.compile("님|씨")
_HONORIFIC_WITH_SPACE = re.compile("[ ](?:님|씨|귀하|어르신)(?![가-힣]{2})")
_SEPARATOR = re.compile(r"(?:\([^()]{1,6}\))?[\"']?\s{0,2}[:=|>]")
_SEPARATOR_AFTER_LABEL = re.compile(r"(?:\([^()]{1,6}\))?\s{0,2}(?:[:=|>\-]|은\s|는\s|[\"']|\n|\t)")
_END_OF_FIELD = re.compile(r"\s{0,2}(?:[/|,():;\n\t0-9\"'\]}<.]|$)|\s{2}|[ ]?(?:님|씨)")
_NAME_IN_BRACKETS = re.compile(r"[ ]?\(([가-힣]{2,5})\)")
# 표석진, 신하람, 선덕배, 박태경 님
_LIST_OF_WORDS = re.compile(r"(?<![가-힣])[가-힣]{2,4}(?:[ ]?[,·/][ ]?[가-힣]{2,4}(?![가-힣])){1,40}")
_ITEM = re.compile("[가-힣]+")
# A speaker at the beginning of a line of a chat: 권산하(상담): ...
_SPEAKER = re.compile(
    r"(?:^|(?<=\n))[ \t]{0,4}(?:\[[^\]\n]{1,20}\][ ]?)?([가-힣]{2,4})(?:[ ]?\([가-힣]{2,5}\))?[ ]?:[ ](?![0-9])"
)
_INTRODUCTION_AFTER_SPACE = re.compile("[ ](?:이고요|입니다|이에요|예요|이라고|라고[ ](?:합니다|해요|하는데요))")
_LAST_SYLLABLES_OF_ROLES = frozenset("자원인장사관생")
_COUNTERS = frozenset("원명권장주조만천백구석")
_ENDING_OF_SHIPS, _CHARS_AROUND_SHIP = "호", 16
_SHIP = re.compile("어선|선박|선장|선명|선적항|출항|입항|조업|접안|톤급|[0-9]톤|제[0-9]")
_PLACE_ENDINGS = frozenset("동구군읍면리")
_USUAL_LENGTH = 3
# The last syllables of many nouns, and particles.
_LAST_SYLLABLES_OF_OTHER_WORDS = _PLACE_ENDINGS | frozenset("로을은는도보명실산문대지복임")

_Assessment = tuple[float, str] | None
"""Score and reason, or None if this is not a name."""


class _NameCandidate:
    """The beginning of a word that can be a name, and the rest of the word."""

    __slots__ = ("end", "full_name", "given", "rest", "source", "start", "surname")

    def __init__(self, source: LabelledText, start: int, surname: str, given: str, rest: str) -> None:
        self.source = source
        self.start = start
        self.surname = surname
        self.given = given
        self.rest = rest
        self.full_name = surname + given
        self.end = start + len(self.full_name)

    @property
    def has_common_given_name(self) -> bool:
        return self.given in COMMON_GIVEN_NAMES

    @property
    def has_usual_syllables(self) -> bool:
        if len(self.given) == 1:
            return self.given in _SINGLE_GIVEN
        return self.given[0] in _FIRST_SYLLABLES and self.given[-1] in _LAST_SYLLABLES

    @property
    def begins_word(self) -> bool:
        return not (self.start and "가" <= self.source.text[self.start - 1] <= "힣")

    @property
    def is_other_word(self) -> bool:
        """Whether this is an ordinary word that cannot be a name, a label or a title."""
        may_be_name = self.has_common_given_name and self.full_name[-1] not in _LAST_SYLLABLES_OF_ROLES
        if is_listed_word(self.full_name) and not may_be_name:
            return True
        return is_label(self.full_name) or self.full_name.endswith(_LONG_TITLES)

    @property
    def is_ordinary_with_ending(self) -> bool:
        """As 배송이, which is the noun 배송 with a particle."""
        return is_listed_word(self.full_name) or is_ordinary_word(self.full_name + self.rest)

    @property
    def may_be_derived_word(self) -> bool:
        return is_derived_word(self.full_name)

    @property
    def is_whole_word(self) -> bool:
        """Whether nothing but a particle follows in the word."""
        return _PARTICLE.fullmatch(self.rest) is not None

    def is_followed_by(self, pattern: re.Pattern[str]) -> bool:
        return pattern.match(self.source.text, self.end) is not None


def _find_words(source: LabelledText) -> Iterator[Finding]:
    """Names at the beginning of a word."""
    text = source.text
    for match in _WORD.finditer(text):
        if not _is_counter(text, match.start()):
            yield from _find_in_word(source, match.start(), match.group())


def _is_counter(text: str, start: int) -> bool:
    """Whether a word follows a number directly: 6,000원은, 3명은."""
    return start > 0 and text[start] in _COUNTERS and text[start - 1].isdigit()


def _find_after_labels(source: LabelledText) -> Iterator[Finding]:
    """Any word after a label for persons, names with spaces between the syllables, and names of other countries."""
    text = source.text
    for label in source.labels.of_kind("PERSON"):
        gap = _LABEL_GAP.match(text, label.end)
        start = gap.end() if gap is not None else label.end + text.startswith(" ", label.end)
        in_brackets = _NAME_IN_BRACKETS.match(text, label.end)
        if in_brackets is not None:
            yield from _find_in_word(source, in_brackets.start(1), in_brackets.group(1))
        word = _HANGUL_WORD.match(text, start)
        if word is not None:
            is_searched_anyway = _WORD.match(text, start) is not None and not _is_counter(text, start)
            if not is_searched_anyway:
                yield from _find_in_word(source, start, word.group())
            continue
        with_spaces = _NAME_WITH_SPACES.match(text, start)
        if gap is not None and with_spaces is not None:
            yield Finding(PIIKind.PERSON, start, with_spaces.end(), 0.85, "label")
    yield from find_labelled_names(source)


def _find_in_lists(source: LabelledText) -> Iterator[Finding]:
    """All names of a list separated by commas if at least half of them, and two, have common given names."""
    for match in _LIST_OF_WORDS.finditer(source.text):
        names = [
            _NameCandidate(source, match.start() + item.start(), item.group()[0], item.group()[1:3], "")
            for item in _ITEM.finditer(match.group())
        ]
        names = [name for name in names if name.surname in _SURNAMES and not name.is_ordinary_with_ending]
        common = sum(name.has_common_given_name for name in names)
        if common * 2 >= len(names) and common > 1:
            for name in names:
                if name.has_usual_syllables and not name.is_other_word:
                    yield Finding(PIIKind.PERSON, name.start, name.end, 0.68, "list")


def _find_speakers(source: LabelledText) -> Iterator[Finding]:
    """Names before a colon at the beginning of a line, as in a chat."""
    for match in _SPEAKER.finditer(source.text):
        written = match[1]
        name = _NameCandidate(source, match.start(1), written[0], written[1:], "")
        is_name = name.surname in _SURNAMES and len(written) < 4 and name.has_usual_syllables
        may_be_word = name.is_other_word or name.is_ordinary_with_ending or name.may_be_derived_word
        if is_name and not may_be_word and (name.has_common_given_name or "\n" in source.text):
            yield Finding(PIIKind.PERSON, name.start, name.end, 0.66, "speaker")


def _find_in_word(source: LabelledText, start: int, word: str) -> Iterator[Finding]:
    """At most one name at the beginning of a word: the longest that is confirmed."""
    # Pairs of the length of the surname and the length of the whole name.
    lengths = ((2, 4), (2, 3), (1, 3), (1, 2)) if word[:2] in _DOUBLE_SURNAMES else ((1, 3), (1, 2))
    for surname_length, length in lengths:
        surname, given = word[:surname_length], word[surname_length:length]
        if len(word) < length or (surname_length == 1 and surname not in _SURNAMES):
            continue
        if length == 2 and given not in _SINGLE_GIVEN:
            continue
        name = _NameCandidate(source, start, surname, given, word[length:])
        if name.is_other_word:
            continue
        assessment = _assess_short_name(name) if length == 2 else _assess_full_name(name)
        if assessment is not None:
            score, why = assessment
            yield Finding(PIIKind.PERSON, name.start, name.end, score, why)
            return


def _assess_full_name(name: _NameCandidate) -> _Assessment:
    """A surname with two given-name syllables, or a double surname."""
    if name.is_ordinary_with_ending:
        return _assess_ordinary_word(name)
    if not (name.has_common_given_name or name.has_usual_syllables):
        is_value = name.begins_word and not name.rest and name.is_followed_by(_END_OF_FIELD)
        is_value = is_value and _is_confirmed_by_label(name)
        confirmed = name.is_followed_by(_NIM) or is_value
        return (0.7, "label") if confirmed and not name.may_be_derived_word else None
    if name.is_followed_by(_HONORIFIC):
        return 0.9, "honorific"
    return _assess_without_honorific(name)


def _assess_ordinary_word(name: _NameCandidate) -> _Assessment:
    """정보라 is also the noun 정보 with a particle: only a label with a separator, 님 or 씨 make it a name."""
    if name.has_usual_syllables and name.is_followed_by(_HONORIFIC_WITH_SPACE):
        return 0.8, "honorific"
    if not name.has_common_given_name:
        return None
    if name.is_followed_by(_ATTACHED_HONORIFIC):
        return 0.8, "honorific"
    label = name.source.labels.before(name.start)
    is_value_of_label = label.adjacent_kind == "PERSON" and _SEPARATOR.match(name.source.text, label.end) is not None
    return (0.8, "label") if is_value_of_label and not name.rest and name.is_followed_by(_END_OF_FIELD) else None


def _assess_without_honorific(name: _NameCandidate) -> _Assessment:
    """A common given name or usual syllables, with a label, a title, a neighbour or a particle for persons."""
    has_title = name.is_followed_by(_TITLE)
    if not name.is_whole_word and not has_title:
        return None
    if _is_confirmed_by_label(name):
        return 0.88, "label"
    may_be_derived = name.may_be_derived_word
    if may_be_derived and not name.has_common_given_name:
        return None
    may_be_compound = name.is_followed_by(_ATTACHED_TITLE) and is_listed_word(name.full_name[:2])  # 지하주차장
    if has_title:
        return None if may_be_compound else (0.85, "title")
    if not name.rest and _is_beside_personal_data(name):
        return 0.8, "neighbour"
    if _PARTICLE_FOR_PERSONS.match(name.rest):
        return 0.75, "particle"
    if may_be_derived:
        return None
    return _assess_alone(name)


def _assess_alone(name: _NameCandidate) -> _Assessment:
    """A common given name, usual syllables that are hardly ever another word, or an introduction."""
    may_be_place = name.given[-1] in _PLACE_ENDINGS and name.full_name not in _FULL_NAMES
    if name.given[-1] == _ENDING_OF_SHIPS and _is_near_ship(name):
        return None
    if name.has_common_given_name and not may_be_place:
        return 0.7, "given-name"
    if _has_form_of_name(name):
        return 0.62, "form"
    introduces = _INTRODUCTION.match(name.rest) or (not name.rest and name.is_followed_by(_INTRODUCTION_AFTER_SPACE))
    return (0.65, "says-name") if introduces else None


def _is_near_ship(name: _NameCandidate) -> bool:
    """Whether the words around show the name of a ship: 제3 복순호 선장, 유진호와 복순호는 어선이다."""
    start, end = max(0, name.start - _CHARS_AROUND_SHIP), name.end + _CHARS_AROUND_SHIP
    return _SHIP.search(name.source.text, start, end) is not None


def _has_form_of_name(name: _NameCandidate) -> bool:
    """Whether three syllables, with at most a particle that fits their last sound, are hardly ever another word."""
    if len(name.full_name) != _USUAL_LENGTH or name.given[-1] in _LAST_SYLLABLES_OF_OTHER_WORDS:
        return False
    if not (name.begins_word and name.has_usual_syllables) or is_not_a_name(name.full_name):
        return False
    first_two = name.full_name[:2]
    if is_listed_word(first_two) or first_two in COMMON_GIVEN_NAMES or is_listed_word(name.given):
        return False  # 노을빛
    return fits_last_sound(name.full_name, name.rest)


def _assess_short_name(name: _NameCandidate) -> _Assessment:
    """A surname with one syllable looks like any word: it needs a label, an honorific, a rank or a particle."""
    if _HONORIFIC_AFTER_SHORT_NAME.match(name.source.text, name.end):
        return 0.75, "honorific"
    if name.is_followed_by(_RANK_AFTER_SHORT_NAME):
        return 0.7, "title"
    if name.is_whole_word and _is_confirmed_by_label(name):
        return 0.7, "label"
    return (0.62, "particle") if _PARTICLE_FOR_PERSONS.fullmatch(name.rest) else None


def _is_confirmed_by_label(name: _NameCandidate) -> bool:
    """An adjacent label for persons. If only a space is between, the name must be common or end the field."""
    label = name.source.labels.before(name.start)
    if label.adjacent_kind != "PERSON":
        return False
    if name.has_common_given_name or _SEPARATOR_AFTER_LABEL.match(name.source.text, label.end):
        return True
    return not name.rest and name.is_followed_by(_END_OF_FIELD)


def _is_beside_personal_data(name: _NameCandidate) -> bool:
    """Whether a number or address is beside the name, or a word for what only a person owns follows."""
    if name.is_followed_by(_PERSONAL_DATA_AFTER) or name.is_followed_by(_POSSESSION_AFTER):
        return True
    search_from = max(0, name.start - _MAX_END_OF_DATA_LENGTH)
    return _PERSONAL_DATA_BEFORE.search(name.source.text, search_from, name.start) is not None


_SURNAME = f"[{_SYLLABLES['surnames']}]"
_USUAL_SYLLABLES = f"[{_SYLLABLES['first_syllables']}][{_SYLLABLES['last_syllables']}]"
_SINGLE_SYLLABLE = f"[{_SYLLABLES['single_given']}]"
_FIRST_OF_DOUBLE, _SECOND_OF_DOUBLE = ("".join(name[index] for name in _DOUBLE_SURNAMES) for index in (0, 1))
_COMMON_NAME = (
    f"(?:{any_syllable_pair(COMMON_GIVEN_NAMES)}|{any_word(name for name in COMMON_GIVEN_NAMES if len(name) == 1)})"
)
KOREAN_NAMES = (
    Rule(
        rf"(?:^|[^가-힣])(?:{_SURNAME}(?:{_USUAL_SYLLABLES}|[가-힣][가-힣] ?님|{_SINGLE_SYLLABLE}(?:[^가-힣]|[님씨]|$))"
        rf"|[{_FIRST_OF_DOUBLE}][{_SECOND_OF_DOUBLE}])",
        _find_words,
        may_be_public=True,
    ),
    Rule(
        rf"{any_label('PERSON')}(?:{AFTER_LABEL_GATE}| ?\(?[{_SYLLABLES['surnames']}{_FIRST_OF_DOUBLE}][가-힣])",
        _find_after_labels,
        may_be_public=True,
        begins_with_word=True,
    ),
    Rule(rf"[가-힣] ?[,·/] ?{_SURNAME}{_COMMON_NAME}", _find_in_lists, may_be_public=True),
    Rule(
        rf"(?:^|[\]\n\t ]){_SURNAME}(?:{_USUAL_SYLLABLES}|{_SINGLE_SYLLABLE})(?: ?\([가-힣]*\))? ?: ",
        _find_speakers,
        may_be_public=True,
    ),
    GIVEN_NAMES_BEFORE_HONORIFIC,
    GIVEN_NAMES_BEFORE_PARTICLE,
    *NAMES_IN_HANGUL,
    HAN_NAMES,
)
