"""What is around a value: a path or URL, a list of numbers, a currency.

A number without a label is personal data only if nothing around it says that it is a part of something else. Each
function reads a bounded number of characters.
"""

import re
import string

__all__ = [
    "has_currency_before",
    "has_specific_name_before",
    "is_in_path_or_url",
    "is_item_of_list",
    "is_specific_name",
    "name_before",
]

_MAX_CHARS_OF_PATH = 200
_PATH_CHARS = string.ascii_letters + string.digits + "-._~:/?#@!$&*+=%\\"
# /var/log/, ./a/, C:\a, a/b/, users/: a directory before the value, or the whole address of a page
_DIRECTORIES = re.compile(
    r"(?:[A-Za-z]:)?(?:[~.]{0,2}[\\/])|[A-Za-z0-9_.\-]+[\\/][A-Za-z0-9_.\-]+[\\/]|[a-z0-9_.\-]{2,}[\\/]"
)
_FILE_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}(?![A-Za-z0-9])")
_BEFORE_PATH = frozenset(" \t\r\n\"'`(=<[,")
_CURRENCIES = ("$", "₩", "€", "£", "¥", "KRW", "USD", "EUR", "JPY", "CNY", "GBP", "원화")
_LAST_CHARS_OF_CURRENCIES = frozenset(currency[-1] for currency in _CURRENCIES)
_MAX_CURRENCY_LENGTH = 5
_ITEM_BEFORE = re.compile(r"(?:\[\s?|\t|#|[0-9],\s?|[0-9]{6}/)$")
_ITEM_AFTER = re.compile(r"\s?\]|\t|,\s?-?[0-9]|/[0-9]{6}")
_CHARS_READ_FOR_LIST = 8
_MAX_NAME_LENGTH = 40
_NAME_CHARS = string.ascii_letters + string.digits + "_.-"
_NAMES_FOR_ANY_VALUE = frozenset({"value", "text", "content", "message", "body", "data", "input", "note", "memo", "no"})
_QUOTES_AND_SPACES = "\\\"'` \t"
_SIGNS = (":", "=")


def is_in_path_or_url(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]` is a part of a path, a URL or the name of a file."""
    if _FILE_EXTENSION.match(text, end):
        return True
    head = text[max(0, start - _MAX_CHARS_OF_PATH) : start]
    before_path = head.rstrip(_PATH_CHARS)
    path = head[len(before_path) :]
    if "://" in path:
        return True
    if "/" not in path and "\\" not in path:
        return False
    begins_as_word = not before_path or before_path[-1] in _BEFORE_PATH
    return begins_as_word and _DIRECTORIES.match(path) is not None


def is_item_of_list(text: str, start: int, end: int) -> bool:
    """Whether a number is one of several, as in `[4539578763621486, 5]`, in a tab-separated cell, or after `#`."""
    before, after = text[max(0, start - _CHARS_READ_FOR_LIST) : start], text[end : end + _CHARS_READ_FOR_LIST]
    return _ITEM_BEFORE.search(before) is not None or _ITEM_AFTER.match(after) is not None


def has_currency_before(text: str, start: int) -> bool:
    """Whether a sign or code of a currency is in front of a number: `₩ 1234567890`, `USD 1234567890`."""
    before = text[max(0, start - _MAX_CURRENCY_LENGTH) : start].rstrip(" +-")
    return before[-1:] in _LAST_CHARS_OF_CURRENCIES and before.endswith(_CURRENCIES)


def name_before(text: str, start: int) -> tuple[int, int] | None:
    """The place of the name in `name: value`, `name=value` or `"name": "value"`. Only ASCII names are read."""
    lowest = max(0, start - _MAX_NAME_LENGTH)
    with_sign = text[lowest:start].rstrip(_QUOTES_AND_SPACES)
    if not with_sign.endswith(_SIGNS):
        return None
    up_to_name = with_sign[:-1].rstrip(_QUOTES_AND_SPACES)
    before_name = up_to_name.rstrip(_NAME_CHARS)
    if len(before_name) == len(up_to_name):
        return None
    return lowest + len(before_name), lowest + len(up_to_name)


def has_specific_name_before(text: str, start: int) -> bool:
    """Whether a name in front of a value says what it is, as in `"acct_code": "101-02-0003"`. Labels are names too."""
    place = name_before(text, start)
    return place is not None and is_specific_name(text[slice(*place)])


def is_specific_name(name: str) -> bool:
    """Whether the name of a field says something about its value, unlike `value` and `text`."""
    return name.lower() not in _NAMES_FOR_ANY_VALUE
