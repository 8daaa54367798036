"""Names in Latin letters in letters and sentences: after titles and relations, and as signatures.

Called Ms Vandermeer           a title
her grandson Tunde collects    a relation
This is Rory from flat 3       an introduction
Kind regards, / Tam            the line below a closing
"""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.latin_names import (
    ORDINARY_WORDS,
    SENTENCE_WORDS,
    in_list_form,
    is_distinct_first_name,
    is_family_name,
    is_first_name,
)
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_word, any_word_without_look_around, longest_word, read_lists

__all__ = ["LATIN_NAMES_IN_PROSE"]

_LISTS = read_lists("latin_prose")
_TITLE = any_word(_LISTS["titles"])
_RELATIONS_AND_ROLES = [
    written for word in (*_LISTS["relations"], *_LISTS["roles"]) for written in (word, word.capitalize())
]
_RELATION_OR_ROLE = longest_word(_RELATIONS_AND_ROLES)
_CLOSING = any_word(_LISTS["closings"])
_WORD = r"[A-ZÀ-Ž][A-Za-zÀ-ž'’\-]{1,20}(?![A-Za-z0-9_@/])"
_PARTICLE = r"(?:(?:van|von|de|der|den|del|della|da|dos|di|du|la|le|al|el|bin|binti|ter|'t)[ ]){0,2}"
_NAME = rf"(?P<name>{_WORD}(?:[ ](?:[A-Z]\.[ ])?{_PARTICLE}{_WORD}){{0,3}})"
_AFTER_TITLE = re.compile(rf"(?<![A-Za-z]){_TITLE}\.?[ ]{_NAME}")
_AFTER_RELATION = re.compile(
    rf"(?P<owner>(?:[Mm]y|[Yy]our|[Hh]is|[Hh]er|[Tt]heir|[Oo]ur|'s)[ ](?:[a-z]+[ ])?)?"
    rf"(?<![A-Za-z\-])(?P<role>{_RELATION_OR_ROLE}):?,?[ ]{_NAME}"
)
_RELATIONS = frozenset(_LISTS["relations"])
_VERB_AFTER = re.compile(rf" (?:{'|'.join(_LISTS['words_after_names'])})(?![A-Za-z])")
# PARK/MINSEO MS, as airlines write it
_AIRLINE_NAME = re.compile(
    r"(?<![A-Z0-9/])[A-Z]{2,20}/[A-Z]{2,20}(?:[ ][A-Z]{2,20})?[ ]?(?:MRS?|MS|MISS|MSTR|DR)(?![A-Z0-9])"
)
_INTRODUCTION = "(?:[Tt]his is|[Ii]t's|[Ii]t is|[Ii]['’]?m|[Aa]sk for|[Ss]potted by|[Rr]eported by)"
_INTRODUCED = re.compile(
    rf"(?<![A-Za-z]){_INTRODUCTION}[ ]{_NAME}(?=,|\.|$|\n|[ ](?:from|here|at|again|calling|speaking|with))"
)
_STATEMENT = re.compile(rf"(?:(?<=^I, )|(?<=\nI, )|(?<=/s/ )){_NAME}")
_SIGNATURE = re.compile(rf"(?:^|(?<=\n))[ ]?{_CLOSING}[ ]?[,.!]?[ ]?\n{{1,3}}[ ]?(?:- ?)?{_NAME}(?=[ ]*(?:\n|$|[,|(]))")
# Dear Urs, at the beginning of a letter
_WORDS_OF_SALUTATIONS = frozenset(_LISTS["words_of_salutations"])
_SALUTATION = re.compile(rf"(?:^|(?<=\n))(?:Dear|Hi|Hello|Hey) {_NAME}(?=[,:!]?[ ]?\n)")
# Henrike Pohl <h.pohl@nordsee-netz.de>
_BEFORE_MAIL = re.compile(rf"(?<![A-Za-z0-9@._\-]){_NAME} ?(?=<[A-Za-z0-9._%+\-]{{1,64}}@)")
# FN:Dervla Kirwan-Shaw, N:Kirwan;Dervla;;; and ATTENDEE;CN=Dervla Kirwan-Shaw: in cards and calendars
_CARD = re.compile(
    r"(?:^|(?<=\n))(?:FN|N)(?:;[^:\n]{1,60})?:(?P<name>[^\n]{2,80})|;CN=\"?(?P<attendee>[^:;\"\n]{2,60})"
)
_LAST_LINE = re.compile(rf"\n[ ]*\n[ ]?{_NAME}\s*\Z")  # a signature without a closing
_LAST_FIRST = re.compile(r"\s*([A-ZÀ-Ž][A-Za-zÀ-ž'’\-]{1,24}), ([A-ZÀ-Ž][A-Za-zÀ-ž'’\-]{1,20})(?:[ ][A-Z]\.?)?\s*")

_MAX_LAST_LINE_LENGTH = 100
_MAX_ABBREVIATION_LENGTH = 4  # SSN, VIP
_OTHER_WORDS = ORDINARY_WORDS | SENTENCE_WORDS
_Words = list[tuple[int, str]]


def _words_of_name(match: re.Match[str]) -> _Words:
    """Start and text of the words of a match that can be a name: up to the first ordinary word."""
    start = match.start("name")
    words: _Words = []
    for word in re.finditer(r"[^ ]+", match["name"]):
        in_form = in_list_form(word.group().rstrip("."))
        is_abbreviation = word.group().isupper() and 1 < len(word.group().rstrip(".")) <= _MAX_ABBREVIATION_LENGTH
        is_other = not {in_form, in_form.removesuffix("'s")}.isdisjoint(_OTHER_WORDS)
        if is_abbreviation or is_other:
            break
        words.append((start + word.start(), word.group()))
    return words


def _fills_match(words: _Words, match: re.Match[str]) -> bool:
    """Whether no word of the match was left out, because it is an ordinary word."""
    return bool(words) and words[-1][0] + len(words[-1][1]) == match.end("name")


def _finding(words: _Words, score: float, why: str) -> Finding:
    start, (last_start, last) = words[0][0], words[-1]
    last = last.removesuffix("'s").removesuffix("’s")
    return Finding(PIIKind.PERSON, start, last_start + len(last), score, why)


def _is_known(words: _Words) -> bool:
    """Whether a word is in the lists: a family name, or a first name alone that is nothing else."""
    in_form = [in_list_form(word) for _, word in words]
    if len(words) == 1:
        return is_distinct_first_name(in_form[0])
    return is_first_name(in_form[0]) or is_family_name(in_form[-1])


def _find_after_titles(source: LabelledText) -> Iterator[Finding]:
    for match in _AFTER_TITLE.finditer(source.text):
        words = _words_of_name(match)
        if words:
            yield _finding(words, 0.85, "title")
        elif " " in match["name"] and is_family_name(in_list_form(match["name"].rpartition(" ")[2])):
            yield Finding(PIIKind.PERSON, *match.span("name"), 0.85, "title")


def _find_after_relations(source: LabelledText) -> Iterator[Finding]:
    """Any word after a relation such as her grandson; after a role such as buyer, a listed name."""
    for match in _AFTER_RELATION.finditer(source.text):
        words = _words_of_name(match)
        has_owner = match["owner"] is not None and match["role"] in _RELATIONS
        has_owner = has_owner or (match["role"].istitle() and _VERB_AFTER.match(source.text, match.end()) is not None)
        if words and (has_owner or _is_known(words)):
            yield _finding(words, 0.77, "introduced")


def _find_airline_names(source: LabelledText) -> Iterator[Finding]:
    for match in _AIRLINE_NAME.finditer(source.text):
        yield Finding(PIIKind.PERSON, *match.span(), 0.9, "title")


def _find_introduced(source: LabelledText) -> Iterator[Finding]:
    for pattern in (_INTRODUCED, _STATEMENT):
        for match in pattern.finditer(source.text):
            words = _words_of_name(match)
            in_form = [in_list_form(word) for _, word in words]
            if words and (len(words) > 1 or is_first_name(in_form[0])):
                yield _finding(words, 0.78, "introduced")


def _find_signatures(source: LabelledText) -> Iterator[Finding]:
    for match in _SIGNATURE.finditer(source.text):
        words = _words_of_name(match)
        if _fills_match(words, match):
            yield _finding(words, 0.75, "signature")


def _find_before_mail(source: LabelledText) -> Iterator[Finding]:
    """A listed first name, or several capitalised words, before a mail address in angle brackets.

    Words for groups are not names.
    """
    for match in _BEFORE_MAIL.finditer(source.text):
        words = _words_of_name(match)
        if _fills_match(words, match) and (len(words) > 1 or is_first_name(in_list_form(words[0][1]))):
            yield _finding(words, 0.79, "neighbour")


def _find_on_cards(source: LabelledText) -> Iterator[Finding]:
    """The names of vCard and iCalendar. Each part of a structured name is a finding."""
    for match in _CARD.finditer(source.text):
        group = "name" if match["name"] is not None else "attendee"
        position = match.start(group)
        for part in match[group].split(";"):
            name = part.strip()
            if len(name) > 1 and name[0].isalpha() and not any(map(str.isdigit, name)):
                start = position + part.index(name)
                yield Finding(PIIKind.PERSON, start, start + len(name), 0.8, "label")
            position += len(part) + 1


def _find_in_salutations(source: LabelledText) -> Iterator[Finding]:
    for match in _SALUTATION.finditer(source.text):
        words = _words_of_name(match)
        if _fills_match(words, match) and words[0][1].lower() not in _WORDS_OF_SALUTATIONS:
            yield _finding(words, 0.7, "introduced")


def _find_name_in_last_line(source: LabelledText) -> Iterator[Finding]:
    """A first name, alone or with a family name, below an empty line at the end."""
    end = len(source.text)
    match = _LAST_LINE.search(source.text, max(0, end - _MAX_LAST_LINE_LENGTH))
    if match is None:
        return
    words = _words_of_name(match)
    if _fills_match(words, match) and len(words) < 4 and is_first_name(in_list_form(words[0][1])):
        yield _finding(words, 0.75, "signature")


def _find_last_then_first(source: LabelledText) -> Iterator[Finding]:
    """A whole value such as Reyes, Camila J."""
    match = _LAST_FIRST.fullmatch(source.text)
    if match is None:
        return
    last, first = in_list_form(match[1]), in_list_form(match[2])
    if not {last, first} & ORDINARY_WORDS and is_family_name(last) and is_first_name(first):
        start = len(source.text) - len(source.text.lstrip())
        yield Finding(PIIKind.PERSON, start, len(source.text.rstrip()), 0.85, "listed")


LATIN_NAMES_IN_PROSE = (
    Rule(rf"{_TITLE}\.? [A-ZÀ-Ž]", _find_after_titles, may_be_public=True),
    Rule(
        rf"{any_word_without_look_around(_RELATIONS_AND_ROLES)}:?,? [A-ZÀ-Ž]", _find_after_relations, may_be_public=True
    ),
    Rule("[A-Z]{2}/[A-Z]{2,20}(?: [A-Z]{2,20})? ?(?:M[IRS]|DR)", _find_airline_names),
    Rule(rf"(?:{_INTRODUCTION}|I,|/s/) [A-ZÀ-Ž]", _find_introduced),
    Rule(rf"{_CLOSING} ?[,.!]? ?\n", _find_signatures),
    Rule("(?:Dear|Hi|Hello|Hey) [A-ZÀ-Ž]", _find_in_salutations),
    Rule("[A-Za-zÀ-ž'’.-] ?<[A-Za-z0-9._%+-]+@", _find_before_mail),
    Rule("(?:^|\n)F?N[:;]|;CN=", _find_on_cards),
    Rule(r"\n[ ]*\n ?[A-ZÀ-Ž]", _find_name_in_last_line),
    Rule(r", [A-ZÀ-Ž][^, \n]*(?: [A-Z]\.?)?\s*$", _find_last_then_first),
)
