"""Searches a text with structure: every value of a JSON fragment, table or `key: value` pair in its own context.

    text ── json_fragments ──▶ values and names: searched one by one, as in data that is not text
      │
      └─ the text around ── delimited_tables, key_value_pairs ──▶ cells with a context
                         └─ the text as a whole ──▶ findings, except where the context of a cell decides otherwise

All places are those in the text as it is written. A finding in a JSON number covers the whole number, and its reason
begins with `json-number`: its mask is 0, so that the document stays valid.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter

from security_common.pii.column_votes import with_columns_of_persons
from security_common.pii.delimited_tables import find_table_cells
from security_common.pii.field_context import FieldContext
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.json_fragments import JsonScalar, decode_json_string, find_json_fragments, scalars_in_context
from security_common.pii.key_value_pairs import find_pair_values
from security_common.pii.labelled_segments import SEPARATORS_OF_SEGMENTS, find_segment_values
from security_common.pii.labels import BANK, OTHER
from security_common.pii.masking import JSON_NUMBER
from security_common.pii.sql_statements import find_inserted_values
from security_common.pii.table_rows import TextCell

__all__ = ["StructuredSearch", "moved_by"]

MAX_NESTED_TEXTS = 8
"""How many texts with structure may be inside each other, such as JSON in a string of JSON."""
_MIN_CHARS = 2
_WRITTEN_AS_PHONE_NUMBER = frozenset({"area-code", "country-code"})
_KINDS_OF_NO_PERSON = frozenset({OTHER, BANK})
_MAX_REMEMBERED, _MAX_REMEMBERED_LENGTH = 4096, 64

_start_of = attrgetter("start")

_Search = Callable[[str, FieldContext | None], list[Finding]]


class StructuredSearch:
    """One search. `search_value` finds personal data in a value or a text without structure.

    `clean_names` has names of members in which nothing is found. More are added, up to a limit.
    """

    def __init__(self, search_value: _Search, clean_names: set[str]) -> None:
        self._search_value = search_value
        self._clean_names = clean_names
        self._clean: set[tuple[str, FieldContext | None]] = set()

    def find(self, text: str, context: FieldContext | None = None, depth: int = 0) -> list[Finding]:
        """The findings in a text, in order of their place and without overlaps."""
        if depth >= MAX_NESTED_TEXTS or (context is not None and context.is_part):
            return self._search_value(text, context)
        if not ("{" in text or "[" in text):
            return self._find_in_lines(text, context)
        found: list[Finding] = []
        position = 0
        for fragment in find_json_fragments(text):
            found += self._find_between(text, position, fragment.start, context)
            fragment_findings: list[Finding] = []
            for scalar, scalar_context in scalars_in_context(fragment.root, context):
                fragment_findings += self._find_in_scalar(text, scalar, scalar_context, depth)
            found += sorted(fragment_findings, key=_start_of)
            position = fragment.end
        if not position:
            return self._find_in_lines(text, context)
        return found + self._find_between(text, position, len(text), context)

    def _find_between(self, text: str, start: int, end: int, context: FieldContext | None) -> list[Finding]:
        if end - start < _MIN_CHARS:
            return []
        return [moved_by(start, each) for each in self._find_in_lines(text[start:end], context)]

    def _find_in_scalar(
        self, text: str, scalar: JsonScalar, context: FieldContext | None, depth: int
    ) -> Sequence[Finding]:
        written = str(scalar.content) if scalar.is_number else text[scalar.start : scalar.end]
        if scalar.is_name and written in self._clean_names:
            return ()
        if len(written) < _MIN_CHARS and not (context is not None and context.is_part):
            return ()
        if (written, context) in self._clean:
            return ()
        if "\\" in written:
            decoded = decode_json_string(written)
            found = [
                each._replace(start=start, end=end)
                for each in self.find(decoded.text, context, depth + 1)
                for start, end in [decoded.original_span(each.start, each.end)]
            ]
        else:
            found = self.find(written, context, depth + 1)
        if not found:
            self._remember_clean(scalar, written, context)
            return ()
        if scalar.is_number:
            best = max(found, key=lambda each: each.score)
            return [Finding(best.kind, scalar.start, scalar.end, best.score, f"{JSON_NUMBER}-{best.why}")]
        return [moved_by(scalar.start, each) for each in found]

    def _remember_clean(self, scalar: JsonScalar, written: str, context: FieldContext | None) -> None:
        """Names repeat in every document, short values in every record of a document."""
        if len(written) > _MAX_REMEMBERED_LENGTH:
            return
        if scalar.is_name:
            # An identifier has no structure, so it is clean at every depth.
            if written.isidentifier() and len(self._clean_names) < _MAX_REMEMBERED:
                self._clean_names.add(written)
        elif len(self._clean) < _MAX_REMEMBERED:
            self._clean.add((written, context))

    def _find_in_lines(self, text: str, context: FieldContext | None) -> list[Finding]:
        """The findings in a text without JSON. Where a cell has a context, the context decides."""
        found = self._search_value(text, context)
        cells = _cells_of(text, only_personal=not found)
        if not cells:
            return found
        return self._decide_by_context(text, found, with_columns_of_persons(text, cells, found))

    def _decide_by_context(self, text: str, found: Sequence[Finding], cells: Sequence[TextCell]) -> list[Finding]:
        """`found` with the findings in cells replaced by those of the cells. Both are in order."""
        decided: list[Finding] = []
        index = 0
        for cell in cells:
            while index < len(found) and found[index].end <= cell.start:
                decided.append(found[index])
                index += 1
            first = index
            while index < len(found) and found[index].start < cell.end:
                index += 1
            overlapping = found[first:index]
            inside = [each for each in overlapping if cell.start <= each.start and each.end <= cell.end]
            is_crossed = len(inside) < len(overlapping)
            if is_crossed and not cell.is_bounded:
                decided += overlapping
                continue
            decided += self._find_in_cell(text, cell, inside, is_crossed=is_crossed)
            if is_crossed and overlapping[-1].end > cell.end:
                index -= 1  # it crosses the next cell too
        end_of_cells = cells[-1].end if cells[-1].is_bounded else 0
        return decided + [each for each in found[index:] if each.start >= end_of_cells]

    def _find_in_cell(
        self, text: str, cell: TextCell, found: Sequence[Finding], *, is_crossed: bool
    ) -> Sequence[Finding]:
        """The findings of one cell. `found` are those without its context; a finding that crosses it does not count."""
        context = cell.context
        if not cell.is_bounded and (
            context.kind == PIIKind.SECRET or any(each.kind == PIIKind.SECRET for each in found)
        ):
            return found  # the rules for secrets read the name in front of the value themselves
        is_confirmed = any(each.kind == context.kind for each in found) and not (
            context.is_part or context.names_person
        )
        is_code = context.kind == PIIKind.SECRET and not cell.is_bounded  # `token = await …`: the rule reads such lines
        if is_confirmed or is_code or not (context.affects_search or is_crossed):
            return found
        value_findings = self._search_value(text[cell.start : cell.end], context)
        if value_findings or context.names_thing or context.is_unclear:
            return [moved_by(cell.start, each) for each in value_findings]
        if context.kind in _KINDS_OF_NO_PERSON:
            return [each for each in found if _counts_under_any_name(each)]
        return found


def _counts_under_any_name(finding: Finding) -> bool:
    """Whether a finding counts under a name for values that belong to no person.

    고객번호 is also used for telephone numbers, and `admin-key` for secrets.
    """
    return finding.kind is PIIKind.SECRET or finding.why in _WRITTEN_AS_PHONE_NUMBER


def _cells_of(text: str, *, only_personal: bool) -> list[TextCell]:
    """The cells of tables, and the values of pairs outside of the tables, in order."""
    is_insert = "'" in text and ("VALUES" in text or "values" in text)
    cells = list(find_inserted_values(text)) if is_insert else []
    if not cells and "\n" in text:
        cells = list(find_table_cells(text))
    has_pairs = "=" in text or ":" in text or "</" in text
    pairs = list(find_pair_values(text, only_personal=only_personal)) if has_pairs else []
    if not cells:
        has_segments = any(map(text.__contains__, SEPARATORS_OF_SEGMENTS))
        return _with_segments(pairs, list(find_segment_values(text))) if has_segments else pairs
    first, last = cells[0].start, cells[-1].end
    before, after = [each for each in pairs if each.end < first], [each for each in pairs if each.start > last]
    return before + cells + after


def _with_segments(pairs: list[TextCell], segments: list[TextCell]) -> list[TextCell]:
    """All cells in order. A pair that overlaps a segment is left out, because it has a part or more of its value."""
    if not segments:
        return pairs
    kept: list[TextCell] = []
    index = 0
    for pair in pairs:
        while index < len(segments) and segments[index].end <= pair.start:
            index += 1
        if index == len(segments) or pair.end <= segments[index].start:
            kept.append(pair)
    return sorted([*kept, *segments], key=lambda cell: cell.start)


def moved_by(distance: int, finding: Finding) -> Finding:
    """The same finding at another place."""
    kind, start, end, score, why = finding
    return Finding(kind, start + distance, end + distance, score, why)
