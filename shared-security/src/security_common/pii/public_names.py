"""Names of historical persons, and of brands, works and places that are named after people.

They are readable by default: a text about Newton's laws or a shirt by a designer is not about a private person. The
configuration entry `find_public_names` reports them like any other name. A label, an honorific or a telephone number
beside such a name still makes it a private person's.

Names of companies that end in a legal form (Zahnrad Keller AG) are never reported as those of persons.
"""

import re
from collections.abc import Iterable

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.word_lists import any_word, read_lists

__all__ = ["PUBLIC_NAME", "mark_public_names"]

PUBLIC_NAME = "public-name"
"""The reason of findings that are reported only if the configuration asks for public names."""

_LISTS = read_lists("public_names")
_NAMES = frozenset(
    [*_LISTS["korean"], *_LISTS["korean_phrases"], *(name.lower().replace(".", "") for name in _LISTS["latin"])]
)
_TITLE = r"(?:[ ]?(?:장군|의사|열사|대왕|선생|박사|대통령|여사|시인|화백))?"
_THING_AFTER = re.compile(
    rf"{_TITLE}의?[ ]?{any_word(_LISTS['korean_things'])}(?:[은는이가을를의에과와도]|에서|으로|로)?(?![가-힣])"
    rf"|(?:'s)?[ ](?i:{any_word(_LISTS['latin_things'])})(?![A-Za-z])"
)
_COMPANY_FORMS = frozenset(_LISTS["company_forms"])
_COMPANY_FORM = re.compile(rf",?[ ]{any_word(map(re.escape, _LISTS['company_forms']))}(?![A-Za-z])")
_MAX_TITLE_LENGTH = 6
_EVIDENCE_OF_PRIVATE_PERSON = frozenset({"label", "neighbour", "honorific"})


def mark_public_names(text: str, findings: Iterable[Finding]) -> list[Finding]:
    """The findings without those of companies, with the reason PUBLIC_NAME for names of public persons and things."""
    marked: list[Finding] = []
    for finding in findings:
        if finding.kind == PIIKind.PERSON and _is_company(text, finding):
            continue
        is_private = finding.kind != PIIKind.PERSON or finding.why in _EVIDENCE_OF_PRIVATE_PERSON
        is_public = not is_private and _is_public(text, finding)
        marked.append(finding._replace(why=PUBLIC_NAME) if is_public else finding)
    return marked


def _is_company(text: str, finding: Finding) -> bool:
    """Whether the last word of a name, or the word behind it, is the form of a company: Zahnrad Keller AG."""
    if text[finding.start] >= "가":
        return False  # the letters behind a name in Hangul are something else: 홍길동 AB형
    match = _COMPANY_FORM.match(text, finding.end)
    if match is not None:
        return True
    return text[finding.start : finding.end].rpartition(" ")[2].rstrip(".") in _COMPANY_FORMS


def _is_public(text: str, finding: Finding) -> bool:
    name = text[finding.start : finding.end]
    if _THING_AFTER.match(text, finding.end):
        return True
    if finding.why == "title":
        with_title = text[max(0, finding.start - _MAX_TITLE_LENGTH) : finding.end].rpartition("\n")[2]
        name = with_title[max(0, with_title.rfind(" ", 0, -len(name) - 1) + 1) :]
    return name.lower().replace(".", "") in _NAMES or name.replace("·", " ") in _NAMES
