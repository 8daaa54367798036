"""Counts what Python runs for one search, to test that work grows linearly with the text."""

import sys

from security_common.pii import PIIDetector

__all__ = ["count_python_steps"]


def count_python_steps(text: str) -> int:
    """The number of lines and calls that Python runs. Work that is not linear shows in it."""
    count = 0

    def trace(frame: object, event: str, argument: object) -> object:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        PIIDetector().scan_text(text)
    finally:
        sys.settrace(before)
    return count
