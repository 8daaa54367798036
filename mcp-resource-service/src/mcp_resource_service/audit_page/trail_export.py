"""The trail as a file, streamed, so that size does not matter."""

from collections.abc import AsyncIterator, Mapping

from security_common.audit import RecordedEvent
from security_common.audit.reading.export import COLUMNS, FORMATS

__all__ = ["MEDIA_TYPES", "write_lines"]

MEDIA_TYPES: Mapping[str, str] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
# Excel reads Korean in a CSV file only behind a byte order mark.
CSV_HEAD = "\ufeff" + ",".join(COLUMNS) + "\r\n"


async def write_lines(form: str, events: AsyncIterator[RecordedEvent]) -> AsyncIterator[str]:
    """A line for each event in one of MEDIA_TYPES; CSV begins with the names of its columns."""
    head, end = (CSV_HEAD, "\r\n") if form == "csv" else ("", "\n")
    yield head
    async for event in events:
        yield FORMATS[form](event) + end
