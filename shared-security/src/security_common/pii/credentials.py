"""Secrets in a known place: those of credential_places, Docker's configuration and Kubernetes manifests.

Secrets with a shape of their own are in secret_tokens, secrets behind a name such as `password` in named_secrets.
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator

from security_common.pii.credential_places import CREDENTIAL_PLACES
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.placeholder_values import is_placeholder
from security_common.pii.rules import Rule

__all__ = ["CREDENTIALS", "is_docker_credential"]


_DOCKER_AUTH = re.compile(
    r"\"_?auth\"\s?:\s?\"([A-Za-z0-9+/]{8,1024}={0,2})\"|_auth\s?=\s?([A-Za-z0-9+/]{8,1024}={0,2})"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{8,1024}={0,2}")
_IS_KUBERNETES_SECRET = re.compile(r"kind['\"]?\s{0,2}:\s{0,2}['\"]?Secret\b")
_SECRET_BLOCK = re.compile(r"^([ \t]*)(?:data|stringData):[ \t]*\n((?:\1[ \t]+[^\n]*\n?){1,200})", re.MULTILINE)
_SECRET_OBJECT = re.compile(r"\"(?:data|stringData)\"\s?:\s?\{([^{}]{1,16384})\}")
_BLOCK_MEMBER = re.compile(r"^[ \t]+['\"]?[\w.\-]{1,253}['\"]?:[ \t]*['\"]?([^\s'\"|>][^\s'\"]{3,8192})", re.MULTILINE)
_OBJECT_MEMBER = re.compile(r"\"[\w.\-]{1,253}\"\s?:\s?\"([^\s\"]{4,8192})\"")


def _find_credentials(source: LabelledText) -> Iterator[Finding]:
    text, lowered = source.text, source.lowered
    for place in CREDENTIAL_PLACES:
        if not any(map(lowered.__contains__, place.words)):
            continue
        for match in place.expression.finditer(text):
            secret = match["secret"].rstrip(".,;)")
            if is_placeholder(secret) or (place.is_likely is not None and not place.is_likely(secret)):
                continue
            start = match.start("secret")
            yield Finding(PIIKind.SECRET, start, start + len(secret), 0.97, place.why)
    if "auth" in lowered:
        yield from _find_docker_credentials(text)
    if _IS_KUBERNETES_SECRET.search(text):
        yield from _find_kubernetes_secrets(text)


def _find_docker_credentials(text: str) -> Iterator[Finding]:
    """`"auth": "dXNlcjpwYXNz"` in the configuration of Docker, `_auth=` in that of npm: base64 of user:password."""
    for match in _DOCKER_AUTH.finditer(text):
        group = match.lastindex or 1
        if is_docker_credential(match[group]):
            yield Finding(PIIKind.SECRET, match.start(group), match.end(group), 0.97, "docker-auth")


def is_docker_credential(value: str) -> bool:
    """Whether a value is the base64 form of `user:password`."""
    if _BASE64.fullmatch(value) is None:
        return False
    try:
        return b":" in b64decode(value, validate=True)
    except Error:
        return False


def _find_kubernetes_secrets(text: str) -> Iterator[Finding]:
    """Every value below `data` and `stringData` of a manifest of kind Secret, whatever its name is."""
    for block, member, group in ((_SECRET_BLOCK, _BLOCK_MEMBER, 2), (_SECRET_OBJECT, _OBJECT_MEMBER, 1)):
        for found in block.finditer(text):
            for match in member.finditer(text, found.start(group), found.end(group)):
                if not is_placeholder(match[1]):
                    yield Finding(PIIKind.SECRET, match.start(1), match.end(1), 0.97, "kubernetes-secret")


# Wider than the places, so that the automaton of all gates stays small.
CREDENTIALS = Rule(
    r"://[^/\s]*[:@]|jdbc:oracle|(?i:[?&;]sig=|-signature=|(?:bearer|basic|kakaoak)\s|authorization|sess|connect\.sid"
    r"|cookie|identified\s|kind['\"]?\s{0,2}:\s{0,2}['\"]?secret|auth['\"]?\s?[:=])"
    r"|--[a-z]|\s-p['\"]?[^\s\-]|sshpass|docker login|redis-cli|\s-u\s|\s--user"
    r"|:(?:[0-9]{4,5}|\*):[A-Za-z0-9_.*\-]+:[A-Za-z0-9_.\-]+:"
    r"|(?i:pw|pass|비번|비밀번호|패스워드|암호|[?&](?:key|code|ticket|auth)="
    r"|/(?:reset|verify|activate|invite|confirm|magic)|\slogin\s|ldap|net use|smbclient|rpcclient|chpasswd|sqlplus"
    r"|expdp|impdp|sqlldr|snmp-server|enable\ssecret|username\s|(?:tacacs|radius)-server)"
    r"|\s/\s[!-.0-~]|/\s?[!-.0-~]*[!@#$%^&*+?~]",
    _find_credentials,
)
