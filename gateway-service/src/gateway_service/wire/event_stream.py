"""Reads an event stream (HTML Standard, section 9.2.6, "Interpreting an event stream")."""

from collections.abc import Iterator

__all__ = ["EventStreamReader"]


class EventStreamReader:
    """Returns the data of each complete event. The types, ids and retry times of events are ignored."""

    def __init__(self) -> None:
        self._unfinished_line = bytearray()
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The events that end in this chunk."""
        # A carriage return in the line before can only be its last byte, so the line is not searched again.
        ends_line = b"\n" in chunk or b"\r" in chunk or self._unfinished_line.endswith(b"\r")
        self._unfinished_line += chunk
        if not ends_line:
            return
        received = bytes(self._unfinished_line)
        # A carriage return at the end may be the first half of a line break.
        complete = received.removesuffix(b"\r")
        lines = complete.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._unfinished_line = bytearray(lines.pop() + received[len(complete) :])
        for line in lines:
            if line:
                self._read_line(line)
            elif self._data:
                event = b"\n".join(self._data)
                self._data = []
                if event:  # MCP 2025-11-25, transports: a server may begin with an event that only has an id
                    yield event

    def _read_line(self, line: bytes) -> None:
        name, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
