"""E-mail addresses, also those that are spelled out to hide them from harvesters: `hong (at) example dot com`."""

import re
import string
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.rules import Rule

__all__ = ["EMAIL_ADDRESSES"]

_LOCAL_PART = r"[A-Za-z0-9_%+\-][A-Za-z0-9._%+\-']{0,63}"
_LOCAL_PART_CHARS = string.ascii_letters + string.digits + "._%+-'"
_MAX_LOCAL_PART_LENGTH = 64  # RFC 5321 section 4.5.3.1.1
_MAX_SPACES = 2
_PREFIXES_OF_LITERALS = ("N'", "E'", "b'", "u'")  # N'hong@example.com' in SQL, b'…' in Python
# `@` and a domain. The local part is read backwards from there, which keeps a long text of letters linear.
_AT_DOMAIN = re.compile(
    r"@[ \t\r\n]{0,2}"
    r"((?:(?:[A-Za-z0-9][A-Za-z0-9\-]{0,62}|[가-힣]{1,20})\.){0,6}(?:[A-Za-z][A-Za-z0-9\-]{1,62}|한국))"
    r"(?![A-Za-z0-9])"
)
_SPELLED_AT = r"\s{0,2}(?:[(\[{<\-_]\s?(?:at|a|앳|엣|골뱅이|@)\s?[)\]}>\-_]|골뱅이|\s[앳엣]\s|@|\sat\s)\s{0,2}"
_SPELLED_DOT = (
    r"\s{0,2}(?:[(\[{<\-_]\s?(?:dot|점|닷|\.)\s?[)\]}>\-_]|\.|\s(?:dot|닷|점|쩜)\s|(?<=\w)[점닷쩜](?=[a-z컴넷]))\s{0,2}"
)
_SPELLED_ADDRESS = re.compile(
    rf"(?<![A-Za-z0-9._%+\-])({_LOCAL_PART})({_SPELLED_AT})"
    rf"([A-Za-z0-9\-]{{1,63}}(?:{_SPELLED_DOT}(?:[A-Za-z0-9\-]{{1,63}}|[컴넷])){{1,4}})",
    re.IGNORECASE,
)
_SPELLING_GATE = r"골뱅이|[앳엣]|@\s|(?i:[(\[{<\-_]\s?(?:at|a\)|dot|@|\.|점|닷)|\sdot\s)"
_MAY_BE_SPELLED = re.compile(_SPELLING_GATE)
# "work @ home. Me too" and "look at example.com" are not addresses: after a plain "at" or "@", the dot must be spelled
# out or have spaces around it.
_AMBIGUOUS_AT = frozenset({"at", "@"})
_CLEAR_DOT = re.compile(r"dot|[점닷쩜)\]}>]| \. ", re.IGNORECASE)
_TOP_LEVEL_DOMAIN = re.compile(
    r"\.?(?:com|net|org|edu|gov|io|co|kr|jp|cn|uk|de|fr|us|me|info|biz|dev|ai|app|컴|넷)$", re.IGNORECASE
)
# Last labels that are not top-level domains: extensions of files, and suffixes of systemd units (systemd.unit(5)).
_FILE_EXTENSIONS = """
png jpg jpeg gif svg webp pdf docx xlsx pptx txt log csv html css scss js jsx ts tsx vue java cpp hpp swift go rb sql
json yaml yml toml xml ini cfg conf lock bak tmp pem crt exe dll dylib jar war whl gz tgz bz2 xz rpm deb
"""
_UNIT_SUFFIXES = "service timer socket target mount automount swap slice scope path"
_FILE_OR_UNIT = frozenset(f"{_FILE_EXTENSIONS} {_UNIT_SUFFIXES}".split())
# File extensions that are also country codes: a file, unless the domain is like those that people register there.
_EXTENSIONS_AND_COUNTRIES = frozenset({"py", "sh", "md", "rs", "so", "zip"})
_SECOND_LEVEL_DOMAIN = re.compile(r"\.(?:com|co|org|net|edu|gov)\.[a-z]+$", re.IGNORECASE)
# Schemes whose URLs have a login in front of the host (https://user@host), perhaps with a driver (postgresql+psycopg).
# In others, such as crm://hong@example.com, it is the address of a person.
_LOGIN_SCHEMES = """
http https ws wss ftp ftps sftp ssh git svn hg rsync telnet vnc rdp smb nfs socks4 socks5 tcp tls udp quic docker
redis rediss valkey postgres postgresql mysql mariadb mssql oracle mongodb cassandra clickhouse snowflake neo4j bolt
amqp amqps mqtt mqtts nats kafka stomp ldap ldaps smtp smtps imap imaps pop3 influxdb elasticsearch jdbc odbc
"""
_URL_USER_INFO = re.compile(
    rf"(?<![a-z0-9])(?:{'|'.join(_LOGIN_SCHEMES.split())})(?:\+[a-z0-9]{{1,15}})?://[^\s/@]{{0,64}}$", re.IGNORECASE
)
_MAX_URL_USER_INFO_LENGTH = 80
# A login on a machine: ssh -p 22 deploy@web1.example.com, scp a.txt deploy@web1.example.com:/srv
_REMOTE_COMMAND = re.compile(r"\b(?:ssh|scp|sftp|rsync|mosh|ssh-copy-id)(?:\s+[^\s@]{1,40}){0,6}\s+$")
_MAX_REMOTE_COMMAND_LENGTH = 80
_REMOTE_PATH = re.compile(r":(?:[~/.]|[A-Za-z0-9_.\-]{1,64}/)")
_MESSAGE_ID_HEADER = re.compile(
    r"(?:message-id|in-reply-to|references)[\"']?\s{0,2}[:=]\s{0,2}[\"']?<?$", re.IGNORECASE
)
_MAX_MESSAGE_ID_HEADER_LENGTH = 22
_NOT_AFTER_LOCALHOST = frozenset({"@", ":", "/", "~", "_"})
_NOT_AFTER_DOMAIN = frozenset({"_", "="})
_NOT_AFTER_SPACED_DOMAIN = frozenset({"(", "["})  # matrices: grad @ weights.transpose(0, 1), x @ layer.data[0]


def _find_email_addresses(source: LabelledText) -> Iterator[Finding]:
    """Plain addresses; spelled ones only if the text contains a word or bracket for `@` or the dot."""
    yield from _find_plain(source)
    if _MAY_BE_SPELLED.search(source.text):
        yield from _find_spelled(source.text)


def _find_plain(source: LabelledText) -> Iterator[Finding]:
    text = source.text
    has_urls = "://" in text
    for match in _AT_DOMAIN.finditer(text):
        before = text[max(0, match.start() - _MAX_LOCAL_PART_LENGTH - _MAX_SPACES) : match.start()]
        without_spaces = before.rstrip(" \t\r\n")
        spaces = len(before) - len(without_spaces)
        local_part_start = len(without_spaces.rstrip(_LOCAL_PART_CHARS))
        local_part = without_spaces[local_part_start:].lstrip(".'")
        if text.startswith("'", match.end()) and local_part.startswith(_PREFIXES_OF_LITERALS):
            local_part = local_part[2:]
        if not local_part or len(local_part) > _MAX_LOCAL_PART_LENGTH or spaces > _MAX_SPACES:
            continue
        start = match.start() - spaces - len(local_part)
        if not _is_mailbox(source, start, local_part, match):
            continue
        if has_urls and _URL_USER_INFO.search(text, max(0, start - _MAX_URL_USER_INFO_LENGTH), start):
            continue
        yield Finding(PIIKind.EMAIL, start, match.end(), 0.96, "shape")


def _find_spelled(text: str) -> Iterator[Finding]:
    for match in _SPELLED_ADDRESS.finditer(text):
        at, domain = match.group(2), match.group(3)
        if not _TOP_LEVEL_DOMAIN.search(domain):
            continue
        if at.strip(" -_").lower() not in _AMBIGUOUS_AT or _CLEAR_DOT.search(domain):
            yield Finding(PIIKind.EMAIL, match.start(), match.end(), 0.9, "spelled")


def _is_mailbox(source: LabelledText, start: int, local_part: str, match: re.Match[str]) -> bool:
    """Excludes names of files, units and machines (logo@2x.png, wg-quick@wg0.service, git@host:path) and code.

    A domain without a dot counts with an e-mail label, or if it is `localhost` outside of a prompt or path.
    """
    text, domain = source.text, match.group(1)
    following = text[match.end() : match.end() + 1]
    if "." not in domain:
        is_expected = domain == "localhost" or source.adjacent_label_kind(start) == "EMAIL"
        return is_expected and following not in _NOT_AFTER_LOCALHOST
    if following in _NOT_AFTER_DOMAIN or not _is_plausible_domain(domain):
        return False
    if (local_part == "git" and following in {":", "/"}) or _REMOTE_PATH.match(text, match.end()):
        return False
    has_spaces = match.end() - start > len(local_part) + 1 + len(domain)
    if has_spaces and (len(local_part) < 2 or following in _NOT_AFTER_SPACED_DOMAIN):
        return False
    is_login = _REMOTE_COMMAND.search(text, max(0, start - _MAX_REMOTE_COMMAND_LENGTH), start)
    is_message_id = _MESSAGE_ID_HEADER.search(text, max(0, start - _MAX_MESSAGE_ID_HEADER_LENGTH), start)
    return is_login is None and is_message_id is None


def _is_plausible_domain(domain: str) -> bool:
    """Whether the last label can be a top-level domain and not the extension of a file or unit."""
    last_label = domain.rpartition(".")[2].lower()
    if last_label in _FILE_OR_UNIT or not last_label.isalpha():
        return False
    return last_label not in _EXTENSIONS_AND_COUNTRIES or _SECOND_LEVEL_DOMAIN.search(domain) is not None


EMAIL_ADDRESSES = Rule(rf"@|{_SPELLING_GATE}", _find_email_addresses)
