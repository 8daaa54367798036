"""E-mail addresses, also as people spell them out to escape harvesters."""

import re
from collections.abc import Iterator

from security_common.pii.finding import PIIKind
from security_common.pii.reading import Candidate, Reading, Rule

__all__ = ["EMAILS"]

_LOCAL = r"[A-Za-z0-9_%+\-][A-Za-z0-9._%+\-']{0,63}"
_EMAIL = re.compile(
    rf"(?<![A-Za-z0-9._%+\-])({_LOCAL})[ \t\r\n]{{0,2}}@[ \t\r\n]{{0,2}}"
    r"((?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,62})\.){1,6}[A-Za-z]{2,24})(?![A-Za-z0-9])"
)
_HANGUL_DOMAIN = re.compile(rf"({_LOCAL}|[가-힣]{{1,10}})@[가-힣]{{1,20}}\.(?:한국|com|kr|net|org)")
_AT = r"\s{0,2}(?:[(\[{<]\s?(?:at|앳|골뱅이|@)\s?[)\]}>]|골뱅이|@|\sat\s)\s{0,2}"
_DOT = r"\s{0,2}(?:[(\[{<]\s?(?:dot|점|닷|\.)\s?[)\]}>]|\.|\s(?:dot|닷|점)\s|(?<=\w)[점닷](?=[a-z]))\s{0,2}"
_SPELLED = re.compile(
    rf"(?<![A-Za-z0-9._%+\-])({_LOCAL})({_AT})([A-Za-z0-9\-]{{1,63}}(?:{_DOT}[A-Za-z0-9\-]{{1,63}}){{1,4}})",
    re.IGNORECASE,
)
_SPELLINGS = r"골뱅이|앳|(?i:[(\[{<]\s?(?:at|dot|\.|점|닷)|\sdot\s)"
_MAY_BE_SPELLED = re.compile(_SPELLINGS)
_TOP_LEVEL = re.compile(r"\.?(?:com|net|org|edu|gov|io|co|kr|jp|cn|uk|de|fr|us|me|info|biz|dev|ai|app)$", re.IGNORECASE)
_FILE_ENDINGS = frozenset("png jpg jpeg gif svg webp pdf js ts py java css html json yaml yml md txt zip sh".split())  # noqa: SIM905 - reads as a list of words
_USER_INFO = re.compile(r"[a-z][a-z0-9+.\-]{1,15}://[^\s/@]{0,64}$", re.IGNORECASE)


def _find_emails(reading: Reading) -> Iterator[Candidate]:
    """Plain addresses when there is an @; spelled ones when the text has a word for @ or for the dot."""
    text = reading.text
    if "@" in text:
        for match in _EMAIL.finditer(text):
            if _is_mailbox(text, match):
                yield Candidate(PIIKind.EMAIL, match.start(), match.end(), 0.96, "shape")
        if not text.isascii():
            for match in _HANGUL_DOMAIN.finditer(text):
                yield Candidate(PIIKind.EMAIL, match.start(), match.end(), 0.9, "shape")
    if _MAY_BE_SPELLED.search(text):
        for match in _SPELLED.finditer(text):
            if _TOP_LEVEL.search(match.group(3)) and (
                match.group(2).strip().lower() != "at" or "dot" in match.group(3).lower()
            ):
                yield Candidate(PIIKind.EMAIL, match.start(), match.end(), 0.9, "spelled")


def _is_mailbox(text: str, match: re.Match[str]) -> bool:
    """Not a picture logo@2x.png, nor git@host:path, nor the host of a URL with user information."""
    local, domain = match.group(1), match.group(2)
    if domain.rpartition(".")[2].lower() in _FILE_ENDINGS or (
        local == "git" and text[match.end() : match.end() + 1] in {":", "/"}
    ):
        return False
    if len(match.group()) > len(local) + 1 + len(domain) and len(local) < 2:
        return False
    return _USER_INFO.search(text, max(0, match.start() - 80), match.start()) is None


EMAILS = Rule(rf"@|{_SPELLINGS}", _find_emails)
