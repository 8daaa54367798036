"""Pairs of a name and a value in a text: YAML, environment files, log lines with `key=value`, elements of XML.

Pairs that follow each other are one record, so that the neighbours of a value count as they do in an object: `name`
beside `price` is the name of a product.
"""

import re
from collections.abc import Iterator

from security_common.pii.contexts_in_data import member_contexts
from security_common.pii.field_context import NO_CONTEXT, FieldContext, field_context
from security_common.pii.field_names import meaning_of_name
from security_common.pii.labels import BANK, OTHER
from security_common.pii.table_rows import TextCell
from security_common.pii.text_slices import find_matches

__all__ = ["find_pair_values"]

_PAIR = re.compile(
    # the name, not in the middle of a word
    r"(?<![\w.\-])['\"]?(?P<name>[^\W\d][\w.\-]{0,62}(?:[ ][0-9]{1,2}(?=:))?)['\"]?"
    # a note: Name (Last, First)
    r"(?:[ ]?\((?P<note>[A-Za-z가-힣 ,./]{1,24})\)(?=:))?"
    r"(?:"
    # key: [a, b]
    r"[ \t]?[:=][ \t]?\[(?P<g>[^\[\]{}\n]{1,500})\]"
    # key=value, key="a value"
    r"|[ \t]?=[ \t]?(?:\"(?P<a>[^\"\n]{0,500})\"|'(?P<b>[^'\n]{0,500})'|(?P<c>[^\s,;&|\"'][^\s,;&|]{0,499})?)"
    # key: value, up to the next separator
    r"|[ \t]?:(?=\s)[ \t]{0,8}"
    r"(?:\"(?P<d>[^\"\n]{0,500})\"|'(?P<e>[^'\n]{0,500})'"
    # not `parsed: id=7 name=…`, which are pairs of their own
    r"|(?P<f>(?![\w.\-]{1,40}=)[^\s,;|/](?:[^\n,;|/ ]|[ ](?![\w.\-]{1,40}=)|/(?! )){0,499})?)"
    r")"
)
_GROUPS_OF_NAME = frozenset({"name", "note"})
# , 최에스더, 유한나
_MORE_NAMES = re.compile(r"(?:,[ ]?[^\W\d_][^,:=\n|;/\"'()\[\]{}<>0-9]{1,39}){1,20}(?=[ ]?(?:\n|/|\||;|$))")
_SIGN = re.compile(r"=|:(?=[\s\[])")  # as in _PAIR
# A name before a sign, both read from right to left: only the few characters before a sign have to be read.
_REVERSED_NAME = re.compile(
    r"[ \t]?(?:\)[A-Za-z가-힣 ,./]{1,24}\([ ]?)?['\"]?(?:[0-9]{1,2}[ ])?([\w.\-]{0,62}[^\W\d])(?![\w.\-])"
)
_MAX_CHARS_BEFORE_SIGN = 94
# <name>value</name>, with or without attributes
_ELEMENT = re.compile(r"<(?P<name>[^\W\d][\w.\-:]{0,62})(?:\s[^<>]{0,200})?>(?P<text>[^<>\n]{1,500})</")
_BETWEEN_PAIRS = re.compile(r"['\")\s]*[,;|/&]?[ \t]*|</[\w.\-:]{1,63}>\s*")
_MAX_MATCH_LENGTH = 800
"""_PAIR and _ELEMENT read fewer characters from the beginning of a match."""
_MAX_CHARS_BETWEEN = 80
_MAX_PAIRS = 64
_NOTE_ABOUT_NAME = re.compile(r"(?i:last|first|passport|한글|영문|여권)")
_NAME_OF_PERSON = "full name"
"""What `Name (Last, First)` says."""
_MAX_SPACES_IN_NAMES = 8
_CHARS_OF_SENTENCES = re.compile(
    r"[0-9?!~…]|[가-힣]\.|(?:[해어아예네세]요|니다|까요?|줘|봐|었어|았어|이고|할게|대요|래요)(?:$|[ ,.])"
)
_KINDS_OF_NO_PERSON = frozenset({"", OTHER, BANK})
_VAGUE_NAMES = frozenset({"code", "코드", "id", "key", "ref"})
"""Names that say too little in a sentence: `통관 code: P123456789012`, `national id: S1234567D`."""


class _Pair:
    """A name and its value at `text[start:end]`."""

    __slots__ = ("_text", "end", "indent", "name", "start", "value")

    def __init__(self, match: re.Match[str]) -> None:
        group = match.lastgroup or "name"
        has_value = group not in _GROUPS_OF_NAME
        note = match.groupdict().get("note")
        names_person = note is not None and _NOTE_ABOUT_NAME.search(note) is not None
        self.name = _NAME_OF_PERSON if names_person else match.group("name")
        self.start, self.end = match.span(group) if has_value else (match.end(), match.end())
        self.value = match.group(group) if has_value else ""
        self.indent = _indent_of(match.string, match.start())
        self._text = match.string

    @property
    def end_of_names(self) -> int:
        """The end of the value with the items behind it, up to the end of the line, if they look like names."""
        items = _MORE_NAMES.match(self._text, self.end)
        return self.end if items is None else items.end()


def _indent_of(text: str, start: int) -> int:
    """How far a name is indented, or -1 if it is not the first of its line. The dash of a list item is indentation."""
    search_from = max(0, start - _MAX_CHARS_BETWEEN)
    line_start = text.rfind("\n", search_from, start) + 1
    if not line_start and search_from:
        return -1
    before = text[line_start:start]
    return -1 if before.strip(" \t-") else len(before)


def find_pair_values(text: str, *, only_personal: bool = False) -> Iterator[TextCell]:
    """The values of all pairs whose context says something about them, in order.

    With `only_personal`, texts without a name for personal data are left out at once: a name for other values can only
    remove findings.
    """
    is_markup = "</" in text
    if not is_markup and not any(_has_meaning(name, only_personal=only_personal) for name in _names_before_signs(text)):
        return
    record: list[_Pair] = []
    parent = NO_CONTEXT
    for match in find_matches(_ELEMENT if is_markup else _PAIR, text, _MAX_MATCH_LENGTH):
        pair = _Pair(match)
        if record and not _continues(text, record, pair, match.start()):
            yield from _values_of(record, parent)
            parent = _parent_of(record[-1], pair, parent)
            record = []
        record.append(pair)
    yield from _values_of(record, parent)


def _names_before_signs(text: str) -> Iterator[str]:
    """Every name in front of a sign of a pair, whether or not a value follows that `_PAIR` reads."""
    for sign in _SIGN.finditer(text):
        end = sign.start()
        name = _REVERSED_NAME.match(text[max(0, end - _MAX_CHARS_BEFORE_SIGN) : end][::-1])
        if name is not None:
            yield name.group(1)[::-1]


def _has_meaning(name: str, *, only_personal: bool) -> bool:
    """Whether the name of a pair can say something about its value or that of a pair beside it."""
    meaning = meaning_of_name(name)
    if meaning.may_name_thing or meaning.names_login or meaning.is_unclear or meaning.is_ambiguous_role:
        return True
    return meaning.kind not in _KINDS_OF_NO_PERSON if only_personal else meaning.describes_value


def _continues(text: str, record: list[_Pair], pair: _Pair, start: int) -> bool:
    """Whether a pair belongs to the same record as the pairs before it."""
    last = record[-1]
    if len(record) >= _MAX_PAIRS or start - last.end > _MAX_CHARS_BETWEEN:
        return False
    between = text[last.end : start]
    if _BETWEEN_PAIRS.fullmatch(between) is None or between.count("\n") > 1:
        return False
    return "\n" not in between or pair.indent == record[0].indent or record[0].indent < 0


def _parent_of(last: _Pair, pair: _Pair, parent: FieldContext) -> FieldContext:
    """The context of the record that begins with `pair`: the name before it if that has no value of its own."""
    if pair.indent > last.indent >= 0:
        return field_context(last.name) if not last.value else NO_CONTEXT
    return parent if pair.indent == last.indent else NO_CONTEXT


def _values_of(record: list[_Pair], parent: FieldContext) -> Iterator[TextCell]:
    contexts = member_contexts([(pair.name, pair.value) for pair in record], parent)
    for pair, context in zip(record, contexts, strict=True):
        if pair.end > pair.start and context.affects_search and pair.name.lower() not in _VAGUE_NAMES:
            yield _cell_of(pair, context)


def _cell_of(pair: _Pair, context: FieldContext) -> TextCell:
    if not context.names_person:
        return TextCell(pair.start, pair.end, context, is_bounded=False)
    if _is_sentence(pair.value):
        without_record = field_context(pair.name)
        return TextCell(pair.start, pair.end, without_record._replace(names_person=False), is_bounded=False)
    return TextCell(pair.start, pair.end_of_names, context, is_bounded=False)


def _is_sentence(value: str) -> bool:
    """Whether a value behind a role is what a person says in a chat, and not the name of the person."""
    without_note = value.partition("(")[0]
    return value.count(" ") > _MAX_SPACES_IN_NAMES or _CHARS_OF_SENTENCES.search(without_note) is not None
