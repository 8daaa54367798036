"""Names in Latin letters in Korean sentences, beside a Korean word for a person.

    Suphansa Kittirat 여권 복사본            before what only a person has, and before words for persons
    어머니 Aigerim Sadykova 연락             behind a relation or role

Two words need not be listed; one word has to be, because products and companies are written there too (Galaxy 고객).
The work is linear in the length of the text.
"""

import re
from collections.abc import Iterator

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
from security_common.pii.word_lists import any_word, any_word_without_look_around, longest_word, read_lists

__all__ = ["LATIN_NAMES_IN_KOREAN"]

_LISTS = read_lists("korean_grammar")
_OTHER_WORDS = ORDINARY_WORDS | SENTENCE_WORDS | frozenset(read_lists("latin_verbs")["not_persons"])
_WORD = r"(?:[A-ZÀ-Ž][a-zß-ž'’\-]{1,20}(?:-[A-Z][a-z]{1,20})?|[A-Z]{3,20})(?![A-Za-z0-9_@/])"
_NAME = rf"(?P<name>{_WORD}(?:[ ]{_WORD}){{0,3}})"
_BEFORE_NOUN = re.compile(
    rf"(?<![A-Za-z0-9_@./\-]){_NAME}[ ]?(?={any_word(_LISTS['persons_after_latin_names'])}(?![가-힣]{{3}}))"
)
_AFTER_NOUN = re.compile(rf"(?<![가-힣]){longest_word(_LISTS['persons_before_latin_names'])}(?:님|은|는)?[ ]{_NAME}")


def _is_name(words: list[str]) -> bool:
    in_form = [in_list_form(word) for word in words]
    if not _OTHER_WORDS.isdisjoint(in_form):
        return False
    checks = (is_first_name, is_family_name, is_asian_surname)
    if any(check(word) for word in in_form for check in checks):
        return len(words) > 1 or not (is_ambiguous_name(in_form[0]) or words[0].isupper())
    return len(words) > 1


def _find_names(source: LabelledText) -> Iterator[Finding]:
    for pattern in (_BEFORE_NOUN, _AFTER_NOUN):
        for match in pattern.finditer(source.text):
            if _is_name(match["name"].split(" ")):
                yield Finding(PIIKind.PERSON, *match.span("name"), 0.62, "neighbour")


LATIN_NAMES_IN_KOREAN = Rule(
    rf"[A-Za-zÀ-ž] ?{any_word_without_look_around(_LISTS['persons_after_latin_names'])}"
    rf"|{any_word_without_look_around(_LISTS['persons_before_latin_names'])}(?:님|은|는)? [A-ZÀ-Ž]",
    _find_names,
    may_be_public=True,
)
