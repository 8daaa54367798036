"""Names in Latin letters in prose that the words around them show to be those of persons.

    Moss waived it. Olive from housekeeping signed      the subject of a verb for what only persons do
    Asked Reed to wait, met with Wolniak and Cobb       the object of such a verb
    Thanks Mirin! / June,                               a person who is addressed
    He goes by Vusi, last name Petrov                   the name itself is the subject

The names need not be listed, and listed names may be words as well. Ordinary words, departments and words with endings
such as -ment are not names. The work is linear in the length of the text.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.latin_names import (
    ORDINARY_WORDS,
    SENTENCE_WORDS,
    in_list_form,
    is_ambiguous_name,
    is_asian_surname,
    is_family_name,
    is_first_name,
)
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_word, read_lists

__all__ = ["LATIN_NAMES_BY_VERBS"]

_LISTS = read_lists("latin_verbs")
_NOT_PERSONS = frozenset(_LISTS["not_persons"])
_WORD = r"[A-ZÀ-Ž][a-zß-ž'’\-]{1,20}(?:[A-Z][a-z]{1,12})?(?![A-Za-z0-9_@/&]|\.[a-z0-9])"
_BEFORE = r"(?<![A-Za-z0-9@_./$#&\-])"
_ADVERB = "(?:also|just|still|then|already|never|now|really|both)"
_VERB = any_word(_LISTS["verbs"])
_VERB_OF_ANY_NAME = re.compile(rf"[ ](?:{_ADVERB}[ ])?{any_word(_LISTS['verbs_of_any_name'])}(?![A-Za-z])")
_SUBJECT = re.compile(rf"{_BEFORE}(?P<name>{_WORD})(?=[ ](?:(?:{_ADVERB}|from [a-z]{{3,14}})[ ])?{_VERB}(?![A-Za-z-]))")
_OBJECT_VERB, _LISTED_OBJECT_VERB = (any_word(_LISTS[f"verbs_before_{key}"]) for key in ("names", "listed_names"))
_NAMES = rf"(?P<name>{_WORD}(?:[ ]{_WORD}){{0,2}})(?:,? (?:and|&) (?P<second>{_WORD}))?"
_END = r"(?=(?:'s|’s)?(?:[ ][a-z(0-9]|[,;:!?)\"\n—–-]|\.(?:\s|$)|\s*$))"
_OBJECT, _LISTED_OBJECT = (
    re.compile(rf"(?<![A-Za-z0-9_\-])(?i:{verbs}) {_NAMES}{_END}") for verbs in (_OBJECT_VERB, _LISTED_OBJECT_VERB)
)
_AFTER_QUESTION = any_word(_LISTS["after_questions"])
_QUESTION = re.compile(
    rf"(?<![A-Za-z])(?:[Ii]s|[Hh]as|[Dd]id|[Ww]here's|[Ww]as) {_NAMES}(?=[ ]{_AFTER_QUESTION}(?![A-Za-z]))"
)
_NAMED = re.compile(rf"(?<![A-Za-z]){any_word(_LISTS['named'])} {_NAMES}{_END}")
_THANKED = re.compile(
    r"(?<![A-Za-z])(?:[Tt]hanks|[Tt]hank you|[Ss]orry|[Gg]ood morning|[Mm]orning|[Cc]heers),? "
    rf"{_NAMES}(?=[!.,]\s|[!.,]?$|\n)"
)
# June, at the beginning of a letter; dispatch: Jarek, pick up at seven
_ADDRESSED = re.compile(
    rf"(?:(?:\A|\n[ ]*\n)(?={_WORD},[ ]?\n)|(?:^|(?<=\n))[^:\n]{{1,24}}: (?={_WORD}(?:, [a-z]|\? [a-z])))"
    rf"(?P<name>{_WORD})"
)
_FAMILY = re.compile(
    rf"(?<![A-Za-z])(?:[Tt]he|all) (?P<name>{_WORD})(?= {any_word(_LISTS['families'])}(?![A-Za-z]| of ))"
)
_WORD_BEFORE = re.compile(r"([A-Za-zÀ-ž][A-Za-zÀ-ž'.]*) $")
_MAX_WORD_BEFORE_LENGTH = 16
_MIN_LENGTH = 3
_ENDINGS_OF_WORDS = tuple(_LISTS["endings_of_words"])


def _is_known(in_form: str) -> bool:
    return any(check(in_form) for check in (is_first_name, is_ambiguous_name, is_family_name, is_asian_surname))


def _is_name(word: str, *, needs_list: bool = False) -> bool:
    """Whether a capitalised word can be a name: a listed one, or one that is hardly an ordinary word."""
    in_form = in_list_form(word).removesuffix("'s")
    if in_form in SENTENCE_WORDS or in_form in ORDINARY_WORDS or in_form in _NOT_PERSONS:
        return False
    if _is_known(in_form):
        return True
    return not needs_list and len(in_form) >= _MIN_LENGTH and not in_form.endswith(_ENDINGS_OF_WORDS)


def _is_part_of_longer_name(text: str, start: int) -> bool:
    """Whether a capitalised word or an article is in front of a place: The Olive, Acme Mills."""
    before = _WORD_BEFORE.search(text, max(0, start - _MAX_WORD_BEFORE_LENGTH), start)
    if before is None:
        return False
    word = before[1].lower().rstrip(".")
    return word in {"the", "a", "an"} or (before[1][0].isupper() and word not in SENTENCE_WORDS)


def _find_subjects(source: LabelledText) -> Iterator[Finding]:
    text = source.text
    for match in _SUBJECT.finditer(text):
        needs_list = _VERB_OF_ANY_NAME.match(text, match.end()) is None
        if _is_name(match["name"], needs_list=needs_list) and not _is_part_of_longer_name(text, match.start()):
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.58, "introduced")


def _find(source: LabelledText, *, patterns: Sequence[re.Pattern[str]], needs_list: bool = False) -> Iterator[Finding]:
    """Objects of verbs, persons who are asked about or addressed, and names that are called so."""
    for pattern in patterns:
        for match in pattern.finditer(source.text):
            for group in pattern.groupindex:
                name = match[group]
                if name is not None and _is_name_of_words(name, needs_list=needs_list):
                    yield Finding(PIIKind.PERSON, *match.span(group), 0.58, "introduced")


def _is_name_of_words(name: str, *, needs_list: bool) -> bool:
    return all(_is_name(word, needs_list=needs_list) for word in name.split(" "))


def _find_families(source: LabelledText) -> Iterator[Finding]:
    for match in _FAMILY.finditer(source.text):
        if _is_name(match["name"]):
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.58, "introduced")


LATIN_NAMES_BY_VERBS = (
    Rule(
        rf"(?:^|[^A-Za-zÀ-ž'’-])[A-ZÀ-Ž][A-Za-zÀ-ž'’-]+ (?:(?:{_ADVERB}|from [a-z]+) )?{_VERB}(?:[^A-Za-z]|$)",
        _find_subjects,
        may_be_public=True,
    ),
    Rule(
        rf"(?i:{_OBJECT_VERB}|thanks|thank you|sorry|morning|cheers),? [A-ZÀ-Ž]|{any_word(_LISTS['named'])} [A-ZÀ-Ž]",
        partial(_find, patterns=(_OBJECT, _NAMED, _THANKED)),
        may_be_public=True,
    ),
    Rule(
        rf"(?i:{_LISTED_OBJECT_VERB}) [A-ZÀ-Ž]|(?i:is|has|did|where's|was) [A-ZÀ-Ž][^\n]{{0,60}} {_AFTER_QUESTION}"
        r"|: [A-ZÀ-Ž][A-Za-zÀ-ž'’-]+(?:,|\?) [a-z]|(?:^|\n)[A-ZÀ-Ž][A-Za-zÀ-ž'’-]+, ?\n",
        partial(_find, patterns=(_LISTED_OBJECT, _QUESTION, _ADDRESSED), needs_list=True),
        may_be_public=True,
    ),
    Rule(
        rf"(?:[Tt]he|all) [A-ZÀ-Ž][^ \n]+ {any_word(_LISTS['families'])}(?:[^A-Za-z]|$)",
        _find_families,
        may_be_public=True,
    ),
)
