"""Values behind labels without a colon, in lines whose parts are separated by a slash or a bar.

    차량등록: 동호 106-0903 / 차종 승용 / 세대주 평강우        세대주 is the label of 평강우

The parts of a line are one record, as the members of an object are.
"""

import re
from collections.abc import Iterator

from security_common.pii.contexts_in_data import member_contexts
from security_common.pii.field_names import kind_of_listed_name
from security_common.pii.table_rows import KINDS_OF_NO_PERSON, TextCell

__all__ = ["SEPARATORS_OF_SEGMENTS", "find_segment_values"]

_MAX_LINE_LENGTH = 1000
_MIN_SEPARATORS = 2
SEPARATORS_OF_SEGMENTS = (" / ", " | ")
# 동호 106-0903, also behind a heading: 차량등록: 동호 106-0903
_SEGMENT = re.compile(r"(?:[^:/|]{1,20}:[ ])?[ ]*(?P<label>[^\W\d_]\w{1,15})[ ]{1,3}(?P<value>[^ :=/|][^:=/|]{1,80})")


def find_segment_values(text: str) -> Iterator[TextCell]:
    """The values of the segments whose labels say what they are, in order."""
    start = 0
    for line in text.split("\n"):
        separator = max(SEPARATORS_OF_SEGMENTS, key=line.count)
        if len(line) <= _MAX_LINE_LENGTH and line.count(separator) >= _MIN_SEPARATORS:
            yield from _find_in_line(line, start, separator)
        start += len(line) + 1


def _find_in_line(line: str, start: int, separator: str) -> Iterator[TextCell]:
    found: list[tuple[str, str, int]] = []
    for segment in line.split(separator):
        match = _SEGMENT.fullmatch(segment.rstrip(" /|"))
        if match is not None and kind_of_listed_name(match["label"]) not in KINDS_OF_NO_PERSON:
            found.append((match["label"], match["value"].rstrip(), start + match.start("value")))
        start += len(segment) + len(separator)
    contexts = member_contexts([(label, value) for label, value, _ in found])
    for (_, value, place), context in zip(found, contexts, strict=True):
        if context.affects_search:
            yield TextCell(place, place + len(value), context, is_bounded=False)
