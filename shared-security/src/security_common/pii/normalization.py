r"""Prepares a text for the rules: plain characters, plain digits, and the contents of base64 tokens.

`normalize` turns full-width and styled characters, unusual dashes and spaces, zero-width characters, decomposed Hangul
and escapes (percent, HTML entity, `\u`) into plain characters, and keeps for each one the place it came from.
`replace_spoken_digits` writes 공일공 일이삼사 and O1O as digits. `decode_base64_tokens` yields the text inside tokens.
"""

import html
import re
import unicodedata
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

__all__ = [
    "NORMALIZATION_GATE",
    "SPOKEN_DIGITS_GATE",
    "NormalizedText",
    "decode_base64_tokens",
    "may_have_base64_token",
    "normalize",
    "replace_spoken_digits",
]

_ESCAPE = (
    r"(?:%[0-9A-Fa-f]{2})+"
    r"|(?:\\u[0-9A-Fa-f]{4})+|\\x[0-9A-Fa-f]{2}|\\[nrt\"/]"
    r"|&(?:\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,10});"
)
# Everything but ASCII, composed Hangul and single Hangul letters. Han and kana are included: they stay as they are.
_UNUSUAL_CHAR = r"[^\x00-\x7fㄱ-ㅢ가-힣]"
_DECOMPOSED_SYLLABLE = r"[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?"
_PIECE = re.compile(rf"{_ESCAPE}|{_DECOMPOSED_SYLLABLE}|{_UNUSUAL_CHAR}")
NORMALIZATION_GATE = rf"{_UNUSUAL_CHAR}|%[0-9A-Fa-f]{{2}}|&[#A-Za-z]|\\[ux\"nrt/]"

_PLAIN_FORMS = {
    "-": "\u02d7\u05be\u1806\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u207b\u208b\u2212\u2500\u2501\u2796\u30fc"
    "\ufe58\ufe63\uff0d\uff70",
    ".": "\u00b7\u119e\u2022\u2024\u2027\u2219\u22c5\u3002\u30fb\u318d\uff0e\uff61\uff65",
    " ": "\u115f\u1160\u2800\u3164\uffa0",
    "/": "\u2044\u2215",
    "~": "\u301c\uff5e",
    "'": "\u2018\u2019",
    '"': "\u201c\u201d",
}
_PLAIN = {ord(char): plain for plain, chars in _PLAIN_FORMS.items() for char in chars}
# Cyrillic and Greek letters that look like Latin ones.
_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһԛԝАВЕКМНОРСТХІЈЅοΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aeopcyxijsdhqwABEKMHOPCTXIJSoABEZHIKMNOPTYX"
)


_MAX_FORMS_REMEMBERED = 4096


@dataclass(slots=True)  # not frozen: a frozen one takes 2.5 times as long to create
class NormalizedText:
    """Normalized text. `starts` and `ends` have the place of each character in the original; None if unchanged."""

    text: str
    starts: list[int] | None = None
    ends: list[int] | None = None

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the original of `text[start:end]`, which must not be empty."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


def normalize(text: str) -> NormalizedText:
    """The text in plain characters. A text that has nothing to normalize is returned as it is."""
    pieces = list(_PIECE.finditer(text))
    if not pieces:
        return NormalizedText(text)
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position = 0
    for piece in pieces:
        start, end = piece.span()
        chars += text[position:start]
        starts += range(position, start)
        ends += range(position + 1, start + 1)
        written = piece.group()
        if written.isascii():
            for char, char_start, char_end in _decode_escapes(written):
                plain = _plain_form(char)
                chars += plain
                starts += [start + char_start] * len(plain)
                ends += [start + char_end] * len(plain)
        else:
            plain = _plain_form(written)
            chars += plain
            starts += [start] * len(plain)
            ends += [end] * len(plain)
        position = end
    chars += text[position:]
    starts += range(position, len(text))
    ends += range(position + 1, len(text) + 1)
    return NormalizedText("".join(chars), starts, ends)


@lru_cache(maxsize=_MAX_FORMS_REMEMBERED)
def _plain_form(piece: str) -> str:
    """The plain characters for one character or one decomposed syllable of Hangul."""
    if piece.isascii():
        return piece
    plain = _PLAIN.get(ord(piece[0]))
    if plain is not None:
        return plain
    if len(piece) > 1:
        return unicodedata.normalize("NFC", piece)
    category = unicodedata.category(piece)
    if category in {"Cf", "Mn", "Me", "Cc"}:  # zero-width, bidirectional marks, soft hyphen, combining strokes
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(piece))
    if category in {"Zs", "Zl", "Zp"}:
        return " "
    if category == "Pd":
        return "-"
    return unicodedata.normalize("NFKC", piece).translate(_LOOKALIKES)


def _decode_escapes(piece: str) -> Iterator[tuple[str, int, int]]:
    if piece[0] == "%":
        yield from _decode_percent(piece)
    elif piece[0] == "&":
        yield html.unescape(piece), 0, len(piece)
    elif piece[1] == "u":
        yield from _decode_utf16(piece)
    elif piece[1] == "x":
        yield chr(int(piece.removeprefix("\\x"), 16)), 0, len(piece)
    else:
        yield {"n": "\n", "r": "\r", "t": "\t"}.get(piece[1], piece[1]), 0, 2


def _decode_percent(piece: str) -> Iterator[tuple[str, int, int]]:
    """UTF-8 in percent escapes (RFC 3986 section 2.1). Escapes that are not valid UTF-8 stay as they are."""
    position = 0
    try:
        decoded = bytes.fromhex(piece.replace("%", "")).decode()
    except UnicodeDecodeError:
        for index, char in enumerate(piece):
            yield char, index, index + 1
        return
    for char in decoded:
        end = position + 3 * len(char.encode())
        yield char, position, end
        position = end


def _decode_utf16(piece: str) -> Iterator[tuple[str, int, int]]:
    """JSON escapes (RFC 8259 section 7), where a character may take two of them."""
    position = 0
    for char in bytes.fromhex(piece.replace("\\u", "")).decode("utf-16-be", errors="replace"):
        end = position + (12 if ord(char) > 0xFFFF else 6)
        yield char, position, end
        position = end


# --- digits written as words or as letters that look like digits

_HANGUL_DIGITS = "공영일이삼사오육륙칠팔구"
_BETWEEN_HANGUL_DIGITS = r"(?:[0-9\s\-.,/ㅡ]|에|다시|하이픈|대시)*"
SPOKEN_DIGITS_GATE = (
    # three digits in Hangul, with plain ones between them
    rf"(?:[{_HANGUL_DIGITS}]{_BETWEEN_HANGUL_DIGITS}){{3}}"
    # the beginning of a mobile number with a letter in it, or such a letter behind a digit
    r"|[oO][1lI|][0Oo16789]|0[lI|][0Oo16789]|[0-9][-. ]?[oOlI|]"
)
_HANGUL_DIGIT = re.compile(f"[{_HANGUL_DIGITS}]")
_PLAIN_DIGITS = str.maketrans(_HANGUL_DIGITS + "oOlI|", "001234566789" + "00111")
_DIGIT = re.compile("[0-9]")
_SPOKEN_HYPHEN = re.compile("에|다시|하이픈|대시")
_SPOKEN_RUN = re.compile(
    rf"[{_HANGUL_DIGITS}0-9]"
    rf"(?:[ \t\n]{{0,2}}(?:[-.,/ㅡ]|{_SPOKEN_HYPHEN.pattern})?[ \t\n]{{0,2}}[{_HANGUL_DIGITS}0-9]){{8,18}}"
)
_MIN_HANGUL_DIGITS = 3
_CERTAIN_HANGUL_DIGITS = 9  # ordinary words do not have so many of these syllables in a row
_FORM_OF_TO_BE = re.compile("[에예입고며라인죠지]")
_LOOKALIKE_RUN = re.compile(r"(?<![A-Za-z0-9])[0Oo][1lI|][0Oo16789](?:[-. ]?[0-9OolI|]){7,8}(?![A-Za-z0-9])")
_PHONE_PREFIX = re.compile(r"(?:01[016789]|02|0[3-6][1-5]|070)")
_MOBILE_LENGTH, _RESIDENT_NUMBER_LENGTH = 11, 13


def replace_spoken_digits(text: str) -> str:
    """The text with telephone numbers and other long numbers in plain digits; the length does not change.

    Returns the same object if nothing was replaced.
    """
    replaced = _SPOKEN_RUN.sub(_replace_spoken_run, text)
    replaced = _LOOKALIKE_RUN.sub(lambda match: match.group().translate(_PLAIN_DIGITS), replaced)
    return text if replaced == text else replaced


def _replace_spoken_run(match: re.Match[str]) -> str:
    """Replaces only as many digits as the number has: the next 이 may be that of 이에요 and not the digit 2."""
    written = match.group()
    hangul_digits = len(_HANGUL_DIGIT.findall(written))
    if hangul_digits < _MIN_HANGUL_DIGITS:
        return written
    plain = _SPOKEN_HYPHEN.sub(_hyphen_of_same_length, written).translate(_PLAIN_DIGITS)
    digits = "".join(_DIGIT.findall(plain))
    ends_in_particle = written[-1] == "이" and _FORM_OF_TO_BE.match(match.string, match.end()) is not None
    length = _MOBILE_LENGTH if digits.startswith("010") else len(digits) - ends_in_particle
    is_number = (
        _PHONE_PREFIX.match(digits) or length == _RESIDENT_NUMBER_LENGTH or hangul_digits >= _CERTAIN_HANGUL_DIGITS
    )
    if not is_number:
        return written
    places = [digit.end() for digit in _DIGIT.finditer(plain)]
    end = places[min(length, len(places)) - 1]
    return plain[:end] + written[end:]


def _hyphen_of_same_length(spoken_hyphen: re.Match[str]) -> str:
    return "-".ljust(len(spoken_hyphen.group()))


# --- base64

may_have_base64_token = re.compile(r"[A-Za-z0-9+/_\-]{12}").search
"""Finds enough characters of base64 in a row. Most texts have none."""
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_\-.@])[A-Za-z0-9+/_\-]{12,65536}={0,2}(?![A-Za-z0-9+/_=@])")
_HAS_UPPER_AND_LOWER = re.compile(r"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])")


def decode_base64_tokens(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and decoded text of each token that decodes to printable UTF-8 (RFC 4648 sections 4 and 5)."""
    for match in _BASE64.finditer(text):
        token = match.group().rstrip("=")
        if len(token) % 4 == 1 or not _HAS_UPPER_AND_LOWER.match(token):
            continue
        padded = token.replace("-", "+").replace("_", "/") + "=" * (-len(token) % 4)
        try:
            decoded = b64decode(padded, validate=True).decode()
        except (Error, UnicodeDecodeError):
            continue
        if decoded.isprintable() or decoded.replace("\n", "").replace("\t", "").replace("\r", "").isprintable():
            yield match.start(), match.end(), decoded
