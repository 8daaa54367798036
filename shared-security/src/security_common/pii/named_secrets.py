"""Secrets behind a name, such as `password: …`, `DB_PASSWORD=…` and `비번은 …`. The words: data/secret_words.toml.

    db_password = "Tr1cky#Pass"
       └──┬───┘└┬┘ └────┬────┘
        name    │     value           not a placeholder, an ordinary word, a reference or code
            connector

What a value has to look like depends on its name and on the connector: behind `password=` it may be short and simple,
behind `token` and a space it has to be long and look random.
"""

import re
import string
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.normalization import normalize
from security_common.pii.placeholder_values import is_ordinary_word, is_placeholder, is_technical_term
from security_common.pii.rules import Rule
from security_common.pii.word_lists import longest_word, read_lists

__all__ = ["NAMED_SECRETS"]

_PASSWORD, _KEY, _PIN, _PHRASE = "password", "key", "pin", "phrase"
_WORDS = read_lists("secret_words")
_NAMES = {normalize(name).text: group for group in (_PASSWORD, _KEY, _PIN, _PHRASE) for name in _WORDS[group]}
_NAME = re.compile(longest_word(_NAMES))
_WITHOUT_SEPARATORS = str.maketrans("", "", " _-")
_GROUP_OF_NAME = {name.translate(_WITHOUT_SEPARATORS): group for name, group in _NAMES.items()}
_PUBLIC_PREFIXES = frozenset(_WORDS["public_prefixes"])
_SHORT_NAMES = frozenset({"pass", "pw", "pwd", "pat", "pin", "otp", "psk", "mdp", "cvc", "cvv", "cvn"})
"""Names that are parts of ordinary words: only whole words count."""
_CHARS_READ_BEFORE_NAME = 24
_WORD_BORDER = re.compile(r"[_\-]|(?<=[a-z])(?=[A-Z])")


class _Connector(IntEnum):
    """How closely a value is joined to its name."""

    SPACE = 1  # password Tr1cky
    VERB = 2  # the password is Tr1cky, 비밀번호는 Tr1cky
    COLON = 3  # password: Tr1cky
    EXACT = 4  # PASSWORD=Tr1cky, "password": "Tr1cky", <password>Tr1cky</password>


_FOR_PHRASE = r"(?:\s(?:for|of|to|on)(?:\s[^\s:=]{1,20}){1,6}?)?"  # password for the claims portal is …
_SIGN = re.compile(
    rf"(?:\s?값)?(?:[_ -]?[0-9]{{1,2}})?{_FOR_PHRASE}(?:\s?\([^()\n]{{1,16}}\)|\))?['\"\]]{{0,2}}"
    r"\s{0,2}(?::=|=>|->|→|[:=])[ \t]{0,4}[(\[]?"
    r"|['\"]?,?\s{1,12}['\"]?value['\"]?\s{0,2}[:=]\s{0,2}"  # name: DB_PASSWORD, value: Tr1cky
    r"|['\"]?>(?=[^<\s]{4,256}</)",
    re.IGNORECASE,
)
_VERB = re.compile(
    rf"(?:{_FOR_PHRASE}(?:,?\s(?:is|was)(?:\sit)?|['’]s)[:\s]\s?|\s?값?[은는이가]\s|\s{{0,8}}\|\s{{0,8}}"
    r"|['\"],\s?(?=['\"])|\s)[(\[]?"  # define('DB_PASSWORD', 'Tr1cky')
)
# 비번 까먹음 혹시 Dodam#2026! 이거였나: only a value that is certainly a password
_HANGUL_BETWEEN = re.compile(r"[가-힣]{0,4}[ ,.:]{1,2}(?:[가-힣]{1,8}[ ,.:]{1,2}){1,4}")
_STRONG_PASSWORD = re.compile(
    r"(?=[!-~]{0,31}[0-9])(?=[!-~]{0,31}[A-Za-z])(?=[!-~]{0,31}[!#$%^*])(?![!-~]{0,31}(?:://|@[A-Za-z0-9\-]{2,63}\.))"
    r"[!-~]{8,32}(?![!-~])"
)
_PIN_WITH_SYMBOLS = re.compile(r"[#*]{1,2}[0-9]{3,8}[#*]{0,2}|[0-9]{3,8}[#*]{1,2}")  # 도어락 비밀번호 2580*
_QUOTED = re.compile(r"\"([^\"\n]{1,256})\"|'([^'\n]{1,256})'|`([^`\n]{1,256})`")
_UNQUOTED = re.compile(r"[!#-&(-;=?-_a-~]{1,256}")  # printable ASCII without quotes and angle brackets
_NEXT_MEMBER = re.compile(r"[,;&|](?=['\"]?[A-Za-z_][\w.\-]{0,40}['\"]?[:=]|$)")
_OPENING_BRACKETS = {")": "(", "]": "[", "}": "{"}

_SYMBOLS = frozenset("!@#$%^&*+=?~|\\")
_MIN_CHARS_OF_PASSWORD, _MIN_CHARS_OF_WORD, _MIN_CHARS_IN_SENTENCE = 4, 5, 6
_MIN_CHARS_OF_KEY, _MIN_CHARS_OF_KEY_IN_SENTENCE, _MIN_CHARS_OF_LETTERS = 8, 18, 16
_MIN_OF_EACH_CASE, _MIN_DIGITS_BEHIND_SPACE = 3, 3
_CHARS_BEFORE_NAME_IN_LINE = string.ascii_letters + "_-. \t"
_LENGTHS_OF_PIN, _LENGTHS_OF_PIN_IN_SENTENCE, _LENGTHS_OF_CARD_CODE = range(3, 9), range(4, 7), range(3, 5)
_LENGTH_OF_OTP = 6
_NAMES_OF_CARD_CODES = frozenset({"cvc", "cvv", "cvc2", "cvv2", "cvn", "보안코드", "카드보안코드"})
_NAMES_OF_LONG_KEYS = frozenset(
    {"hashkey", "signkey", "mackey", "partnerkey", "merchantkey", "shopkey", "serverkey", "seedvalue", "seed"}
)
"""Names that are also used for short identifiers: hash_key: user1234."""
_MIN_CHARS_OF_LONG_KEY = 16
_MIN_CHARS_OF_MIXED_LETTERS = 10
_CAMEL_CASE = re.compile(r"[a-z]*(?:[A-Z][a-z]{2,})*")
_KEBAB_NAME = re.compile(r"[a-z]+(?:[-_.](?:[a-z]+|v?[0-9]{1,4}))+")
_SNAKE_NAME = re.compile(r"[a-z]+(?:_[a-z0-9]+)+")  # PASS: test_login2
_MIN_WORDS_OF_PASSPHRASE = 3
_APP_PASSWORD = re.compile(r"(?:[a-z]{4} ){3}[a-z]{4}(?![a-z])")  # of a Google account
_FORM_OF_VERB = re.compile(r".*(?:ed|ing|able|ible|ory|ly)")
_NUMBER_ENDS = re.compile(r"(?![0-9가-힣.,:/\-])|(?=입니다|이에요|예요|이고|이야|으로|로|야|임|요|인데)|[.,](?![0-9])")
_HANGUL = re.compile("[가-힣]")
_MNEMONIC = re.compile(r"['\"]?((?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8})")


class _Value(NamedTuple):
    """A value, its place and its connector. `fills_line` is whether name and value are all that is in their line."""

    text: str
    start: int
    end: int
    connector: _Connector
    fills_line: bool = False


def _find_named_secrets(source: LabelledText) -> Iterator[Finding]:
    text, lowered = source.text, source.lowered
    match = _NAME.search(lowered)
    while match is not None:
        place = _secret_behind(match, text)
        if place is None:
            match = _NAME.search(lowered, match.start() + 1)
            continue
        start, end = place
        yield Finding(PIIKind.SECRET, start, end, 0.965, "label")
        match = _NAME.search(lowered, end)


def _secret_behind(match: re.Match[str], text: str) -> tuple[int, int] | None:
    """The place of the secret behind a name, or None."""
    if not _is_name_of_secret(match, text):
        return None
    name = match.group().translate(_WITHOUT_SEPARATORS)
    group = _GROUP_OF_NAME[name]
    if group == _PHRASE:
        connector = _SIGN.match(text, match.end()) or _VERB.match(text, match.end())
        words = _MNEMONIC.match(text, connector.end()) if connector is not None else None
        return words.span(1) if words is not None else None
    value = _value_behind(text, *match.span())
    if value is None:
        return _password_after_words(text, match.end()) if group == _PASSWORD else None
    if is_placeholder(value.text):
        return None
    if group == _KEY:
        is_secret = _looks_like_key(value) and (
            name not in _NAMES_OF_LONG_KEYS or len(value.text) >= _MIN_CHARS_OF_LONG_KEY
        )
    elif group == _PIN and _PIN_WITH_SYMBOLS.fullmatch(value.text):
        is_secret = True
    elif value.text.isdecimal():
        is_secret = _is_number_of(group, name, value) and _NUMBER_ENDS.match(text, value.end) is not None
    else:
        is_secret = group == _PASSWORD and _looks_like_password(value, name)
    return (value.start, value.end) if is_secret else None


def _password_after_words(text: str, name_end: int) -> tuple[int, int] | None:
    """The place of a password that follows a few Hangul words: 비번 까먹음 혹시 Dodam#2026! 이거였나."""
    words = _HANGUL_BETWEEN.match(text, name_end)
    password = _STRONG_PASSWORD.match(text, words.end()) if words is not None else None
    if password is None or is_placeholder(password.group()):
        return None
    return password.start(), password.start() + len(_without_neighbours(password.group()))


def _is_name_of_secret(match: re.Match[str], text: str) -> bool:
    """Not a part of another word (`bypass`) and not the name of something public (`next_page_token`)."""
    start, end = match.span()
    following = text[end : end + 1]
    if following.isascii() and following.isalpha() and not (following.isupper() and text[end - 1].islower()):
        return False
    before = text[max(0, start - _CHARS_READ_BEFORE_NAME) : start]
    previous = before[-1:]
    if match.group() in _SHORT_NAMES and previous.isascii() and previous.isalpha():
        begins_camel_word = text[start].isupper() and previous.islower()
        if not begins_camel_word:
            return False
    prefix = before[len(before.rstrip(string.ascii_letters + "_-")) :].rstrip("_-")
    return _WORD_BORDER.split(prefix)[-1].lower() not in _PUBLIC_PREFIXES


def _value_behind(text: str, name_start: int, name_end: int) -> _Value | None:
    sign = _SIGN.match(text, name_end)
    connector = sign or _VERB.match(text, name_end)
    if connector is None:
        return None
    written = connector.group()
    if sign is None:
        certainty = _Connector.SPACE if written.rstrip("([").isspace() else _Connector.VERB
    else:
        certainty = _Connector.EXACT if written in {"=", ">", '">', "'>"} else _Connector.COLON
    quoted = _QUOTED.match(text, connector.end())
    if quoted is not None:
        group = quoted.lastindex or 1
        certainty = certainty if sign is None else _Connector.EXACT
        return _Value(quoted[group], quoted.start(group), quoted.end(group), certainty)
    unquoted = _APP_PASSWORD.match(text, connector.end()) or _UNQUOTED.match(text, connector.end())
    if unquoted is None:
        return None
    value = _without_neighbours(unquoted.group())
    is_next_name = value.endswith(":") or (written[-1] in " \t" and "=" in value[:-2] and value[0].isalpha())
    if is_next_name and not any(map(str.isdigit, value)):
        return None
    start, end = unquoted.span()
    line_before = text[max(0, name_start - _CHARS_READ_BEFORE_NAME) : name_start].rpartition("\n")[2]
    fills_line = not line_before.strip(_CHARS_BEFORE_NAME_IN_LINE) and text[end : end + 1] in "\r\n"
    return _Value(value, start, start + len(value), certainty, fills_line)


def _without_neighbours(written: str) -> str:
    """The value without the next member (`;Database=x`, `&user=y`) and without closing punctuation."""
    next_member = _NEXT_MEMBER.search(written)
    value = written if next_member is None else written[: next_member.start()]
    while value and (value[-1] in ".,;" or _closes_nothing(value)):
        value = value[:-1]
    return value


def _closes_nothing(value: str) -> bool:
    opening = _OPENING_BRACKETS.get(value[-1])
    return opening is not None and opening not in value


def _is_number_of(group: str, name: str, value: _Value) -> bool:
    """Whether digits alone are a secret behind this name: `PIN: 4821`, `비번 1234`."""
    if group == _PIN:
        if name in _NAMES_OF_CARD_CODES:
            return len(value.text) in _LENGTHS_OF_CARD_CODE
        if value.connector == _Connector.SPACE:
            is_certain = name.endswith("code") or _HANGUL.match(name) is not None
            if name == "otp":
                is_certain = len(value.text) == _LENGTH_OF_OTP
            return is_certain and len(value.text) in _LENGTHS_OF_PIN_IN_SENTENCE
        fits = _LENGTHS_OF_PIN if value.connector >= _Connector.COLON else _LENGTHS_OF_PIN_IN_SENTENCE
        return len(value.text) in fits
    if value.connector == _Connector.VERB and name.isascii():
        return len(value.text) >= _MIN_CHARS_IN_SENTENCE
    is_certain = value.connector >= _Connector.COLON or _HANGUL.match(name) is not None
    return is_certain and len(value.text) >= _MIN_CHARS_OF_PASSWORD


def _looks_like_password(value: _Value, name: str) -> bool:
    """Letters with digits or symbols; letters alone only where nothing but a value can be."""
    is_in_sentence = value.connector < _Connector.COLON
    text = value.text.rstrip("!?") if is_in_sentence else value.text
    has_letters, has_digits = any(map(str.isalpha, text)), any(map(str.isdigit, text))
    has_symbols = not _SYMBOLS.isdisjoint(text)
    if not name.isascii() and _PIN_WITH_SYMBOLS.fullmatch(text):
        return True
    if not has_letters or is_technical_term(text) or (name == "pass" and _SNAKE_NAME.fullmatch(text)):
        return False
    if not (has_digits or has_symbols):
        return _is_password_of_letters(value, name)
    if not is_in_sentence:
        return len(text) >= _MIN_CHARS_OF_PASSWORD
    if value.connector == _Connector.SPACE and name.isascii():
        has_both_cases = text != text.lower() and text != text.upper()
        is_varied = has_symbols or has_both_cases or sum(map(str.isdigit, text)) >= _MIN_DIGITS_BEHIND_SPACE
        return has_digits and is_varied and len(text) >= _MIN_CHARS_IN_SENTENCE
    return len(text) >= _MIN_CHARS_IN_SENTENCE


def _is_password_of_letters(value: _Value, name: str) -> bool:
    """`password=hunter`, a line `password: hunter`, `비번은 qwerty`, and words joined by hyphens."""
    text = value.text
    if _APP_PASSWORD.fullmatch(text):
        return value.connector > _Connector.SPACE
    if " " in text or len(text) < _MIN_CHARS_OF_WORD or is_ordinary_word(text):
        return False
    if value.connector == _Connector.EXACT:
        return True
    if _KEBAB_NAME.fullmatch(text):
        return value.connector == _Connector.COLON and len(re.split("[-_.]", text)) >= _MIN_WORDS_OF_PASSPHRASE
    if _FORM_OF_VERB.fullmatch(text) or not text.isalpha():
        return False
    return (value.connector == _Connector.COLON and value.fills_line) or (
        value.connector > _Connector.SPACE and not name.isascii()
    )


def _looks_like_key(value: _Value) -> bool:
    """Whether a value has letters and digits, or mixed case, and is not a name such as `db-credentials-2`."""
    text = value.text
    is_in_sentence = value.connector < _Connector.COLON
    fewest = _MIN_CHARS_OF_KEY_IN_SENTENCE if is_in_sentence else _MIN_CHARS_OF_KEY
    if len(text) < fewest or " " in text or _KEBAB_NAME.fullmatch(text):
        return False
    has_letters, has_digits = any(map(str.isalpha, text)), any(map(str.isdigit, text))
    if has_letters and has_digits:
        return True
    if is_in_sentence or not has_letters:
        return False
    has_symbols = not _SYMBOLS.isdisjoint(text.rstrip("="))
    if value.connector == _Connector.EXACT and has_symbols:
        return True
    upper, lower = sum(map(str.isupper, text)), sum(map(str.islower, text))
    fewest = _MIN_CHARS_OF_LETTERS if _CAMEL_CASE.fullmatch(text) else _MIN_CHARS_OF_MIXED_LETTERS
    return min(upper, lower) >= _MIN_OF_EACH_CASE and len(text) >= fewest


NAMED_SECRETS = Rule(
    r"(?i:pass|pwd|pw[^a-z]|pswd|secret|key|token|credential|signature|mnemonic|seed|recovery|masterauth|senha|contrase"
    r"|clave|mot de|kennwort|wachtwoord|salasana|hasło|(?:^|[^a-z])(?:pin|otp|psk|pat|mdp|cv[cvn]2?)[^a-z]|community"
    r"|(?:security|door|gate|master|access|entry|keypad|lockbox|safe|backup).code)"
    r"|비밀|패스|비번|암호|시크릿|키|토큰|핀|일회용|니모닉|복구|密|パスワ|시드|도어락|현관|보안|출입|마스터|금고|백업|暗証|口令",
    _find_named_secrets,
)
