"""Credentials: private keys, tokens with a known shape, and values that are named as a password or key."""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.rules import Rule
from security_common.pii.word_lists import read_rows

__all__ = ["CREDENTIALS"]

_TOKEN_START, _TOKEN_END = r"(?<![A-Za-z0-9_\-])", r"(?![A-Za-z0-9_\-])"
_KEY_NAME = r"(?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
# PEM (RFC 7468). The end marker may be missing in a text that was cut. A lookahead is not retried, so the search stays
# linear. A possessive group would do the same, but matches too little in Python 3.11.2 (Debian 12).
_PRIVATE_KEY = re.compile(
    rf"-----BEGIN {_KEY_NAME}(?=(?P<body>(?:[A-Za-z0-9+/=\s\\:,.]|-(?!-)){{0,8192}}))(?P=body)(?:-----END {_KEY_NAME})?"
)
_TOKEN = re.compile(rf"{_TOKEN_START}(?:{'|'.join(read_rows('token_shapes'))}){_TOKEN_END}")
_NAMED_SECRET = re.compile(
    # the name
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secret(?:[_ -]?(?:access[_ -]?)?key)?|client[_ -]?secret"
    r"|api[_ -]?(?:key|secret|token)|access[_ -]?(?:key|token)|auth[_ -]?token|refresh[_ -]?token|private[_ -]?key"
    r"|encryption[_ -]?key|token|credential"
    r"|비밀번호|패스워드|비번|암호|시크릿|인증키|액세스키|비밀키|API\s?키|토큰)"
    # ends as a word, then `:`, `=`, "is" or a Korean particle
    r"(?![A-Za-z])(?:['\"]?\s{0,2}(?:[:=]|\bis\b)|\s?[은는이가]?(?=\s))\s{0,2}['\"]?"
    # the value: printable ASCII without quotes, braces and so on; not another name with a value, not a function call
    r"(?![a-z]+[:=]\s)([!-&*-Z^-z~]{6,256})(?![(\[])",
    re.IGNORECASE,
)
_BEARER_OR_BASIC = re.compile(r"\b(?:Bearer|Basic)\s+([A-Za-z0-9._~+/\-]{16,4096}={0,2})")
_URL_PASSWORD = re.compile(r"[a-z][a-z0-9+.\-]{1,15}://[^\s:/@]{0,64}:([^\s/@]{3,128})@", re.IGNORECASE)
_CLOSING_MARKS = "\"',;)]}>"
_VARIABLE_OR_REFERENCE = re.compile(r"[$<{\[%*(]|(?:https?|file|env|vault):")
_FEWEST_CHARS = 6


def _find_credentials(source: LabelledText) -> Iterator[Finding]:
    """Values of a known shape first, then values that follow a name such as `password` and look random."""
    text = source.text
    if "-----BEGIN" in text:
        for match in _PRIVATE_KEY.finditer(text):
            yield Finding(PIIKind.SECRET, match.start(), match.end(), 0.999, "private-key")
    for match in _TOKEN.finditer(text):
        yield Finding(PIIKind.SECRET, match.start(), match.end(), 0.99, "token")
    if "://" in text:
        for match in _URL_PASSWORD.finditer(text):
            yield Finding(PIIKind.SECRET, match.start(1), match.end(1), 0.97, "url-password")
    for match in _BEARER_OR_BASIC.finditer(text):
        if any(char.isdigit() for char in match.group(1)):
            yield Finding(PIIKind.SECRET, match.start(1), match.end(1), 0.97, "bearer")
    for match in _NAMED_SECRET.finditer(text):
        value = _cut_at_closing_mark(match.group(1))
        if _looks_random(value):
            yield Finding(PIIKind.SECRET, match.start(1), match.start(1) + len(value), 0.965, "label")


def _cut_at_closing_mark(written: str) -> str:
    """The part before a closing quote, comma, semicolon or bracket."""
    return re.split("[\"',;]", written, maxsplit=1)[0].rstrip(_CLOSING_MARKS + ".")


def _looks_random(value: str) -> bool:
    """Has both letters and digits, and is not a variable, a reference, a masked value or code."""
    if len(value) < _FEWEST_CHARS or _VARIABLE_OR_REFERENCE.match(value) or "***" in value or "`" in value:
        return False
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


CREDENTIALS = Rule(
    # Beginnings of the shapes in data/token_shapes.txt, then a password in a URL, then the names.
    r"-----BEGIN|eyJ|A[KSRI][IOD]A|gh[pousr]_|github_pat|glpat-|xox|xapp-|sk-|k_live_|k_test_|whsec_|AIza|ya29\.|hf_|npm_"
    r"|pypi-|SG\.|dop_v1|shp|gAAAAA|://[^/\s]*:"
    r"|(?i:pass|pwd|secret|key|token|credential|bearer|basic|비밀|패스|비번|암호|시크릿|키|토큰)",
    _find_credentials,
)
