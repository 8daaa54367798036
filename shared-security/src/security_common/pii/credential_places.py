"""Places of secrets: in URLs and connection strings, headers, cookies, commands, SQL and pairs of user and password."""

import re
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["CREDENTIAL_PLACES"]


class _Place(NamedTuple):
    """A place of a secret: the group `secret` of the expression. `words` are in every text that has such a place.

    `is_likely` is whether a value at this place is a secret.
    """

    words: tuple[str, ...]
    expression: re.Pattern[str]
    why: str
    is_likely: Callable[[str], bool] | None = None


def _place(
    words: str, expression: str, why: str, flags: int = 0, *, is_likely: Callable[[str], bool] | None = None
) -> _Place:
    return _Place(tuple(words.split("|")), re.compile(expression, flags), why, is_likely)


def _has_letters_and_digits(value: str) -> bool:
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _looks_random(value: str) -> bool:
    """Digits and letters of both cases, or 32 and more hexadecimal digits: neither a name nor a date."""
    if _HEXADECIMAL.fullmatch(value):
        return _has_letters_and_digits(value)
    return _has_letters_and_digits(value) and value != value.lower() and value != value.upper()


def _has_symbol_too(value: str) -> bool:
    """Whether a value has letters, digits and a symbol, and is not an address: Sunny*Day88."""
    if not _has_letters_and_digits(value) or "://" in value or _MAIL_ADDRESS.search(value):
        return False
    return not _SYMBOLS.isdisjoint(value)


def _looks_like_strong_password(value: str) -> bool:
    """The same, or with a capital and a hyphen or point instead of the symbol: Maple-Crow-88."""
    if _has_symbol_too(value):
        return True
    is_varied = _has_letters_and_digits(value) and value != value.lower()
    return is_varied and not _WORD_SEPARATORS.isdisjoint(value)


_HEXADECIMAL = re.compile(r"[0-9a-f]{32,}|[0-9A-F]{32,}")
_MAIL_ADDRESS = re.compile(r"@[A-Za-z0-9\-]{2,63}\.")
_SYMBOLS, _WORD_SEPARATORS = frozenset("!@#$%^&*+?~"), frozenset("-.")
_WORDS_FOR_LOGIN = "login|log-in|signin|sign-in|account|credential|creds|console|로그인|접속|계정|콘솔|관리자"
_USUAL_USERS = "admin|administrator|root|sysadmin|sa|postgres|oracle|guest|test|demo|user"

CREDENTIAL_PLACES = (
    # postgres://user:password@host, redis://:password@host
    _place("://", r"(?<=[A-Za-z0-9])://[^\s:/@]{0,64}:(?P<secret>[^\s/\"'<>]{1,128})@(?=[\w\[])", "url-password"),
    # https://token@host
    _place(
        "://",
        r"(?<=[A-Za-z0-9])://(?P<secret>[A-Za-z0-9_\-]{20,255})@(?=[\w\[])",
        "url-token",
        is_likely=_has_letters_and_digits,
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
        is_likely=_has_letters_and_digits,
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
        is_likely=_has_letters_and_digits,
    ),
    _place(
        "cookie",
        r"cookie['\"]?\s{0,2}[:=]\s{0,2}['\"]?(?:[^\s=;]{1,64}=[^\s;]{0,256};\s?){0,8}?"
        r"[\w.\-]{0,40}(?:sess|sid|auth|token|jwt|remember|login)[\w.\-]{0,20}="
        r"(?P<secret>[A-Za-z0-9%._~+/:\-]{16,4096}={0,2})",
        "cookie",
        re.IGNORECASE,
        is_likely=_has_letters_and_digits,
    ),
    # https://example.com/map.js?key=…, the code of an authorization response, links to set a new password
    _place(
        "key=|code=|ticket=|auth=",
        r"[?&](?:key|code|ticket|auth)=(?P<secret>[A-Za-z0-9_\-]{16,512})(?![A-Za-z0-9_\-./])",
        "url-key",
        is_likely=_looks_random,
    ),
    _place(
        "/reset|/verify|/activate|/invite|/confirm|/magic",
        r"/(?:reset|verify|activate|invite|confirm|magic)[a-z_\-]{0,24}/(?P<secret>[A-Za-z0-9_\-]{20,512})",
        "url-key",
        re.IGNORECASE,
        is_likely=_looks_random,
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
        "az login|oc login|podman login|helm registry",
        r"\b(?:az|oc|podman|helm\sregistry)\slogin\s[^\n|;]{0,120}?(?<=\s)-p\s?['\"]?(?P<secret>[^\s'\"]{4,128})",
        "command",
    ),
    _place(
        "ldap",
        r"\bldap(?:search|modify|add|delete|passwd|whoami)\s[^\n|;]{0,160}?(?<=\s)-w\s?['\"]?(?P<secret>[^\s'\"]{4,128})",
        "command",
    ),
    _place(
        "net use", r"\bnet use\s[^\n]{0,120}?/user:\S{1,64}\s{1,4}(?P<secret>[^\s/]\S{3,127})", "command", re.IGNORECASE
    ),
    _place(
        "smbclient|rpcclient",
        r"\b(?:smbclient|rpcclient)\s[^\n|;]{0,120}?-U\s?\S{1,64}%(?P<secret>\S{4,128})",
        "command",
    ),
    _place(
        "chpasswd", r"\becho\s['\"]?[\w.\-]{1,32}:(?P<secret>[^\s'\"|]{4,128})['\"]?\s?\|[^\n]{0,24}chpasswd", "command"
    ),
    _place(
        "sqlplus|expdp|impdp|sqlldr",
        r"\b(?:sqlplus|expdp|impdp|sqlldr)\s(?:-[A-Za-z]{1,8}\s){0,3}[^\s/]{1,64}/(?P<secret>[^\s@/'\"]{3,128})",
        "command",
    ),
    # the configuration of routers and switches
    _place(
        "community|enable |username |server ",
        r"\b(?:snmp-server\scommunity|enable\s(?:secret|password)|username\s\S{1,64}\s(?:privilege\s[0-9]{1,2}\s)?"
        r"(?:secret|password)|(?:tacacs|radius)-server\s[^\n]{0,60}?\bkey)\s(?:[0-9]\s)?(?P<secret>[!-~]{4,128})",
        "router",
        re.IGNORECASE,
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
        is_likely=_has_letters_and_digits,
    ),
    # ID/PW: admin / 1uMBVD#1615jd
    _place(
        "/",
        r"(?:id|user|아이디|계정)\s?/\s?(?:pw|pwd|pass|password|비번|비밀번호|패스워드|암호)\s?[:=는은]?\s{0,2}"
        r"[^\s/:=]{1,64}\s?/\s?(?P<secret>[!-~]{4,64})",
        "label",
        re.IGNORECASE,
    ),
    # the gradebook login is gbadmin / Maple-Crow-88, 접속정보: app/Tr1cky99!
    _place(
        _WORDS_FOR_LOGIN,
        rf"(?:{_WORDS_FOR_LOGIN})[^\n]{{0,40}}?(?<![\w./@\-])[A-Za-z][\w.@\-]{{1,40}}\s/\s(?P<secret>[!-.0-~]{{6,64}})(?![/\w])",
        "login",
        re.IGNORECASE,
        is_likely=_looks_like_strong_password,
    ),
    _place(
        _WORDS_FOR_LOGIN,
        rf"(?:{_WORDS_FOR_LOGIN})[^\n]{{0,40}}?(?<![\w./@\-])[A-Za-z][\w.@\-]{{1,40}}/(?P<secret>[!-.0-~]{{6,64}})(?![/\w])",
        "login",
        re.IGNORECASE,
        is_likely=_has_symbol_too,
    ),
    # root / Tr1cky99!, admin/vkdlTjs99! 로 로그인
    _place(
        _USUAL_USERS,
        rf"(?<![\w./@\-])(?:{_USUAL_USERS})\s?/\s?(?P<secret>[!-.0-~]{{6,64}})(?![/\w])",
        "login",
        re.IGNORECASE,
        is_likely=_has_symbol_too,
    ),
    _place(
        "로그인|접속",
        r"(?<![\w./@\-])[A-Za-z][\w.@\-]{1,40}\s?/\s?(?P<secret>[!-.0-~]{6,64})\s?(?:으?로)?\s?(?:로그인|접속)",
        "login",
        is_likely=_has_symbol_too,
    ),
    # user chapel-guest / pw laudsu9rmz
    _place(
        "pw|pass|비번|비밀번호|패스워드|암호",
        r"(?:user(?:name)?|\bid|login|account|아이디|계정)\s?[:=]?\s?[\w.@\-]{2,64}\s?[/,|]?\s{0,2}"
        r"(?:password|passwd|pass|pwd|pw|비번|비밀번호|패스워드|암호)(?:\s?[:=]\s?|\s)['\"]?(?P<secret>[!#-&(-~]{6,64})",
        "label",
        re.IGNORECASE,
        is_likely=_has_letters_and_digits,
    ),
    # WiFi: Guest / cafe12345
    _place(
        "wifi|wi-fi|와이파이|ssid",
        r"(?:wi-?fi|와이파이|ssid)[^\n/]{0,24}?[\w.\-]{2,32}\s/\s(?P<secret>[!-.0-~]{8,63})(?![/\w])",
        "login",
        re.IGNORECASE,
        is_likely=_has_letters_and_digits,
    ),
)
