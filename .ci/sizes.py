"""Holds the product to its sizes: 16,000 lines of code in all, 2,000 a room; 400 lines a file; no junk drawers.

A file is measured as an editor shows it. Rooms and the product are measured in lines of code as cloc counts them: blank
lines, comments and docstrings are not code, so nobody saves on explaining.
"""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

PRODUCT_LINES, ROOM_LINES, FILE_LINES = 16_000, 2_000, 400
JUNK_DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc"}


def findings() -> list[str]:
    """One sentence for each size that is exceeded."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        check=True,
        capture_output=True,
        text=True,
    )
    rooms: Counter[str] = Counter()
    found: list[str] = []
    shown = 0
    for path in map(Path, tracked.stdout.split()):
        if not path.exists():
            continue
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        if lines > FILE_LINES:
            found.append(f"{path}: {lines} lines, {FILE_LINES} allowed")
        if path.stem in JUNK_DRAWERS or path.parent.name in JUNK_DRAWERS:
            found.append(f"{path}: say what it is about in its name")
        if "src" in path.parts and path.parts[0] != "e2e-tests":
            shown += lines
            rooms["/".join(path.parts[2:4]) if len(path.parts) > 4 else path.parts[2]] += code_lines(text)
    found += [f"{room}: {lines} lines, {ROOM_LINES} allowed" for room, lines in rooms.items() if lines > ROOM_LINES]
    if rooms.total() > PRODUCT_LINES:
        found.append(f"the product: {rooms.total()} lines, {PRODUCT_LINES} allowed")
    print(
        f"sizes: {rooms.total()} lines of code of {PRODUCT_LINES}, in {len(rooms)} rooms ({shown} lines with the rest)"
    )
    return found


def code_lines(text: str) -> int:
    """How many lines are neither blank, nor a comment, nor part of a docstring."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            first = node.body[0]
            docstrings.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and number not in docstrings
        for number, line in enumerate(text.splitlines(), start=1)
    )


if __name__ == "__main__":
    problems = findings()
    print("\n".join(problems))
    sys.exit(bool(problems))
