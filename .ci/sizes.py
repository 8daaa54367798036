"""Checks the size of the Python files: 400 lines at most, and no file or folder that is a collection of leftovers."""

import subprocess
import sys
from pathlib import Path

FILE_LINES = 400
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


def findings() -> list[str]:
    """One sentence for each rule that a file breaks."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        check=True,
        capture_output=True,
        text=True,
    )
    found: list[str] = []
    for path in map(Path, tracked.stdout.split()):
        if not path.exists():  # deleted, and not yet committed
            continue
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > FILE_LINES:
            found.append(f"{path}: {lines} lines, at most {FILE_LINES} are allowed")
        if path.stem in VAGUE_NAMES or path.parent.name in VAGUE_NAMES:
            found.append(f"{path}: the name does not say what the file contains")
    return found


if __name__ == "__main__":
    problems = findings()
    print("\n".join(problems))
    sys.exit(bool(problems))
