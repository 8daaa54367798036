r"""Folding: the text as a reader means it, with the way back to the text as it was written.

Full-width and styled characters, odd dashes and spaces, zero-width characters, split Hangul and per-character escapes
(percent, HTML entity, `\u`) become plain characters. Every normalized character remembers the stretch it came from.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["NORMALIZATION_GATE", "NormalizedText", "normalize"]

_ESCAPE = (
    r"(?:%[0-9A-Fa-f]{2})+"
    r"|(?:\\u[0-9A-Fa-f]{4})+|\\x[0-9A-Fa-f]{2}|\\[nrt\"/]"
    r"|&(?:\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,10});"
)
_ESCAPED = re.compile(_ESCAPE)
# All but ASCII, composed Hangul and the Hangul letters people type on their own: Han and kana only cost a look-up.
_STRANGE = r"[^\x00-\x7fㄱ-ㅢ가-힣]"
NORMALIZATION_GATE = rf"{_STRANGE}|%[0-9A-Fa-f]{{2}}|&[#A-Za-z]|\\[ux\"nrt/]"
_SPLIT_HANGUL = r"[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?"
_PIECE = re.compile(rf"{_ESCAPE}|{_SPLIT_HANGUL}|{_STRANGE}")

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


@dataclass(frozen=True, slots=True)
class NormalizedText:
    """Normalized text. `starts` and `ends` give each character's stretch of the original; None if unchanged."""

    text: str
    starts: list[int] | None = None
    ends: list[int] | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the original text that normalized to `text[start:end]`, which is not empty."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


def normalize(text: str) -> NormalizedText:
    """Text in which nothing is written strangely comes back as it is."""
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
        for char, char_start, char_end in _unfold(piece.group(), start):
            chars.append(char)
            starts.append(char_start)
            ends.append(char_end)
        position = end
    chars += text[position:]
    starts += range(position, len(text))
    ends += range(position + 1, len(text) + 1)
    return NormalizedText("".join(chars), starts, ends)


def _unfold(piece: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Each character that a piece stands for, with its place."""
    escaped = piece[0] in "%&\\" and _ESCAPED.fullmatch(piece)
    for char, char_start, char_end in _unescape(piece) if escaped else [(piece, 0, len(piece))]:
        for plain in _simplify(char):
            yield plain, start + char_start, start + char_end


def _simplify(piece: str) -> str:
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
    normalized = unicodedata.normalize("NFKC", piece)
    return normalized.translate(_LOOKALIKES)


def _unescape(piece: str) -> Iterator[tuple[str, int, int]]:
    if piece[0] == "%":
        yield from _percent_decoded(piece)
    elif piece[0] == "&":
        yield html.unescape(piece), 0, len(piece)
    elif piece[1] == "u":
        yield from _utf16_decoded(piece)
    elif piece[1] == "x":
        yield chr(int(piece.removeprefix("\\x"), 16)), 0, len(piece)
    else:
        yield {"n": "\n", "r": "\r", "t": "\t"}.get(piece[1], piece[1]), 0, 2


def _percent_decoded(piece: str) -> Iterator[tuple[str, int, int]]:
    """UTF-8 in percent escapes (RFC 3986 section 2.1); what is no UTF-8 stays as it is."""
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


def _utf16_decoded(piece: str) -> Iterator[tuple[str, int, int]]:
    """Escapes of JSON (RFC 8259 section 7), where two may make one character."""
    position = 0
    for char in bytes.fromhex(piece.replace("\\u", "")).decode("utf-16-be", errors="replace"):
        end = position + (12 if ord(char) > 0xFFFF else 6)
        yield char, position, end
        position = end
