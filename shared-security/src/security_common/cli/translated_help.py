"""`--help` in Korean: the texts of the commands, paragraph by paragraph, and the words that cyclopts adds.

cyclopts prints with Rich, which is one of its dependencies.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

from cyclopts.help import DefaultFormatter, HelpPanel, InlineText
from rich.console import Console, ConsoleOptions
from rich.markdown import Markdown

from security_common.messages import translate_message

__all__ = ["TranslatedHelp"]

_WORDS_OF_CYCLOPTS = {
    "Commands": "명령",
    "Parameters": "매개변수",
    "Arguments": "인수",
    "Display this message and exit.": "이 도움말을 표시합니다.",
    "Display application version.": "버전을 표시합니다.",
}


class TranslatedHelp:
    """Prints help as cyclopts does, with the translations of these packages. Other texts stay English."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages
        self._formatter = DefaultFormatter()

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Prints the table of commands or parameters."""
        entries = [entry.copy(description=self._translate_content(entry.description)) for entry in panel.entries]
        title = self._translate(panel.title) if isinstance(panel.title, str) else panel.title
        self._formatter(console, options, panel.copy(title=title, entries=entries))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Prints the line with the usage."""
        self._formatter.render_usage(console, options, usage)

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Prints the text about the command."""
        self._formatter.render_description(console, options, self._translate_content(description))

    def _translate_content(self, content: Any) -> Any:
        if not isinstance(content, InlineText) or not isinstance(content.primary_renderable, Markdown):
            return content
        paragraphs = content.primary_renderable.markup.split("\n\n")
        translated = InlineText(
            Markdown("\n\n".join(map(self._translate, paragraphs))), force_empty_end=content.force_empty_end
        )
        translated.texts = content.texts
        return translated

    def _translate(self, paragraph: str) -> str:
        line = " ".join(paragraph.split())
        example = re.match("(For example|Example): ", line)
        if example is not None:
            return f"예: {line[example.end() :]}"
        return _WORDS_OF_CYCLOPTS.get(line) or translate_message(line, self._packages, os.environ)
