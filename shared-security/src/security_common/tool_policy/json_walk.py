"""Walks JSON values and protects every leaf of them, JSON in text included. Masking of nested JSON is done here.

    {"note": '{"phone": "010-1234-5678"}'}
      mapping: each key, then each value with its context: its key and its neighbours
        text that is JSON: read as data; only what changes is written again
          leaf: LeafProtector.protect_text("010-1234-5678", "phone") ─▶ "010-****-5678"
      ─▶ {"note": '{"phone": "010-****-5678"}'}

The result is always a new value: it shares no container with the input, so nothing that still refers to the input can
change what was searched. Accepted are None, bool, int, float, str, list and dict, not their subclasses, and numbers
with their spelling (`strict_json.WrittenNumber`).
`data_walk` extends the walk to other values of Python.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from security_common.pii import FieldContext, item_contexts, member_contexts
from security_common.pii.json_fragments import (
    JsonFragment,
    JsonScalar,
    decode_json_string,
    encode_json_string,
    read_json_document,
    scalars_in_context,
)
from security_common.strict_json import WrittenNumber
from security_common.tool_policy.data_size import LIMITS_OF_WALK, SearchTooLong, WalkLimits
from security_common.tool_policy.errors import TooMuchData, UnsupportedValue
from security_common.tool_policy.leaf_protection import LeafProtector

__all__ = ["JSONWalk", "number_duplicates", "text_of_number", "unsupported_value"]

MAX_WHOLE_PART = 10**40

_BEFORE_DOCUMENT = ("{", "[", " ", "\t", "\r", "\n")
"""The characters with which a text begins if it may be a JSON document."""

_type_of: Callable[[object], type[object]] = type  # without type parameters, which a type checker cannot know


class JSONWalk:
    """One walk over some data. Data that is deeper, larger or has more parts than the limits is refused.

    With LIMITS_ON_EVENT_LOOP, too many parts or characters raise SearchTooLong instead, and the data has to be walked
    in another thread.
    `changes` is the number of leaves that were replaced so far.
    """

    __slots__ = ("_characters_left", "_depth_left", "_on_event_loop", "_values_left", "changes", "leaves")

    def __init__(self, leaves: LeafProtector, limits: WalkLimits = LIMITS_OF_WALK) -> None:
        self.leaves = leaves
        self.changes = 0
        self._depth_left, self._values_left, self._characters_left, self._on_event_loop = limits

    def visit(self, value: Any, context: FieldContext | None = None) -> Any:
        """A new value with protected leaves. `context` is the field that contains the value.

        Raises TooMuchData, UnsupportedValue and SearchTooLong.
        """
        self._values_left -= 1
        if self._values_left < 0 or self._depth_left <= 0:
            self._refuse_size()
        value_type = _type_of(value)
        if value_type is str:
            return self.visit_text(value, context)
        if value_type is int or value_type is float:
            return self.visit_number(value, context)
        if value is None or value_type is bool:
            return value
        self._depth_left -= 1
        try:
            return self.visit_parts(value, context)
        finally:
            self._depth_left += 1

    def _require_few_parts(self, parts: int) -> None:
        """Raises SearchTooLong, before any of the parts is searched, if they are too many for the event loop."""
        if self._on_event_loop and parts > self._values_left:
            raise SearchTooLong

    def _refuse_size(self) -> NoReturn:
        if self._on_event_loop and self._values_left < 0:
            raise SearchTooLong
        raise TooMuchData(
            "the data is nested too deeply or has too many parts", hint="send or request less data in one call"
        )

    def visit_parts(self, value: Any, context: FieldContext | None) -> Any:
        """A value that is neither a text, a number nor a constant of JSON. `visit` counts the depth."""
        value_type = _type_of(value)
        if value_type is dict:
            return self.visit_members(value, context)
        if value_type is list:
            return self.visit_items(value, context)
        if value_type is WrittenNumber:
            return self.visit_written_number(value, context)
        raise unsupported_value(value, context)

    def visit_members(self, members: Mapping[Any, Any], context: FieldContext | None) -> dict[Any, Any]:
        """A new dict of the protected members. Keys that are equal once masked get a number, so that none is lost."""
        self._require_few_parts(len(members))
        pairs = list(members.items())
        entries: list[tuple[Any, Any]] = []
        for (key, item), item_context in zip(pairs, member_contexts(pairs, context), strict=True):
            new_key = self.visit_key(key) if type(key) is str else self.visit(key, context)
            entries.append((new_key, self.visit(item, item_context)))
        protected = dict(entries)
        return protected if len(protected) == len(entries) else number_duplicates(entries)

    def visit_items(self, items: Sequence[Any], context: FieldContext | None) -> list[Any]:
        """A new list of the protected items."""
        self._require_few_parts(len(items))
        contexts = item_contexts(items, context)
        return [self.visit(item, item_context) for item, item_context in zip(items, contexts, strict=True)]

    def visit_key(self, key: str) -> str:
        """The key of a mapping, protected."""
        protected = self.leaves.protect_key(key)
        if protected is not key:
            self.changes += 1
        return protected

    def visit_text(self, text: str, context: FieldContext | None) -> str:
        """The text protected: as data if `read_json_document` reads it, and as one leaf otherwise.

        It is the same text if nothing was found.

        If every text is encrypted, JSON is encrypted as one text.
        """
        self._characters_left -= len(text)
        if self._characters_left < 0:
            self._refuse_characters()
        document = None
        if text.startswith(_BEFORE_DOCUMENT) and not self.leaves.encrypt_all:
            document = read_json_document(text)
        if document is not None:
            self._depth_left -= 1
            try:
                return self._visit_document(text, document, context)
            finally:
                self._depth_left += 1
        protected = self.leaves.protect_text(text, context)
        if protected is not text:
            self.changes += 1
        return protected

    def _visit_document(self, text: str, document: JsonFragment, context: FieldContext | None) -> str:
        """A JSON document in a text. Only names and values that change are written again, the rest stays as it is."""
        scalars = sorted(scalars_in_context(document.root, context), key=lambda each: each[0].start)
        parts: list[str] = []
        position = 0
        for scalar, scalar_context in scalars:
            written = text[scalar.start : scalar.end]
            protected = self._visit_json_scalar(scalar, written, scalar_context)
            if protected is not written:
                parts += [text[position : scalar.start], protected]
                position = scalar.end
        return "".join([*parts, text[position:]]) if parts else text

    def _visit_json_scalar(self, scalar: JsonScalar, written: str, context: FieldContext | None) -> str:
        """What replaces `written`, which is a name, text or number as it is written in a document.

        The quotes of a name or text stay in the document. A number that becomes a text is returned with quotes.
        """
        if scalar.is_number:
            protected = self.visit(scalar.content, context)
            return written if protected == scalar.content else json.dumps(protected)
        decoded = decode_json_string(written).text if "\\" in written else written
        protected = self.visit_key(decoded) if scalar.is_name else self.visit(decoded, context)
        return written if protected == decoded else encode_json_string(protected)

    def visit_number(self, value: Any, context: FieldContext | None) -> Any:
        """The number protected, or the same object if nothing was found, so that its spelling is kept."""
        return self.visit_scalar(value, text_of_number(value), context)

    def visit_written_number(self, value: WrittenNumber, context: FieldContext | None) -> Any:
        """A number with its spelling, protected as `visit_number` does. Digits before an exponent are searched too."""
        protected = self.visit_scalar(value, text_of_number(value.number), context)
        digits, exponent, _ = value.text.lower().partition("e")
        if protected is not value or not exponent:
            return protected
        return self.visit_scalar(value, digits, context)

    def visit_scalar(self, value: Any, text: str, context: FieldContext | None) -> Any:
        """A leaf that is not a string, protected. `text` is what is searched."""
        self._characters_left -= len(text)
        if self._characters_left < 0:
            self._refuse_characters()
        protected = self.leaves.protect_scalar(value, text, context)
        if protected is not value:
            self.changes += 1
        return protected

    def count_characters(self, characters: int) -> None:
        """Counts characters before they are searched. Raises TooMuchData and SearchTooLong."""
        self._characters_left -= characters
        if self._characters_left < 0:
            self._refuse_characters()

    def _refuse_characters(self) -> NoReturn:
        if self._on_event_loop:
            raise SearchTooLong
        raise TooMuchData(
            "the data is larger than the limit for the arguments or the result of one call",
            hint="send or request less data in one call",
        )


def unsupported_value(value: Any, context: FieldContext | None) -> UnsupportedValue:
    """The error for a value of a type that cannot be searched."""
    location = f" in {context.name}" if context is not None and context.name else ""
    return UnsupportedValue(
        f"a value of type {type(value).__name__}{location} cannot be searched for personal data",
        hint="use plain data: text, numbers, lists, dicts, dataclasses or pydantic models",
    )


def text_of_number(value: Any) -> str:
    """The whole part of a number, as text.

    "0" if the number is not finite, or is not an int and its whole part has more than 40 digits. What follows the
    decimal point is not searched: no personal number has such digits, and they cause false findings. Raises
    UnsupportedValue for an int with more digits than Python converts.
    """
    try:
        if isinstance(value, int):
            return str(value)
        return str(int(value)) if math.isfinite(value) and abs(value) < MAX_WHOLE_PART else "0"
    except OverflowError:  # a fraction that is too large for a float
        return "0"
    except ValueError:
        if isinstance(value, int):  # Python converts at most 4,300 digits
            raise UnsupportedValue("a number is too long to be searched", hint="send it as text") from None
        return "0"  # a signalling NaN


def number_duplicates(entries: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dict of all entries. Keys that are equal once masked get a number, so that no entry is lost."""
    numbered: dict[Any, Any] = {}
    last_numbers: dict[Any, int] = {}  # counting from one for each key would be quadratic in the equal keys
    for key, item in entries:
        name = key
        while name in numbered:
            last_numbers[key] = last_numbers.get(key, 1) + 1
            name = f"{key} ({last_numbers[key]})"
        numbered[name] = item
    return numbered
