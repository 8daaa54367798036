"""JSON anywhere in a text: whole documents, one document per line, `Result: {…}`, cut documents, Python's `repr`.

    Result: {"phone": 1012345678, "tags": ["a"]}
            └ object ─────────────────────────┘   members: name, place of the name, value
                      └ scalar: place and value

A fragment is read once, from left to right, and never from its middle again, so that the work is linear whatever
brackets and quotes the text has. What follows an error is read as ordinary text. Only places and values are kept:
nothing is written again, so that a text stays as it is where nothing was found.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from security_common.pii.contexts_in_data import item_contexts, member_contexts
from security_common.pii.field_context import FieldContext
from security_common.pii.normalization import NormalizedText

__all__ = [
    "JsonContainer",
    "JsonFragment",
    "JsonScalar",
    "decode_json_string",
    "encode_json_string",
    "find_json_fragments",
    "read_json_document",
    "scalars_in_context",
]

MAX_JSON_DEPTH = 64

_START = re.compile(r"[{\[]")
_JSON_SPACE = " \t\r\n"
_SPACE = r"[ \t\r\n]*"
_TOKEN = re.compile(
    rf"{_SPACE}(?:"
    r'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")'
    r"|(?P<repr>'[^'\\\n]*(?:\\.[^'\\\n]*)*')"
    r"|(?P<number>-?[0-9][0-9.eE+\-]*)"
    r"|(?P<word>[^\W\d][\w$\-]*)"
    r"|(?P<mark>[{}\[\],:])"
    r"|(?P<quote>[\"']))",
    re.DOTALL,
)
_CONSTANTS = {"true": None, "false": None, "null": None, "True": None, "False": None, "None": None, "NaN": None}
_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?)0*([0-9]+))?")  # RFC 8259 section 6
_MAX_DIGITS = 256
"""How many digits of a number are searched: no rule finds a longer value."""
_MAX_EXPONENT_DIGITS = 6
_AFTER_NUMBER = re.compile(r"\s*(?:[,\]}]|\Z)")
_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_CHARACTER_OF_ESCAPE = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


@dataclass(slots=True)
class JsonScalar:
    """A text, number or constant that is written at `text[start:end]`: without the quotes, with its escapes.

    `content` is what is written, or the whole part of a number, because no personal number has a fraction. What only
    looks like a number, such as 010-1234-5678 or 01012345678, is text without quotes.
    """

    start: int
    end: int
    content: str | int | None
    is_number: bool = False
    is_name: bool = False


@dataclass(slots=True)
class JsonContainer:
    """An object or array. An object has a name for each value. `content` is what contexts are computed from."""

    is_object: bool
    names: list[JsonScalar] = field(default_factory=list["JsonScalar"])
    values: list["JsonScalar | JsonContainer"] = field(default_factory=list["JsonScalar | JsonContainer"])
    content: dict[object, object] | list[object] = field(default_factory=list[object])


@dataclass(slots=True)
class JsonFragment:
    """A document at `text[start:end]`, or the readable beginning of one."""

    start: int
    end: int
    root: JsonContainer


def find_json_fragments(text: str) -> Iterator[JsonFragment]:
    """The fragments of a text in order.

    A fragment counts if a text, a number or a constant in it is the value of a member or in an array there, or if it is
    complete and has a text that is a value.
    """
    start = _START.search(text)
    while start is not None:
        reader = _Reader(text, start.start())
        fragment = reader.read()
        if fragment is not None:
            yield fragment
        if reader.has_open_quote:  # no quote after it is closed
            return
        start = _START.search(text, max(reader.position, start.end()))


def read_json_document(text: str) -> JsonFragment | None:
    """The document that a text consists of. White space around it does not matter.

    None if the text is anything else, or a document that does not count (`find_json_fragments`), such as an array of
    numbers only.
    """
    start = len(text) - len(text.lstrip(_JSON_SPACE))
    if not text.startswith(("{", "["), start):
        return None
    reader = _Reader(text, start)
    fragment = reader.read()
    is_whole = fragment is not None and reader.is_complete and not text[fragment.end :].strip(_JSON_SPACE)
    return fragment if is_whole else None


def scalars_in_context(
    container: JsonContainer, context: FieldContext | None = None
) -> Iterator[tuple[JsonScalar, FieldContext | None]]:
    """Every name and every text or number of a container, each with its context. Names have none."""
    yield from ((name, None) for name in container.names)
    if container.is_object:
        members: list[tuple[object, object]] = [
            (name.content, value.content) for name, value in zip(container.names, container.values, strict=True)
        ]
        contexts = member_contexts(members, context)
    else:
        contexts = item_contexts([value.content for value in container.values], context)
    for value, each in zip(container.values, contexts, strict=True):
        if isinstance(value, JsonContainer):
            yield from scalars_in_context(value, each)
        elif value.content is not None:
            yield value, each


def decode_json_string(written: str) -> NormalizedText:
    """The text that a JSON string represents, with the place of each character in what is written (RFC 8259)."""
    if "\\" not in written:
        return NormalizedText(written)
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position = 0
    for escape in _ESCAPE.finditer(written):
        chars += written[position : escape.start()]
        starts += range(position, escape.start())
        ends += range(position + 1, escape.start() + 1)
        chars.append(_decode_escape(escape.group()))
        starts.append(escape.start())
        ends.append(escape.end())
        position = escape.end()
    chars += written[position:]
    starts += range(position, len(written))
    ends += range(position + 1, len(written) + 1)
    return NormalizedText("".join(chars), starts, ends)


def encode_json_string(text: str) -> str:
    """How a text is written between the quotes of a JSON string, or of a string of Python's `repr`."""
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("'", "\\u0027")


def _decode_escape(escape: str) -> str:
    if len(escape) > 2:
        return chr(int(escape.removeprefix("\\u"), base=16))
    return _CHARACTER_OF_ESCAPE.get(escape[1], escape[1])


_VALUE, _NAME, _COLON, _COMMA = "value", "name", "colon", "comma"


class _Reader:
    """Reads one fragment.

    `expects` is what has to come next. Where a comma is expected, the end of the object or array may come instead.
    """

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._start = start
        self.position = start
        self.has_open_quote = False
        self._stack: list[JsonContainer] = []
        self._root: JsonContainer | None = None
        self._expects = _VALUE
        self._end_of_values = start
        self._open_objects = 0
        self._has_members = False
        self._has_texts = False

    def read(self) -> JsonFragment | None:
        """The fragment, or None if it does not count (`find_json_fragments`)."""
        while True:
            match = _TOKEN.match(self._text, self.position)
            if match is None or not self._accept(match):
                break
            self.position = match.end()
            if not self._stack:
                break
        is_complete = self.is_complete
        if self._root is None or not (self._has_members or (is_complete and self._has_texts)):
            return None
        for container in self._stack:
            del container.names[len(container.values) :]
        return JsonFragment(self._start, self._end_of_values, self._root)

    @property
    def is_complete(self) -> bool:
        """Whether the end of the document was read."""
        return not self._stack and self._root is not None

    def _accept(self, match: re.Match[str]) -> bool:
        """Reads one token. False if it cannot be here."""
        kind = match.lastgroup or ""
        if kind == "mark":
            return self._accept_mark(match[kind], match.end())
        start, end = match.span(kind)
        if kind in {"text", "repr"}:
            if self._expects == _VALUE:
                self._has_texts = True
            return self._add(JsonScalar(start + 1, end - 1, self._text[start + 1 : end - 1]), end)
        written = self._text[start:end]
        if kind == "quote":
            self.has_open_quote = written == '"'
            return False
        if kind == "number" and self._expects == _VALUE:
            return self._add_number(start, end)
        if self._expects == _NAME:
            return self._add(JsonScalar(start, end, written), end)
        return kind == "word" and written in _CONSTANTS and self._add(JsonScalar(start, end, _CONSTANTS[written]), end)

    def _accept_mark(self, mark: str, end: int) -> bool:
        if mark == ":":
            if self._expects != _COLON:
                return False
            self._expects = _VALUE
            return True
        if mark == ",":
            if self._expects != _COMMA:
                return False
            self._expects = _NAME if self._stack[-1].is_object else _VALUE
            return True
        if mark in "{[":
            return self._expects == _VALUE and self._open(JsonContainer(mark == "{"))
        return self._close(is_object=mark == "}", end=end)

    def _open(self, container: JsonContainer) -> bool:
        if len(self._stack) >= MAX_JSON_DEPTH:
            return False
        if container.is_object:
            container.content = {}
        if self._stack:
            self._append(container)
        else:
            self._root = container
        self._stack.append(container)
        self._open_objects += container.is_object
        self._expects = _NAME if container.is_object else _VALUE
        return True

    def _close(self, *, is_object: bool, end: int) -> bool:
        """Ends an object or array: after a value, when it is empty, or after a superfluous comma."""
        container = self._stack[-1] if self._stack else None
        if container is None or container.is_object != is_object or self._expects == _COLON:
            return False
        if len(container.names) > len(container.values):
            return False
        self._stack.pop()
        self._open_objects -= is_object
        self._expects = _COMMA
        self._end_of_values = end
        return True

    def _add(self, scalar: JsonScalar, end: int) -> bool:
        """Adds a name or a value to the innermost object or array."""
        if not self._stack or self._expects not in {_NAME, _VALUE}:
            return False
        if self._expects == _NAME:
            scalar.is_name = True
            self._stack[-1].names.append(scalar)
            self._expects = _COLON
            return True
        self._append(scalar)
        self._expects = _COMMA
        self._end_of_values = end
        self._has_members = self._has_members or self._open_objects > 0
        return True

    def _add_number(self, start: int, end: int) -> bool:
        """Adds a number. False if the value continues after it, as in 010 1234 5678: it is searched as a whole."""
        if not _AFTER_NUMBER.match(self._text, end):
            return False
        written = self._text[start:end]
        number = _NUMBER.fullmatch(written)
        if number is None:
            return self._add(JsonScalar(start, end, written), end)
        return self._add(JsonScalar(start, end, _whole_part(number), is_number=True), end)

    def _append(self, value: JsonScalar | JsonContainer) -> None:
        container = self._stack[-1]
        container.values.append(value)
        if isinstance(container.content, dict):
            container.content[container.names[len(container.values) - 1].content] = value.content
        else:
            container.content.append(value.content)


def _whole_part(number: re.Match[str]) -> int:
    """The whole part of a number, with its exponent applied. Of a number with more than 256 digits: the first 256.

    If the exponent makes it longer than that, the exponent is ignored, so that the digits are searched as written.
    """
    sign, whole, fraction, exponent_sign, exponent = number.groups(default="")
    digits = (whole + fraction).lstrip("0")
    shift = int(f"{exponent_sign}{exponent[:_MAX_EXPONENT_DIGITS] or 0}")
    length = len(digits) - len(fraction) + shift
    if not digits or length <= 0:
        return 0
    digits = digits[:_MAX_DIGITS] if length > _MAX_DIGITS else digits[:length].ljust(length, "0")
    return int(sign + digits)
