"""Whether this machine can fetch metadata documents at all, found out by fetching published ones.

A client that sees `client_id_metadata_document_supported` sends the address of its document and does not register.
Where the document cannot be fetched (offline, behind a firewall), that client cannot sign in: so nothing is advertised
before a fetch has worked, and the client registers (RFC 7591).
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog

from auth_service.clients.fetching import DocumentFetcher, FetchError, FetchProblem

__all__ = ["KNOWN_DOCUMENTS", "DocumentReach", "FetchAttempt", "try_documents"]

# Documents that MCP clients publish: Claude Code, VS Code and Codex.
KNOWN_DOCUMENTS = (
    "https://claude.ai/oauth/claude-code-client-metadata",
    "https://vscode.dev/oauth/client-metadata.json",
    "https://chatgpt.com/oauth/codex/client.json",
)

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 60.0, 900.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FetchAttempt:
    """What became of fetching a document; `problem` is None when it was fetched."""

    host: str
    problem: FetchProblem | None = None
    description: str = ""


async def try_documents(fetcher: DocumentFetcher, urls: Collection[str]) -> list[FetchAttempt]:
    """Fetches each of the documents once."""

    async def attempt(url: str) -> FetchAttempt:
        host = urlsplit(url).hostname or ""
        try:
            await fetcher.fetch(url)
        except FetchError as error:
            return FetchAttempt(host, error.problem, error.description)
        return FetchAttempt(host)

    return await asyncio.gather(*map(attempt, urls))


class DocumentReach:
    """Knows whether a document has been fetched since the start; tries by itself until one has."""

    def __init__(self, fetcher: DocumentFetcher, urls: Collection[str]) -> None:
        self._fetcher = fetcher
        self._urls = urls
        self._proven = False
        self._task: asyncio.Task[None] | None = None

    @property
    def proven(self) -> bool:
        """True once a document was fetched."""
        return self._proven

    def note_fetched(self) -> None:
        """A document was fetched for a client."""
        self._proven = True

    def start(self) -> None:
        self._task = asyncio.create_task(self._try_until_proven(), name="document-reach")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _try_until_proven(self) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        while not self._proven:
            attempts = await try_documents(self._fetcher, self._urls)
            if any(attempt.problem is None for attempt in attempts):
                self._proven = True
                log.info("metadata documents can be fetched, and are advertised")
                return
            problems = {attempt.host: attempt.problem for attempt in attempts}
            log.info("metadata documents cannot be fetched, and are not advertised", problems=problems)
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
