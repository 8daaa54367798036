"""Korean names by rule: a surname and given syllables that a title, a label, a neighbour or common use vouches for.

"담당자 홍길동 과장(010-…)"   surname 홍 + given 길동, label 담당자, title 과장, a number beside it
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import is_label
from security_common.pii.reading import Reading, Rule
from security_common.pii.word_lists import any_of, table

__all__ = ["KOREAN_NAMES"]


_DATA = table("korean_names")
_CHARS = {name: words[0] for name, words in _DATA.items()}  # lists of syllables are one word
_SURNAMES, _DOUBLE_SURNAMES = frozenset(_CHARS["surnames"]), frozenset(_DATA["double_surnames"])
_FIRST, _LAST, _SINGLE = map(frozenset, (_CHARS["first_syllables"], _CHARS["last_syllables"], _CHARS["single_given"]))
_NAME_ENDINGS = frozenset(_CHARS["name_endings"])
_NOT_NAMES, _FULL_NAMES = frozenset(_DATA["not_names"]), frozenset(_DATA["full_names"])
_GIVEN = frozenset(_DATA["given_names"]) | {
    first + last for first in _CHARS["common_first"] for last in _CHARS["name_endings"]
}

# Words whose syllables could be a name: the classes drop most others at the speed of the expression.
_WORD = re.compile(
    rf"[{_CHARS['surnames']}{''.join(name[0] for name in _DOUBLE_SURNAMES)}](?<![가-힣].)"
    rf"(?:(?<=[{_CHARS['surnames']}])(?=[{_CHARS['first_syllables']}][{_CHARS['last_syllables']}]"
    rf"|[가-힣](?![{_CHARS['role_endings']}])[가-힣][ ]?님|[{_CHARS['single_given']}](?:(?![가-힣])|[님씨]))"
    rf"|(?=[{''.join(name[1] for name in _DOUBLE_SURNAMES)}]))[가-힣]{{1,11}}"
)
_HANGUL_WORD = re.compile("[가-힣]{2,12}")
_SPACED = re.compile(rf"[{_CHARS['surnames']}][ ][가-힣][ ][가-힣](?![가-힣])")
_GIVEN_WORD = re.compile(rf"(?<![가-힣])(?:[{_CHARS['surnames']}][ ])?([가-힣]{{2}})(?=\s?(?:씨|님)(?![가-힣]{{3}}))")
_LABEL_GAP = re.compile(r"(?:\([^()]{1,6}\))?[\"']?\s{0,2}[:=|]\s{0,2}[\"']?")
_CASE = r"(?:께서|께|의|이|가|은|는|을|를|도|과|와|한테|에게|이랑|랑)?(?![가-힣])"
_HONORIFIC = re.compile(rf"[ \t]?{any_of(_DATA['honorifics'])}{_CASE}|님")
_ESTEEMED = re.compile("[ ]?님")
_SHORT_HONORIFIC = re.compile(rf"[ \t]?(?:님|씨|귀하|고객님|회원님){_CASE}")
_LONG_TITLES = tuple(title for title in _DATA["titles"] if len(title) > 1)
# Particles and the forms of "to be"; a verb's ending is none of them. Their sound is not checked: people type in haste.
_PARTICLE = re.compile(
    r"(?:이랑|랑|이|가|은|는|을|를|과|와|의|아|야|에게서?|한테서?|께서?|하고|도|만|로부터|이고|이며|이요"
    r"|(?:이?(?:라고|라는|예요|에요|었|였|라)|입니다|인데|인가|이신|이시|이야|이죠|이네|인지|이랑|에게|한테)[가-힣]{0,4})?"
)
_TITLE = re.compile(rf"[ \t]?{any_of(_DATA['titles'])}(?:님|들)?{_PARTICLE.pattern}(?![가-힣])")
_PERSONAL = re.compile(r"(?:한테|에게|께서?|이랑|이?라는\s?(?:분|사람))")
_SAYS_NAME = re.compile(r"(?:이라고|라고|입니다|이에요|예요|이예요|이야|이라|인데)")
_NEIGHBOUR = re.compile(
    r"\((?:남|여|만\s?[0-9]|[0-9]{1,3}세)"
    r"|[\s,(/|:;\-\[<·\t]{1,4}(?:\+?[0-9][0-9\-. ]{5}|[A-Za-z0-9._%+\-]{2,40}@|[MSROD][0-9]{3})"
)
_NUMBER_BEFORE = re.compile(r"(?:[0-9]{4}|\.[a-z]{2,4})[\s,)/|:;\-\]>]{1,4}$")
_BELONGS = re.compile(r"의?\s?(?:앞으로|명의|계좌|통장|생년월일|생일|주민|여권|카드)")
_SEPARATED = re.compile(r"(?:\([^()]{1,6}\))?\s{0,2}(?:[:=|>\-]|은\s|는\s|[\"']|\n|\t)")
_BREAK = re.compile(r"\s{0,2}(?:[/|,(:;\n\t0-9]|$)")
_PLACE_ENDINGS = frozenset("동구군읍면리")


@dataclass(frozen=True, slots=True)
class _Name:
    """A stretch that could be a name, and the rest of its word."""

    reading: Reading
    start: int
    surname: str
    given: str
    rest: str

    @property
    def whole(self) -> str:
        return self.surname + self.given

    @property
    def end(self) -> int:
        return self.start + len(self.whole)

    @property
    def common(self) -> bool:
        return self.given in _GIVEN

    @property
    def plausible(self) -> bool:
        if len(self.given) == 1:
            return self.given in _SINGLE
        return self.given[0] in _FIRST and self.given[-1] in _LAST

    @property
    def denied(self) -> bool:
        """An ordinary word, a label or a title."""
        return self.whole in _NOT_NAMES or is_label(self.whole) or self.whole.endswith(_LONG_TITLES)

    @property
    def begins_a_word(self) -> bool:
        """이유 in 이유진: only an ending that words do not have makes it a name."""
        if self.given[-1] == "하" and self.rest[:1] == "는":  # 지정하는 is a verb
            return True
        return self.whole[:2] in _NOT_NAMES and self.whole[-1] not in _NAME_ENDINGS

    @property
    def stands_alone(self) -> bool:
        """Nothing follows in the word but a particle."""
        return _PARTICLE.fullmatch(self.rest) is not None

    def followed_by(self, pattern: re.Pattern[str]) -> bool:
        return pattern.match(self.reading.text, self.end) is not None


def _find_korean_names(reading: Reading) -> Iterator[Finding]:
    """At most one name a word, the longest that something vouches for."""
    text = reading.text
    for match in _WORD.finditer(text):
        yield from _judge_word(reading, match.start(), match.group())
    if not text.isascii():
        for label in reading.labels.named("PERSON"):
            gap = _LABEL_GAP.match(text, label.end)
            start = gap.end() if gap is not None else label.end
            if word := _HANGUL_WORD.match(text, start):
                yield from _judge_word(reading, start, word.group())
            elif spaced := _SPACED.match(text, start):
                yield Finding(PIIKind.PERSON, start, spaced.end(), 0.85, "label")
    if "씨" in text or "님" in text:
        for match in _GIVEN_WORD.finditer(text):
            if match.group(1) in _GIVEN and match.group(1) not in _NOT_NAMES:
                whole = match.start(1) > match.start()
                yield Finding(PIIKind.PERSON, match.start(), match.end(), 0.8 if whole else 0.6, "given-name")


def _judge_word(reading: Reading, start: int, word: str) -> Iterator[Finding]:
    for length, size in ((2, 4), (2, 3), (1, 3), (1, 2)) if word[:2] in _DOUBLE_SURNAMES else ((1, 3), (1, 2)):
        name = _Name(reading, start, word[:length], word[length:size], word[size:])
        if len(word) < size or name.denied or (length == 1 and name.surname not in _SURNAMES):
            continue
        if verdict := (_judge_short(name) if size == 2 else _judge_full(name)):
            score, why = verdict
            yield Finding(PIIKind.PERSON, name.start, name.end, score, why)
            return


def _label_vouches(name: _Name) -> bool:
    """A label directly before; with nothing but a space between, a common name, or one that ends the field."""
    label = name.reading.labels.before(name.start)
    if label.called != "PERSON":
        return False
    if name.common or _SEPARATED.match(name.reading.text, label.end):
        return True
    return len(name.given) > 1 and not name.rest and name.followed_by(_BREAK)


def _judge_full(name: _Name) -> tuple[float, str] | None:
    """A surname with two syllables."""
    if not (name.common or name.plausible):
        vouched = name.followed_by(_ESTEEMED) or (not name.rest and _label_vouches(name))
        return (0.7, "label") if vouched and not name.begins_a_word else None
    if name.followed_by(_HONORIFIC):
        return 0.9, "honorific"
    titled = name.followed_by(_TITLE)
    if not name.stands_alone and not titled:
        return None
    if _label_vouches(name):
        return 0.88, "label"
    a_word = name.begins_a_word
    if a_word and not name.common:
        return None
    if titled:
        return 0.85, "title"
    if not name.rest and _has_neighbour(name):
        return 0.8, "neighbour"
    if _PERSONAL.match(name.rest):
        return 0.75, "particle"
    if name.common and not a_word and (name.given[-1] not in _PLACE_ENDINGS or name.whole in _FULL_NAMES):
        return 0.7, "given-name"
    return (0.65, "says-name") if not a_word and _SAYS_NAME.match(name.rest) else None


def _judge_short(name: _Name) -> tuple[float, str] | None:
    """A surname with one syllable looks like any word: only a label or an honorific vouches."""
    if not name.plausible:
        return None
    if _SHORT_HONORIFIC.match(name.reading.text, name.end):
        return 0.75, "honorific"
    return (0.7, "label") if name.stands_alone and _label_vouches(name) else None


def _has_neighbour(name: _Name) -> bool:
    """A number or an address beside it, or what only a person owns right after it."""
    if name.followed_by(_NEIGHBOUR) or name.followed_by(_BELONGS):
        return True
    return _NUMBER_BEFORE.search(name.reading.text, max(0, name.start - 12), name.start) is not None


KOREAN_NAMES = Rule(r"[가-힣]{2}|[가-힣] [가-힣] [가-힣]", _find_korean_names)
