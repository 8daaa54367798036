"""E-mail addresses, also as people spell them out to escape harvesters."""

import re
import string
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.reading import Reading, Rule

__all__ = ["EMAILS"]

_LOCAL = r"[A-Za-z0-9_%+\-][A-Za-z0-9._%+\-']{0,63}"
_LOCAL_CHARS, _LONGEST_LOCAL = string.ascii_letters + string.digits + "._%+-'", 64
_AT_DOMAIN = re.compile(
    r"@[ \t\r\n]{0,2}((?:(?:[A-Za-z0-9][A-Za-z0-9\-]{0,62}|[가-힣]{1,20})\.){0,6}(?:[A-Za-z][A-Za-z0-9\-]{1,62}|한국))"
    r"(?![A-Za-z0-9])"
)
_AT = r"\s{0,2}(?:[(\[{<\-_]\s?(?:at|a|앳|엣|골뱅이|@)\s?[)\]}>\-_]|골뱅이|\s[앳엣]\s|@|\sat\s)\s{0,2}"
_DOT = (
    r"\s{0,2}(?:[(\[{<\-_]\s?(?:dot|점|닷|\.)\s?[)\]}>\-_]|\.|\s(?:dot|닷|점|쩜)\s|(?<=\w)[점닷쩜](?=[a-z컴넷]))\s{0,2}"
)
_SPELLED = re.compile(
    rf"(?<![A-Za-z0-9._%+\-])({_LOCAL})({_AT})([A-Za-z0-9\-]{{1,63}}(?:{_DOT}(?:[A-Za-z0-9\-]{{1,63}}|[컴넷])){{1,4}})",
    re.IGNORECASE,
)
_SPELLINGS = r"골뱅이|[앳엣]|@\s|(?i:[(\[{<\-_]\s?(?:at|a\)|dot|@|\.|점|닷)|\sdot\s)"
_MAY_BE_SPELLED = re.compile(_SPELLINGS)
# "work @ home. Me too", "look at example.com": an address only when its dot is spelled out or set apart too.
_UNSURE, _SURE_DOT = frozenset({"at", "@"}), re.compile(r"dot|[점닷쩜)\]}>]| \. ", re.IGNORECASE)
_TOP_LEVEL = re.compile(
    r"\.?(?:com|net|org|edu|gov|io|co|kr|jp|cn|uk|de|fr|us|me|info|biz|dev|ai|app|컴|넷)$", re.IGNORECASE
)
_FILE_ENDINGS = frozenset("png jpg jpeg gif svg webp pdf js ts py java css html json yaml yml md txt zip sh".split())  # noqa: SIM905 - reads as a list of words
_USER_INFO = re.compile(r"[a-z][a-z0-9+.\-]{1,15}://[^\s/@]{0,64}$", re.IGNORECASE)


def _find_emails(reading: Reading) -> Iterator[Finding]:
    """Plain addresses when there is an @; spelled ones when the text has a word for @ or for the dot."""
    text = reading.text
    for match in _AT_DOMAIN.finditer(text):
        before = text[max(0, match.start() - _LONGEST_LOCAL - 2) : match.start()]
        head = before.rstrip(" \t\r\n")
        local = head[len(head.rstrip(_LOCAL_CHARS)) :].lstrip(".'")
        start = match.start() - len(before) + len(head) - len(local)
        if (
            0 < len(local) <= _LONGEST_LOCAL
            and len(before) - len(head) <= 2
            and _is_mailbox(reading, start, local, match)
        ):
            yield Finding(PIIKind.EMAIL, start, match.end(), 0.96, "shape")
    if _MAY_BE_SPELLED.search(text):
        for match in _SPELLED.finditer(text):
            if _TOP_LEVEL.search(match.group(3)) and (
                match.group(2).strip(" -_").lower() not in _UNSURE or _SURE_DOT.search(match.group(3))
            ):
                yield Finding(PIIKind.EMAIL, match.start(), match.end(), 0.9, "spelled")


def _is_mailbox(reading: Reading, start: int, local: str, match: re.Match[str]) -> bool:
    """Not a picture logo@2x.png, nor git@host:path, nor the host of a URL with user information.

    A host without a dot is one under a label, and `localhost` where nothing goes on as in a prompt or a path.
    """
    text, domain, following = reading.text, match.group(1), reading.text[match.end() : match.end() + 1]
    if "." not in domain:
        return (domain == "localhost" or reading.called(start) == "EMAIL") and following not in {
            "@",
            ":",
            "/",
            "~",
            "_",
        }
    ending = domain.rpartition(".")[2].lower()
    if ending in _FILE_ENDINGS or not ending.isalpha() or (local == "git" and following in {":", "/"}):
        return False
    if match.end() - start > len(local) + 1 + len(domain) and len(local) < 2:
        return False
    return "://" not in text or _USER_INFO.search(text, max(0, start - 80), start) is None


EMAILS = Rule(rf"@|{_SPELLINGS}", _find_emails)
