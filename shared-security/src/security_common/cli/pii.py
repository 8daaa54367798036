"""`security-common pii`: what the detector sees in a file or a pipe."""

import json
import os
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from typing import Annotated, TextIO, cast

from cyclopts import App, Parameter

from security_common.cli.progress import Progress
from security_common.errors import SecurityError
from security_common.pii import PIIDetector, get_pii_detector
from security_common.pii.field_names import header_of
from security_common.pii.text_blocks import in_parts

__all__ = ["app"]

CHUNK = 2**16

app = App(
    version_flags=[],
    name="pii",
    help="""Find or mask personal data in a file of any size, or in a pipe with `-`.

Exit status 0: done, and `scan` found nothing. 1: `scan` found something. 2: the file cannot be read, or is no UTF-8
text. 141: the reader of the output went away (`| head`).
""",
)

Source = Annotated[str, Parameter(allow_leading_hyphen=True, help="a UTF-8 text file, or - for standard input")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="print a JSON object a line")]


class UnreadableFile(SecurityError):
    """The file is missing, not readable, or not UTF-8 text."""

    error = "unreadable_file"


@app.command
def scan(source: Source, *, as_json: AsJson = False) -> int:
    """List what is found, a line each: line and column, kind, score and reason. Never the value.

    Example: git diff --cached | security-common pii scan -
    """
    found_any, line, column = 0, 1, 1
    detector, progress = get_pii_detector(), Progress("scanning")
    for header, part in _parts(source, detector, progress):
        position = len(header)
        for found in detector.scan_text(header + part):
            line, column = _advanced(line, column, part[position - len(header) : found.start - len(header)])
            position, found_any = found.start, 1
            progress.clear()
            if as_json:
                place = {"line": line, "column": column, "length": found.end - found.start}
                print(json.dumps(place | {"kind": found.kind, "score": found.score, "why": found.why}))
            else:
                print(f"{line}:{column}\t{found.kind}\t{found.score:.2f}\t{found.why}")
        line, column = _advanced(line, column, part[position - len(header) :])
    return found_any


@app.command
def mask(source: Source) -> None:
    """Write the text with everything found masked.

    Example: kubectl logs my-pod | security-common pii mask - > shareable.log
    """
    detector, progress = get_pii_detector(), Progress("masking")
    for header, part in _parts(source, detector, progress):
        progress.clear()
        sys.stdout.write(detector.mask_text(header + part).removeprefix(header))
        sys.stdout.flush()


def _parts(source: str, detector: PIIDetector, progress: Progress) -> Iterator[tuple[str, str]]:
    """The parts, each with the line of the file's start that names the columns, if one does and stands not in it."""
    cast("TextIOWrapper", sys.stdout).reconfigure(encoding="utf-8")
    opened = 0 if source == "-" else source
    try:
        with open(opened, encoding="utf-8", newline="") as file:  # noqa: PTH123 - a Path cannot be standard input
            progress.total = os.fstat(file.fileno()).st_size
            header = ""
            for index, part in enumerate(in_parts(_chunks(file, progress), detector.scan_text)):
                yield header, part
                header = header if index else header_of(part)
    except OSError as error:
        raise UnreadableFile(f"{source} cannot be read: {error.strerror}", hint="give a text file, or -") from error
    except UnicodeDecodeError:
        raise UnreadableFile(
            f"{source} is no UTF-8 text beyond byte {progress.done}",
            hint="convert it first, for example: iconv -f cp949 -t utf-8 FILE | security-common pii scan -",
        ) from None  # the cause would quote the text
    finally:
        progress.clear()


def _chunks(file: TextIO, progress: Progress) -> Iterator[str]:
    while chunk := file.read(CHUNK):
        yield chunk
        progress.advance(len(chunk.encode()))


def _advanced(line: int, column: int, text: str) -> tuple[int, int]:
    """The place after `text`, both counted from 1."""
    lines = text.count("\n")
    return line + lines, len(text) - text.rfind("\n") if lines else column + len(text)
