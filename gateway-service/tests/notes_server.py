"""A server with prompts, resources, a template and completions: an application for HTTP, or a program on its own."""

from typing import Any

import mcp_types as types
from fastmcp import FastMCP
from upstream_servers import EMAIL, PHONE


def notes() -> FastMCP[Any]:
    mcp: FastMCP[Any] = FastMCP("notes")

    @mcp.prompt
    def greet(name: str) -> str:
        """Greet somebody."""
        return f"Greet {name}, whose number is {PHONE}."

    @mcp.prompt
    def secret() -> str:
        """A prompt that needs a scope."""
        return "secret"

    @mcp.prompt
    def unnamed() -> str:
        """A prompt that no rule names."""
        return "unnamed"

    @mcp.resource("notes://today", mime_type="text/plain")
    def today() -> str:
        """Today's notes."""
        return f"call {PHONE}"

    @mcp.resource("notes://private/diary")
    def diary() -> str:
        """A resource that needs a scope."""
        return "dear diary"

    @mcp.resource("other://unnamed")
    def other() -> str:
        """A resource that no rule names."""
        return "other"

    @mcp.resource("notes://by/{author}")
    def by(author: str) -> bytes:
        """The notes of an author."""
        return f"{author} wrote to {EMAIL}".encode()

    @mcp.completion
    def complete(ref: object, argument: types.CompletionArgument, context: object) -> list[str]:
        del context
        kind = "prompt" if isinstance(ref, types.PromptReference) else "template"
        return [f"{kind}-{argument.name}-{argument.value}", PHONE]

    return mcp


if __name__ == "__main__":
    notes().run(show_banner=False)
