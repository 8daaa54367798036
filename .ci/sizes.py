"""Holds the product to its sizes: 16,000 lines in all, 2,000 a room, 400 a file; no junk drawers.

A file is measured as an editor shows it. Rooms and the product are measured by what there is to read: blank lines, of
which the formatter decides, do not count.
"""

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
    for path in map(Path, tracked.stdout.split()):
        if not path.exists():
            continue
        text = path.read_text(encoding="utf-8").splitlines()
        lines, written = len(text), sum(bool(line.strip()) for line in text)
        if lines > FILE_LINES:
            found.append(f"{path}: {lines} lines, {FILE_LINES} allowed")
        if path.stem in JUNK_DRAWERS or path.parent.name in JUNK_DRAWERS:
            found.append(f"{path}: say what it is about in its name")
        if "src" in path.parts and path.parts[0] != "e2e-tests":
            rooms["/".join(path.parts[2:4]) if len(path.parts) > 4 else f"{path.parts[2]}"] += written
    found += [f"{room}: {lines} lines, {ROOM_LINES} allowed" for room, lines in rooms.items() if lines > ROOM_LINES]
    if rooms.total() > PRODUCT_LINES:
        found.append(f"the product: {rooms.total()} lines, {PRODUCT_LINES} allowed")
    print(f"sizes: {rooms.total()} lines of {PRODUCT_LINES}, in {len(rooms)} rooms")
    return found


if __name__ == "__main__":
    problems = findings()
    print("\n".join(problems))
    sys.exit(bool(problems))
