"""Reads the fenced code blocks of a Markdown page. The documentation tests run them."""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Fence", "read_fences"]

_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fence:
    """One block: its language (`sh`), its tags, its text and the line where it begins.

    The tags are `run`, `docker`, `external` (how it is tested), `background`, `output`, and `file:NAME`.
    """

    language: str
    tags: frozenset[str]
    text: str
    line: int

    @property
    def file_name(self) -> str | None:
        """The file in which the page asks the reader to save the block, from its `file:` tag."""
        return next((tag.removeprefix("file:") for tag in self.tags if tag.startswith("file:")), None)


def read_fences(page: Path) -> tuple[Fence, ...]:
    """Every fenced block of the page, in order."""
    content = page.read_text(encoding="utf-8")
    fences: list[Fence] = []
    for match in _FENCE.finditer(content):
        language, *tags = match["info"].split() or [""]
        fences.append(Fence(language, frozenset(tags), match["text"], content.count("\n", 0, match.start()) + 1))
    return tuple(fences)
