"""Secrets in a known place: URLs and connection strings, headers, cookies, commands, SQL, Kubernetes manifests.

Secrets with a shape of their own are in secret_tokens, secrets behind a name such as `password` in named_secrets.
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator
from typing import NamedTuple

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.placeholder_values import is_placeholder
from security_common.pii.rules import Rule

__all__ = ["CREDENTIALS"]


class _Place(NamedTuple):
    """A place of a secret: the group `secret` of the expression. `words` are in every text that has such a place."""

    words: tuple[str, ...]
    expression: re.Pattern[str]
    why: str
    must_look_random: bool = False


def _place(words: str, expression: str, why: str, flags: int = 0, *, must_look_random: bool = False) -> _Place:
    return _Place(tuple(words.split("|")), re.compile(expression, flags), why, must_look_random)


_PLACES = (
    # postgres://user:password@host, redis://:password@host
    _place("://", r"(?<=[A-Za-z0-9])://[^\s:/@]{0,64}:(?P<secret>[^\s/\"'<>]{1,128})@(?=[\w\[])", "url-password"),
    # https://token@host
    _place(
        "://", r"(?<=[A-Za-z0-9])://(?P<secret>[A-Za-z0-9_\-]{20,255})@(?=[\w\[])", "url-token", must_look_random=True
    ),
    # jdbc:oracle:thin:user/password@host
    _place("jdbc:oracle", r"jdbc:oracle:[a-z0-9]{2,8}:[^\s/@:]{1,64}/(?P<secret>[^\s@/]{1,128})@", "url-password"),
    # Azure shared access signatures, URLs signed for Amazon S3 and Google Cloud Storage
    _place(
        "sig=|signature=",
        r"(?:[?&;](?:amp;)?sig|X-(?:Amz|Goog)-Signature)=(?P<secret>[A-Za-z0-9%+/_\-]{20,512}={0,2})",
        "url-signature",
        re.IGNORECASE,
    ),
    _place(
        "bearer|basic|kakaoak",
        r"\b(?:Bearer|Basic|KakaoAK)\s+(?P<secret>[A-Za-z0-9._~+/\-]{16,4096}={0,2})",
        "bearer",
        re.IGNORECASE,
        must_look_random=True,
    ),
    _place(
        "authorization",
        r"authorization['\"]?\s{0,2}[:=]\s{0,2}['\"]?(?:Bearer|Basic|Token|Api-?Key)\s+['\"]?(?:token=)?"
        r"(?P<secret>[A-Za-z0-9._~+/\-]{8,4096}={0,2})",
        "bearer",
        re.IGNORECASE,
    ),
    # cookies with the names that frameworks use, then any cookie whose name says that it is a session
    _place(
        "sess|connect.sid",
        r"\b(?:JSESSIONID|PHPSESSID|ASP\.NET_SessionId|ASPSESSIONID[A-Z]{0,8}|connect\.sid|laravel_session"
        r"|_[a-z_]{1,30}_session|SESSION(?:ID)?)=(?P<secret>[A-Za-z0-9%._~+/:\-]{16,4096}={0,2})",
        "cookie",
        re.IGNORECASE,
        must_look_random=True,
    ),
    _place(
        "cookie",
        r"cookie['\"]?\s{0,2}[:=]\s{0,2}['\"]?(?:[^\s=;]{1,64}=[^\s;]{0,256};\s?){0,8}?"
        r"[\w.\-]{0,40}(?:sess|sid|auth|token|jwt|remember|login)[\w.\-]{0,20}="
        r"(?P<secret>[A-Za-z0-9%._~+/:\-]{16,4096}={0,2})",
        "cookie",
        re.IGNORECASE,
        must_look_random=True,
    ),
    # commands
    _place(
        "--",
        r"--(?:[a-z]{1,16}-){0,2}(?:password|passwd|pass|token|secret|api-?key|secret-key|access-token|auth-token)"
        r"(?:=|\s+)['\"]?(?![a-z]{1,16}=)(?P<secret>[^\s'\"-][^\s'\"]{3,255})",
        "command",
    ),
    _place(
        "mysql|mariadb",
        r"\b(?:mysql|mysqldump|mysqladmin|mariadb)\s[^\n|;]{0,120}?(?<=\s)-p['\"]?(?P<secret>[^\s'\"]{4,128})",
        "command",
    ),
    _place(
        "sshpass|docker login|redis-cli",
        r"\b(?:sshpass\s-p|docker\slogin\s(?:[^\n|;]{0,100}?\s)?-p|redis-cli\s(?:[^\n|;]{0,100}?\s)?-a)"
        r"\s?['\"]?(?P<secret>[^\s'\"]{4,128})",
        "command",
    ),
    _place(
        "curl|wget|http ",
        r"\b(?:curl|wget|https?)\s(?:[^\n|;]{0,200}?\s)?(?:-u|--user)[\s=]['\"]?[^\s:'\"]{1,64}:(?P<secret>[^\s'\"]{3,128})",
        "command",
    ),
    _place(
        "identified|password",
        r"(?:identified\s(?:with\s[\w']{1,40}\s)?by|(?:with|encrypted|set)\s+password(?:\s+for\s[\w'@%.]{1,60})?(?:\s?=)?)"
        r"\s{0,4}\(?\s?'(?P<secret>[^'\n]{3,128})'",
        "sql",
        re.IGNORECASE,
    ),
    # host:port:database:user:password, a line of .pgpass
    _place(
        ":",
        r"^[\w.*\-]{1,253}:(?:[0-9]{4,5}|\*):[\w.*\-]{1,63}:[\w.\-]{1,63}:(?P<secret>\S{4,128})$",
        "pgpass",
        re.MULTILINE,
        must_look_random=True,
    ),
    # ID/PW: admin / 1uMBVD#1615jd
    _place(
        "/",
        r"(?:id|user|아이디|계정)\s?/\s?(?:pw|pwd|pass|password|비번|비밀번호|패스워드|암호)\s?[:=는은]?\s{0,2}"
        r"[^\s/:=]{1,64}\s?/\s?(?P<secret>[!-~]{4,64})",
        "label",
        re.IGNORECASE,
    ),
)
_DOCKER_AUTH = re.compile(
    r"\"_?auth\"\s?:\s?\"([A-Za-z0-9+/]{8,1024}={0,2})\"|_auth\s?=\s?([A-Za-z0-9+/]{8,1024}={0,2})"
)
_IS_KUBERNETES_SECRET = re.compile(r"kind['\"]?\s{0,2}:\s{0,2}['\"]?Secret\b")
_SECRET_BLOCK = re.compile(r"^([ \t]*)(?:data|stringData):[ \t]*\n((?:\1[ \t]+[^\n]*\n?){1,200})", re.MULTILINE)
_SECRET_OBJECT = re.compile(r"\"(?:data|stringData)\"\s?:\s?\{([^{}]{1,16384})\}")
_BLOCK_MEMBER = re.compile(r"^[ \t]+['\"]?[\w.\-]{1,253}['\"]?:[ \t]*['\"]?([^\s'\"|>][^\s'\"]{3,8192})", re.MULTILINE)
_OBJECT_MEMBER = re.compile(r"\"[\w.\-]{1,253}\"\s?:\s?\"([^\s\"]{4,8192})\"")


def _find_credentials(source: LabelledText) -> Iterator[Finding]:
    text, lowered = source.text, source.lowered
    for place in _PLACES:
        if not any(word in lowered for word in place.words):
            continue
        for match in place.expression.finditer(text):
            secret = match["secret"].rstrip(".,;)")
            if is_placeholder(secret) or (place.must_look_random and not _has_letters_and_digits(secret)):
                continue
            start = match.start("secret")
            yield Finding(PIIKind.SECRET, start, start + len(secret), 0.97, place.why)
    if "auth" in lowered:
        yield from _find_docker_credentials(text)
    if _IS_KUBERNETES_SECRET.search(text):
        yield from _find_kubernetes_secrets(text)


def _has_letters_and_digits(value: str) -> bool:
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _find_docker_credentials(text: str) -> Iterator[Finding]:
    """`"auth": "dXNlcjpwYXNz"` in the configuration of Docker, `_auth=` in that of npm: base64 of user:password."""
    for match in _DOCKER_AUTH.finditer(text):
        group = match.lastindex or 1
        try:
            decoded = b64decode(match[group], validate=True)
        except Error:
            continue
        if b":" in decoded:
            yield Finding(PIIKind.SECRET, match.start(group), match.end(group), 0.97, "docker-auth")


def _find_kubernetes_secrets(text: str) -> Iterator[Finding]:
    """Every value below `data` and `stringData` of a manifest of kind Secret, whatever its name is."""
    for block, member, group in ((_SECRET_BLOCK, _BLOCK_MEMBER, 2), (_SECRET_OBJECT, _OBJECT_MEMBER, 1)):
        for found in block.finditer(text):
            for match in member.finditer(text, found.start(group), found.end(group)):
                if not is_placeholder(match[1]):
                    yield Finding(PIIKind.SECRET, match.start(1), match.end(1), 0.97, "kubernetes-secret")


CREDENTIALS = Rule(
    r"://[^/\s]*[:@]|jdbc:oracle|(?i:[?&;]sig=|-signature=|(?:bearer|basic|kakaoak)\s|authorization|sess|connect\.sid"
    r"|cookie|identified\s|password|kind['\"]?\s{0,2}:\s{0,2}['\"]?secret|auth['\"]?\s?[:=])"
    r"|--[a-z\-]{0,30}(?:pass|token|secret|key)|\s-p['\"]?[^\s\-]|sshpass|docker login|redis-cli|\s-u\s|\s--user"
    r"|:(?:[0-9]{4,5}|\*):[A-Za-z0-9_.*\-]+:[A-Za-z0-9_.\-]+:"
    r"|(?i:/\s?(?:pw|pwd|pass|비번|비밀번호|패스워드|암호))",
    _find_credentials,
)
