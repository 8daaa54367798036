"""`security-common pii`: what the detector sees in a file or a pipe."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

from cyclopts import App, Parameter

from security_common.errors import SecurityError
from security_common.pii import get_pii_detector

__all__ = ["app"]

app = App(name="pii", help="Find or mask personal data in a file, or in a pipe with `-`.")

Source = Annotated[str, Parameter(allow_leading_hyphen=True)]


class UnreadableFile(SecurityError):
    """The file is missing, not readable, or not UTF-8 text."""

    error = "unreadable_file"


@contextmanager
def _open(source: str) -> Generator[TextIO]:
    if source == "-":
        yield sys.stdin
        return
    try:
        with Path(source).open(encoding="utf-8", newline="") as file:
            yield file
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{source} cannot be read", hint="give the path of a UTF-8 text file, or -") from error


@app.command
def scan(source: Source) -> None:
    """List what is found, a line each: line and column, kind, score and reason. Never the value."""
    detector = get_pii_detector()
    with _open(source) as file:
        for number, line in enumerate(file, start=1):
            for found in detector.scan_text(line):
                print(f"{number}:{found.start + 1}\t{found.kind}\t{found.score:.2f}\t{found.why}")


@app.command
def mask(source: Source) -> None:
    """Write the text with everything found masked."""
    detector = get_pii_detector()
    with _open(source) as file:
        for line in file:
            sys.stdout.write(detector.mask_text(line))
