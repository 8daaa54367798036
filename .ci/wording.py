"""Checks that comments, messages, documents and names use the standard words of the field.

Each rule is a pattern and what to write instead. A line that needs such a word for another reason ends in
`wording: ok` within a comment.
"""

import re
import subprocess
import sys
from pathlib import Path

CHECKED = {".py", ".md", ".yaml", ".yml", ".toml", ".lua", ".sh", ".html", ".css", ".mjs", ".bicep", ".env"}
# Files that are written by a program, quote other people's texts, or list these very words.
NOT_CHECKED = {".ci/wording.py", "docs/pii-report.md"}
DATA_FOLDERS = ("benchmarks/pii_", "shared-security/src/security_common/pii/data", "requirements/")

_PLACES = "in|at|on|for itself|alone|behind|before|twice|once|here|there|beside|between|open"
_OBJECTS = "what|which|whether|how|where|who|it|them|apart|the|a|its|everybody|people|nothing|this|that"

RULES: dict[str, str] = {
    r"(?<!there )\b(?:is|are|was|were|be) no (?!longer\b|more\b|less\b|later\b|earlier\b)[a-z]": "is not a ...",
    rf"\b(?:stands?|stood) (?:{_PLACES})\b": "is, is located, appears",
    rf"\btells? (?:{_OBJECTS})\b|\btells? \w+ apart\b|\btold apart\b": "reports, returns, distinguishes",
    r"\bmends?\b|\bmended\b|\bmending\b": "fix",
    r"\bwears?\b|\bworn\b": "uses, is protected by",
    r"\b(?:an?|the|each|every|this|that|other|one|more) room\b|\brooms\b|\broom's\b": "package",
    r"\bface of\b|\bpublic face\b": "interface",
    r"\bsaid of\b|\bwhat is said\b": "reported about",
    r"\bat the door\b": "at the edge, before the application",
    r"\bstrangers?\b": "unauthenticated clients",
    r"\bwhoever\b": "each caller, any client that",
    r"\bbattlefield\b": "test set-up",
    r"\bby heart\b|\bat peace\b|\bin vain\b": "plain words",
    r"\bjudges?\b|\bjudged\b|\bjudging\b": "checks, validates, verifies",
    r"\bgoes? wrong with\b|\bcomes? to grief\b": "fails",
    r"\blooks? away\b|\blooked at\b": "checked",
    r"\bputs? right\b": "corrects",
    r"\bwords? an error\b|\bword_error\b": "renders an error",
}
ALLOWED = "wording: ok"
_COMPILED = {re.compile(pattern, re.IGNORECASE): advice for pattern, advice in RULES.items()}


def tracked_files() -> list[Path]:
    """The files of the repository that are checked."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    files: list[Path] = []
    for name in listed.stdout.splitlines():
        if name in NOT_CHECKED or name.startswith(DATA_FOLDERS) or Path(name).suffix not in CHECKED:
            continue
        if Path(name).exists():
            files.append(Path(name))
    return files


def problems_in(path: Path) -> list[str]:
    """One line for each use of a word that has a standard replacement."""
    found: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if ALLOWED in line:
            continue
        for pattern, advice in _COMPILED.items():
            match = pattern.search(line)
            if match:
                found.append(f"{path}:{number}: {match[0]!r}: write {advice!r} instead")
    return found


def main() -> int:
    """Prints the problems below the paths that are given, by default of all files. Exit status 1 if there is one."""
    below = tuple(sys.argv[1:])
    problems = [
        problem for path in tracked_files() if str(path).startswith(below or "") for problem in problems_in(path)
    ]
    print("\n".join(problems))
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
