"""Names in Latin letters: after a title, a label, a greeting or a cue, or by the lists of first and family names."""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText, any_label
from security_common.pii.latin_names import (
    DISTINCT_FIRST_NAMES,
    ORDINARY_WORDS,
    SENTENCE_WORDS,
    THING_WORDS,
    has_listed_name,
    in_list_form,
    is_asian_surname,
    is_distinct_first_name,
    is_family_name,
    is_first_name,
    is_last_then_first,
    words_in_name,
)
from security_common.pii.romanized_names import is_romanized_korean
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_word, any_word_without_look_around, read_lists

__all__ = ["ENGLISH_NAMES", "FIRST_NAMES_ALONE"]

_LISTS = read_lists("english_names")
_GENERAL_LABELS = frozenset(read_lists("labelled_names")["general_labels"])
_PLACE_PREFIXES = frozenset(_LISTS["place_heads"])

_UPPER = "[A-ZÀ-ÖØ-Þ\u0110\u0141\u015a\u017b\u017d\u010c\u0160]"
_LOWER = r"[a-zß-öø-ÿ\u0101-\u017f\u01a1\u01b0\u1ea0-\u1ef9]"  # with the letters of Vietnamese
# What follows the first capital: `arah` or `cDonald`, `'Connor` after O, `MITH`.
_REST_OF_PART = (
    rf"(?:{_LOWER}{{1,14}}(?:{_UPPER}{_LOWER}{{1,10}})?|(?<=[A-Z])'{_UPPER}{_LOWER}{{2,12}}|(?<=[A-Z])[A-Z]{{1,14}})"
)
# With a second part: Smith-Jones, Gil-dong.
_REST_OF_WORD = rf"{_REST_OF_PART}(?:[-']{_UPPER}{_REST_OF_PART}|-[a-z]{{2,6}})?"
_WORD = _UPPER + _REST_OF_WORD
_PARTICLES = r"(?:(?:van|von|de|da|di|del|della|der|den|dos|la|le|bin|ibn|al|el|ter)[ ]){0,2}"
# One to twelve capitalised words. The capital comes first and the look-behind after it, so that the engine skips to
# capitals quickly.
_CAPITALISED_WORDS = re.compile(
    rf"{_UPPER}(?<![A-Za-z0-9_@./\-].)(?<![A-Za-z]'.){_REST_OF_WORD}"
    rf"(?:(?:[ ][A-Z]\.?)?,?[ ]{_PARTICLES}{_WORD}){{0,11}}"
    r"(?![A-Za-z0-9_@]|\.[a-z])"
)
_CAPITALISED_WORD = re.compile(_WORD)
_TITLES = frozenset({"Mr", "Mrs", "Ms", "Miss", "Mx", "Dr", "Prof", "Professor", "Sir", "Madam", "MR", "MRS", "DR"})
_GREETINGS = frozenset({"dear", "hi", "hello", "hey", "attn", "regards", "thanks", "sincerely", "cheers", "signed"})
_TITLES_BEFORE = ("Mr. ", "Mrs. ", "Ms. ", "Mx. ", "Dr. ", "Prof. ")
_STRONG_CUES, _CUES = tuple(_LISTS["strong_cues"]), frozenset(_LISTS["cues"])
# Cues after which even a name that is also a word, such as Mark, is a person.
_PERSONAL_CUES = frozenset(_LISTS["personal_cues"])
_GREETINGS_AND_CUES = _GREETINGS | _PERSONAL_CUES
_PERSONAL_CUE_AFTER = re.compile(rf"[ ]{any_word(_LISTS['says'])}(?![A-Za-z])")
_MAX_CUE_LENGTH = 16
_CUE_AFTER = re.compile(rf"(?:'s)?[ ]{any_word(_LISTS['does'])}(?![A-Za-z])|\s?(?:님|씨|고객|회원)")
_LABEL_FOR_PART_OF_NAME = re.compile("first|last|given|family|surname")
_LABELLED_NAME = re.compile(
    r"(?:[ ]?\([A-Za-z ,/]{2,24}\))?(?:은|는)?[\"']?\s{0,2}(?:[:=|]|is\b|-\s)\s{0,2}[\"']?"
    # one to four words
    r"([A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'\-]{0,20}\.?(?:,?[ ][A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'\-]{0,20}\.?){0,3})"
    # the end of the field, or a word in lower case
    r"(?=[\"'\n\r,;|/)(<\]}\t]|[ ]{2}|\.(?:\s|$)|$|[ ][\-(|/]|[ ][a-z]{2,})"
)

# J. Smith, J.-P. Martin; Smith, J.
_INITIALS = re.compile(
    rf"(?<![A-Za-z0-9_@./'\-])(?:(?:[A-Z]\.[ -]?){{1,3}}(?P<family>{_WORD})"
    rf"|(?P<family_first>{_WORD}),[ ](?:[A-Z]\.[ ]?){{1,3}})(?![A-Za-z0-9_@])"
)
# A first name alone: not a part of a longer name, a path, an identifier or a call.
_WORD_ALONE = re.compile(
    rf"(?<![A-Za-z0-9_@./=<$#\-])([A-Z]{_LOWER}{{2,14}})"
    r"(?=(?:'s|’s)?(?:[ ][a-z(0-9]|[,;:!?)\"'\n]|\.(?:\s|$)|[ ]*$|[ ]?[가-힣—–-]))"
)
_PERSONAL_DATA_AFTER = re.compile(
    r"[ ,(:<|/]{1,3}(?:(?i:ssn|dob|tel|phone|born)|\+?[0-9][0-9\-. ]{5}|[A-Za-z0-9._%+\-]{2,40}@)"
)
_NAME_OF_SHOP = re.compile("'s [A-Z가-힣]")  # Wendy's Week
_WORD_BEFORE = re.compile(r"([A-Z][A-Za-z'.]*)[ ]$")
_MAX_WORD_BEFORE_LENGTH = 16
_THINGS = read_lists("latin_prose")
_THING_AFTER_NAME = re.compile(rf"[ ]{any_word(_THINGS['things_after_names'])}(?![A-Za-z])")
_THING_BEFORE_NAME = re.compile(rf"(?<![A-Za-z])(?i:{any_word(_THINGS['things_before_names'])})[ ]$")

_NOT_FIRST_NAMES = ORDINARY_WORDS | SENTENCE_WORDS

_Words = list[tuple[int, str]]
"""Start and text of each word."""


def _find_capitalised_words(source: LabelledText) -> Iterator[Finding]:
    for match in _CAPITALISED_WORDS.finditer(source.text):
        yield from _find_in_capitalised_words(source, match)


def _find_in_capitalised_words(source: LabelledText, match: re.Match[str]) -> Iterator[Finding]:
    """At most one name. Titles score highest, then introductions (cues), then listed names."""
    text, start = source.text, match.start()
    before = text[max(0, start - _MAX_CUE_LENGTH) : start]
    words_before = before.rstrip().lower()
    last_word_before = words_before.rpartition(" ")[2]
    has_title = before.endswith(_TITLES_BEFORE)
    has_strong_cue = words_before.endswith(_STRONG_CUES)
    has_cue = has_strong_cue or last_word_before in _CUES or _CUE_AFTER.match(text, match.end()) is not None
    is_single_word = " " not in match.group()
    if is_single_word and ((not has_cue and not has_title) or _NAME_OF_SHOP.match(text, match.end())):
        return
    words = [(start + word.start(), word.group()) for word in _CAPITALISED_WORD.finditer(match.group())]
    is_personal = last_word_before in _PERSONAL_CUES or _PERSONAL_CUE_AFTER.match(text, match.end()) is not None
    while words and words[0][1].lower() in _GREETINGS_AND_CUES:
        words, has_cue, is_personal = words[1:], True, True
    if words and words[0][1] in _TITLES:
        words, has_title = words[1:], True
    if not words:
        return
    if has_title:
        in_form = [in_list_form(word) for _, word in words[:3]]
        if in_form[0] not in ORDINARY_WORDS or words_in_name(in_form):
            yield _finding(_until_comma(text, words[:3]), 0.9, "title")
        return
    if len(words) > 1 and source.adjacent_label_kind(words[1][0]) == "PERSON":
        words, has_strong_cue = words[1:], True  # the first word is the label
    has_strong_cue = has_strong_cue or source.adjacent_label_kind(words[0][0]) == "PERSON"
    if has_strong_cue:
        yield from _find_introduced(text, words)
    else:
        yield from _find_listed(text, words, has_cue=has_cue, is_personal=is_personal)


def _find_introduced(text: str, words: _Words) -> Iterator[Finding]:
    """After a strong cue: the listed name, or any two words that are not ordinary words."""
    found = list(_find_listed(text, words, has_cue=True, is_personal=True))
    rest = _until_comma(text, words[:3])
    if found:
        yield from found
    elif len(rest) > 1 and ORDINARY_WORDS.isdisjoint(in_list_form(word) for _, word in rest):
        yield _finding(rest, 0.8, "introduced")


def _find_listed(text: str, words: _Words, *, has_cue: bool, is_personal: bool) -> Iterator[Finding]:
    """The names that begin with a listed name.

    A first name alone needs a cue; if it is also a word, a cue that is only used for persons (`is_personal`).
    """
    score, why = (0.8, "introduced") if has_cue else (0.75, "listed")
    index, has_found = 0, False
    while index < len(words):
        rest = _until_comma(text, words[index : index + 4])
        length = 0
        is_with_article = (
            index > 0 and words[index - 1][1] == "The" and not is_distinct_first_name(in_list_form(rest[0][1]))
        )
        if not (is_with_article or (index and words[index - 1][1] in _PLACE_PREFIXES)):
            length = _length_of_listed_name(text, rest, is_personal=is_personal)
        is_alone = length == 1 and index == 0 and has_cue
        if length >= 2 or is_alone:
            yield _finding(rest[:length], score, why)
            has_found = True
        index += max(1, length)
    if has_found or not has_cue:
        return
    rest = _until_comma(text, words[:2])
    in_form = [in_list_form(word) for _, word in rest]
    if len(rest) > 1 and is_family_name(in_form[1]) and in_form[0] not in _NOT_FIRST_NAMES:
        yield _finding(rest, score, why)


def _length_of_listed_name(text: str, words: _Words, *, is_personal: bool) -> int:
    """The number of words of a name; a number or mail address behind it makes a name of an ambiguous first name."""
    in_form = [in_list_form(word) for _, word in words]
    length = words_in_name(in_form, needs_family_name=words[0][1].isupper())
    if 1 < length < len(words) and in_form[length] in THING_WORDS and not is_personal:
        return 0  # the name of a product: Oliver Chopping Board
    if length == 1:
        return 1 if is_personal or is_distinct_first_name(in_form[0]) else 0
    if length == 0 and len(words) > 1 and is_first_name(in_form[0]) and in_form[1] not in ORDINARY_WORDS:
        end = words[1][0] + len(words[1][1])
        return 2 if is_personal or _PERSONAL_DATA_AFTER.match(text, end) else 0
    return length


def _find_initials(source: LabelledText) -> Iterator[Finding]:
    """Initials before or after a listed family name."""
    for match in _INITIALS.finditer(source.text):
        family = in_list_form(match["family"] or match["family_first"])
        if is_family_name(family) or is_asian_surname(family):
            yield Finding(PIIKind.PERSON, *match.span(), 0.76, "listed")


def _find_first_names_alone(source: LabelledText) -> Iterator[Finding]:
    """First names in a sentence that are not words, places or brands as well: did Amara call?"""
    text = source.text
    if " " not in text.strip():
        return
    for match in _WORD_ALONE.finditer(text):
        if not is_distinct_first_name(in_list_form(match[1])):
            continue
        start = match.start()
        before = _WORD_BEFORE.search(text, max(0, start - _MAX_WORD_BEFORE_LENGTH), start)
        is_quoted = text[start - 1 : start] == text[match.end(1) : match.end(1) + 1] == '"'  # the product "Olivia"
        before_thing = _THING_AFTER_NAME.match(text, match.end(1)) is not None  # the Olivia desk
        after_thing = _THING_BEFORE_NAME.search(text, max(0, start - _MAX_WORD_BEFORE_LENGTH), start) is not None
        if is_quoted or before_thing or after_thing:
            continue
        if before is None or before[1].lower().rstrip(".") in SENTENCE_WORDS:
            yield Finding(PIIKind.PERSON, start, match.end(1), 0.6, "given-name")


def _until_comma(text: str, words: _Words) -> _Words:
    """The words before the first comma, which ends a name unless it is written as "Last, First"."""
    for index, (start, word) in enumerate(words[:-1]):
        if text.startswith(",", start + len(word)):
            if index == 0 and is_last_then_first(in_list_form(word), in_list_form(words[1][1])):
                return words[:2]
            return words[: index + 1]
    return words


def _finding(words: _Words, score: float, why: str) -> Finding:
    first_start, (last_start, last_word) = words[0][0], words[-1]
    return Finding(PIIKind.PERSON, first_start, last_start + len(last_word), score, why)


def _find_after_labels(source: LabelledText) -> Iterator[Finding]:
    for label in source.labels.of_kind("PERSON"):
        match = _LABELLED_NAME.match(source.text, label.end)
        if match is not None and _may_be_name(match.group(1), source.lowered[label.start : label.end]):
            yield Finding(PIIKind.PERSON, *match.span(1), 0.87, "label")


def _may_be_name(written: str, label: str) -> bool:
    """A listed name, or at least two capitalised words; one is enough after a label such as `first name`."""
    written_words = written.replace(",", " ").split()
    words = [in_list_form(word) for word in written_words]
    is_capitalised = all(word[0].isupper() for word in written_words)
    is_general = label.replace("_", " ") in _GENERAL_LABELS
    has_ordinary_word = not ORDINARY_WORDS.isdisjoint(words)
    if has_listed_name(words, is_capitalised=is_capitalised):
        is_certain = not is_general and len(words) == 2 and is_distinct_first_name(words[0])
        return not has_ordinary_word or is_certain or is_romanized_korean(words, is_labelled=True)
    if not is_capitalised or has_ordinary_word or (is_general and written.isupper()):
        return False
    return len(words) > 1 or _LABEL_FOR_PART_OF_NAME.match(label) is not None


# The places where English names are searched for at all.
_PLACE_OF_NAME = (
    # a capital after another word, also with a particle between them: only the end of the first word is searched,
    # because with the whole word the search without RE2 would be quadratic
    r"[A-Za-zÀ-žơưẠ-ỹ'.\-],? "
    r"(?:(?:van|von|de|da|di|della?|de[rn]|dos|l[ae]|bin|ibn|[ae]l|ter) ){0,2}[A-ZÀ-ÞĐŁ-Ž]"
    # an initial
    r"|[A-Z]\. ?[A-Z][a-z]"
    # a label for persons, not any label: nearly every argument of a tool has a name and a colon
    rf"|(?i:{any_word(read_lists('labels')['PERSON'])})s?(?:은|는)?[\"']?\s{{0,2}}(?:[:=|]|is|-)\s{{0,2}}[\"']?[A-Za-z]"
    # a cue for persons, before or after one word
    rf"|(?i:{any_word(_PERSONAL_CUES)}) [A-Z]|[A-Z][a-z]+ {any_word(_LISTS['says'])}"
    # a greeting or introduction, a Korean honorific
    r"|(?i:dear|hi|hey|hello|i'm|i am|is|regards|thanks)\W|[a-z]\s?(?:님|씨|고객|회원)"
)
_LETTER_IN_WORD = r"A-Za-zÀ-žơưẠ-ỹ'\-"
_CAPITALISED_WORDS_GATE = (
    # a capitalised word before another one, a verb for persons or an honorific
    rf"(?:^|[^{_LETTER_IN_WORD}0-9_@./]){_UPPER}[{_LETTER_IN_WORD}]+"
    rf"(?:,? {_PARTICLES}{_UPPER}|(?:'s)? {any_word(_LISTS['does'])}|\s?(?:님|씨|고객|회원))"
    # a capitalised word after a quotation mark or a letter with an accent
    rf"|['À-žơưẠ-ỹ]{_UPPER}[{_LETTER_IN_WORD}]"
    # a title or cue before a capitalised word
    rf"|{any_word(title.strip(' .') for title in _TITLES_BEFORE)}\. {_UPPER}"
    rf"|(?i:{any_word([*_STRONG_CUES, *_CUES, *_PERSONAL_CUES])})\s*{_UPPER}"
)
ENGLISH_NAMES = (
    Rule(
        rf"{any_label('PERSON')}(?:은|는)?[\"']?\s{{0,2}}(?:[:=|]|is|-\s)\s{{0,2}}[\"']?[A-Za-zÀ-ÿ]",
        _find_after_labels,
        also_required=_PLACE_OF_NAME,
        may_be_public=True,
        begins_with_word=True,
    ),
    Rule(_CAPITALISED_WORDS_GATE, _find_capitalised_words, also_required=_PLACE_OF_NAME, may_be_public=True),
    Rule(
        rf"[A-Z]\.[ -]?{_UPPER}[{_LETTER_IN_WORD}]|[{_LETTER_IN_WORD}], [A-Z]\.",
        _find_initials,
        also_required=_PLACE_OF_NAME,
        may_be_public=True,
    ),
)
_DISTINCT_NAME = f"(?:^|[^A-Za-z0-9_@./=<$#-]){any_word_without_look_around(map(str.capitalize, DISTINCT_FIRST_NAMES))}"
# names with accents, which the lists have without
_NAME_WITH_ACCENT = "(?:^|[^A-Za-z0-9_@./=<$#-])[A-Z][a-z]{0,9}[à-ÿ]"
FIRST_NAMES_ALONE = Rule(
    rf"{_DISTINCT_NAME}(?:'s)?(?: [a-z(0-9]|[,;:!?)\"'.\n]| *\n?$| ?[가-힣-])|{_NAME_WITH_ACCENT}",
    _find_first_names_alone,
    also_required=rf"{_DISTINCT_NAME}(?:[^A-Za-z0-9_@/-]|$)|{_NAME_WITH_ACCENT}",
)
