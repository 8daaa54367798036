"""`security-common pii`: finds or masks personal data in a file or a pipe."""

import json
import os
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from typing import Annotated, TextIO, cast

from cyclopts import App, Parameter

from security_common.cli.progress import Progress
from security_common.errors import SecurityError
from security_common.pii import Finding, PIIDetector, get_pii_detector
from security_common.pii.text_blocks import blocks_with_header

__all__ = ["app"]

_CHUNK_CHARS = 2**16

app = App(
    version_flags=[],
    name="pii",
    help="""Find or mask personal data in a file of any size, or in a pipe with `-`.

Exit status 0: success, and `scan` found nothing. 1: `scan` found something. 2: the file cannot be read, or is not valid
UTF-8. 141: the reader of the output closed the pipe (`| head`).
""",
)

Source = Annotated[str, Parameter(allow_leading_hyphen=True, help="a UTF-8 text file, or - for standard input")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="print one JSON object per line")]


class UnreadableFile(SecurityError):
    """The file does not exist, cannot be read, or is not UTF-8 text."""

    error = "unreadable_file"


@app.command
def scan(source: Source, *, as_json: AsJson = False) -> int:
    """List the findings, one per line: line and column, kind, score and reason. Never the value.

    Example: git diff --cached | security-common pii scan -
    """
    detector = get_pii_detector()
    progress = Progress("scanning")
    found_any = False
    line, column = 1, 1
    for header, block in _read_blocks(source, detector, progress):
        position = len(header)
        text = header + block
        for finding in detector.scan_text(text):
            if finding.start < len(header):
                continue
            line, column = _advance(line, column, text[position : finding.start])
            position = finding.start
            found_any = True
            progress.clear()
            _print_finding(finding, line, column, as_json=as_json)
        line, column = _advance(line, column, text[position:])
    return 1 if found_any else 0


@app.command
def mask(source: Source) -> None:
    """Write the text with every finding masked.

    Example: kubectl logs my-pod | security-common pii mask - > shareable.log
    """
    detector = get_pii_detector()
    progress = Progress("masking")
    for header, block in _read_blocks(source, detector, progress):
        progress.clear()
        sys.stdout.write(detector.mask_text(header + block).removeprefix(header))
        sys.stdout.flush()


def _print_finding(finding: Finding, line: int, column: int, *, as_json: bool) -> None:
    if not as_json:
        print(f"{line}:{column}\t{finding.kind}\t{finding.score:.2f}\t{finding.why}")
        return
    fields = {
        "line": line,
        "column": column,
        "length": finding.end - finding.start,
        "kind": finding.kind,
        "score": finding.score,
        "why": finding.why,
    }
    print(json.dumps(fields))


def _read_blocks(source: str, detector: PIIDetector, progress: Progress) -> Iterator[tuple[str, str]]:
    """The blocks of the text, each with the header line of its table (see `blocks_with_header`)."""
    cast("TextIOWrapper", sys.stdout).reconfigure(encoding="utf-8")
    file_or_descriptor = 0 if source == "-" else source
    try:
        with open(file_or_descriptor, encoding="utf-8", newline="") as file:  # noqa: PTH123 - a Path cannot be standard input
            progress.total = os.fstat(file.fileno()).st_size
            yield from blocks_with_header(_read_chunks(file, progress), detector)
    except OSError as error:
        raise UnreadableFile(
            f"{source} cannot be read: {error.strerror}", hint="name a readable text file, or - for standard input"
        ) from error
    except UnicodeDecodeError:
        raise UnreadableFile(
            f"{source} is not valid UTF-8 after byte {progress.done}",
            hint="convert it to UTF-8 first, for example: iconv -f cp949 -t utf-8 FILE | security-common pii scan -",
        ) from None  # the cause would quote the text
    finally:
        progress.clear()


def _read_chunks(file: TextIO, progress: Progress) -> Iterator[str]:
    while True:
        chunk = file.read(_CHUNK_CHARS)
        if not chunk:
            return
        yield chunk
        progress.advance(len(chunk.encode()))


def _advance(line: int, column: int, text: str) -> tuple[int, int]:
    """The line and column after `text`, both counted from 1."""
    line_ends = text.count("\n")
    if line_ends == 0:
        return line, column + len(text)
    return line + line_ends, len(text) - text.rfind("\n")
