"""Secrets that programs carry: keys with a known prefix, tokens, private keys, and what is called a password."""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.reading import Reading, Rule
from security_common.pii.word_lists import rows

__all__ = ["SECRETS"]

_START, _END = r"(?<![A-Za-z0-9_\-])", r"(?![A-Za-z0-9_\-])"
_KEY_NAME = r"(?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_PRIVATE_KEY = re.compile(
    rf"-----BEGIN {_KEY_NAME}(?:[A-Za-z0-9+/=\s\\:,.]|-(?!-)){{0,8192}}+(?:-----END {_KEY_NAME})?"
)
_TOKEN = re.compile(rf"{_START}(?:{'|'.join(rows('token_shapes'))}){_END}")
_CALLED = re.compile(
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secret(?:[_ -]?(?:access[_ -]?)?key)?|client[_ -]?secret"
    r"|api[_ -]?(?:key|secret|token)|access[_ -]?(?:key|token)|auth[_ -]?token|refresh[_ -]?token|private[_ -]?key"
    r"|encryption[_ -]?key|token|credential"
    r"|비밀번호|패스워드|비번|암호|시크릿|인증키|액세스키|비밀키|API\s?키|토큰)"
    r"(?![A-Za-z])(?:['\"]?\s{0,2}(?:[:=]|\bis\b)|\s?[은는이가]?(?=\s))\s{0,2}['\"]?(?![a-z]+[:=]\s)([!-&*-Z^-z~]{6,256})(?![(\[])",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(?:Bearer|Basic)\s+([A-Za-z0-9._~+/\-]{16,4096}={0,2})")
_IN_URL = re.compile(r"[a-z][a-z0-9+.\-]{1,15}://[^\s:/@]{0,64}:([^\s/@]{3,128})@", re.IGNORECASE)
_CLOSING = "\"',;)]}>"
_REFERENCE = re.compile(r"[$<{\[%*(]|(?:https?|file|env|vault):")


def _find_secrets(reading: Reading) -> Iterator[Finding]:
    """Known shapes first; then values that stand where a password stands and look like one."""
    text = reading.text
    if "-----BEGIN" in text:
        for match in _PRIVATE_KEY.finditer(text):
            yield Finding(PIIKind.SECRET, match.start(), match.end(), 0.999, "private-key")
    for match in _TOKEN.finditer(text):
        yield Finding(PIIKind.SECRET, match.start(), match.end(), 0.99, "token")
    if "://" in text:
        for match in _IN_URL.finditer(text):
            yield Finding(PIIKind.SECRET, match.start(1), match.end(1), 0.97, "url-password")
    for match in _BEARER.finditer(text):
        if any(char.isdigit() for char in match.group(1)):
            yield Finding(PIIKind.SECRET, match.start(1), match.end(1), 0.97, "bearer")
    for match in _CALLED.finditer(text):
        value = _value(match.group(1))
        if _looks_secret(value):
            yield Finding(PIIKind.SECRET, match.start(1), match.start(1) + len(value), 0.965, "label")


def _value(written: str) -> str:
    """What stands before the closing quote, comma or bracket."""
    return re.split("[\"',;]", written, maxsplit=1)[0].rstrip(_CLOSING + ".")


def _looks_secret(value: str) -> bool:
    """Long enough, letters and digits; not a variable, a mask or a path in a program."""
    if len(value) < 6 or _REFERENCE.match(value) or "***" in value or "`" in value:
        return False
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


SECRETS = Rule(
    r"-----BEGIN|eyJ|A[KSRI][IOD]A|gh[pousr]_|github_pat|glpat-|xox|xapp-|sk-|k_live_|k_test_|whsec_|AIza|ya29\.|hf_|npm_"
    r"|pypi-|SG\.|dop_v1|shp|gAAAAA|://[^/\s]*:"
    r"|(?i:pass|pwd|secret|key|token|credential|bearer|basic|비밀|패스|비번|암호|시크릿|키|토큰)",
    _find_secrets,
)
