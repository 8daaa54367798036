"""Client ID Metadata Documents: the client's id is the https address of a document that describes it.

    https://host/client.json ─▶ may this address be one? ─▶ pinned, else cached, else fetched ─▶ Client

The four published documents of real MCP clients decide what is forgiven: grants that public clients cannot have, a
list of authentication methods instead of one, images on other hosts, loopback redirects without a port.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import structlog

from auth_service.clients.client import Client, ClientOrigin
from auth_service.clients.client_metadata import (
    Members,
    make_self_described_client,
    parse_members,
    read_text,
    read_texts,
)
from auth_service.clients.outgoing_fetches import FetchLimitReached, OutgoingFetches
from auth_service.clients.redirect_uris import has_dot_segments
from auth_service.clients.ssrf_safe_fetch import FetchError, FetchFailed, FetchProblem
from auth_service.clients.store import ClientStore
from auth_service.declaration import Openness, RegistrationPolicy
from auth_service.errors import ClientDocumentUnavailable, InvalidClient, InvalidClientMetadata, InvalidRedirectUri
from auth_service.protocol import AuthMethod, Clock
from security_common.bounded_cache import BoundedCache
from security_common.edge import UNKNOWN_ADDRESS
from security_common.web_urls import parse_web_url

__all__ = ["DOCUMENT_RULES", "URL_RULES", "ClientIdMetadataDocuments", "declared_documents", "read_pinned"]

_LONGEST_URL = 2048
_SHORTEST_FRESH_SECONDS, _LONGEST_FRESH_SECONDS = 300, 24 * 3600
_REFUSED_FOR_SECONDS = 60
_KEPT_COPY_SECONDS = 7 * 24 * 3600
_CACHED_DOCUMENTS = 1000
_CACHED_BYTES = 4 * 1024 * 1024
# What a client or a refusal takes in memory beside the texts in it.
_ENTRY_BYTES = 2000

_PUBLIC_METHODS = frozenset({AuthMethod.NONE, AuthMethod.PRIVATE_KEY_JWT})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why there is no client. Cached in place of the exception, whose traceback would keep a whole connection alive."""

    description: str
    problem: FetchProblem | None = None

    def as_error(self) -> InvalidClient:
        if self.problem is None:
            return InvalidClient(self.description)
        return ClientDocumentUnavailable(self.description, problem=self.problem.value)


def _publish(error: FetchError) -> _Refusal:
    """What strangers may know of the cause: not which names exist in this server's own network."""
    problem, cause = error.problem, error.description
    if problem in {FetchProblem.NAME, FetchProblem.ADDRESS}:
        problem, cause = FetchProblem.NAME, "the host name does not resolve to a public address"
    return _Refusal(f"the client's metadata document cannot be fetched: {cause}", problem)


_Found: TypeAlias = Client | _Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A client as its document describes it, how large that is, and for how many seconds it is taken for unchanged."""

    client: Client
    size_bytes: int
    fresh_seconds: float


class ClientIdMetadataDocuments:
    """Finds clients by the address of their document. `hosts` None means any host."""

    def __init__(
        self,
        *,
        outgoing: OutgoingFetches,
        store: ClientStore,
        clock: Clock,
        scopes: tuple[str, ...],
        hosts: frozenset[str] | None,
        pinned: Mapping[str, Members],
    ) -> None:
        self._outgoing = outgoing
        self._store = store
        self._clock = clock
        self._scopes = scopes
        self._hosts = hosts
        self._pinned = pinned
        self._cached = BoundedCache[str, _Found](clock=clock, max_entries=_CACHED_DOCUMENTS, max_bytes=_CACHED_BYTES)
        self._fetching: dict[str, asyncio.Task[_Found]] = {}

    async def find(self, url: str, *, source_address: str = UNKNOWN_ADDRESS) -> Client:
        """The client. Raises `InvalidClient` with words for whoever runs it; nothing is fetched for a bad address.

        `source_address` is where the request came from, whose budget a fetch is taken from.
        """
        for check in URL_RULES:
            check(url)
        if self._hosts is not None and urlsplit(url).hostname not in self._hosts:
            raise InvalidClient("this server does not accept clients of this host; ask its operator")
        found = self._cached.get(url) or await self._load_once(url, source_address)
        if isinstance(found, _Refusal):
            raise found.as_error()
        return found

    async def keep(self, client: Client) -> None:
        """A person uses this client: its document is stored as well, for the time when its host is away."""
        await self._store.save(client, lifetime_seconds=_KEPT_COPY_SECONDS)

    async def _load_once(self, url: str, source_address: str) -> _Found:
        """Many who ask at once share one fetch, which goes on when one of them leaves."""
        task = self._fetching.get(url)
        if task is None:
            task = self._fetching[url] = asyncio.create_task(self._load(url, source_address))
            task.add_done_callback(lambda _done: self._fetching.pop(url, None))
        return await asyncio.shield(task)

    async def _load(self, url: str, source_address: str) -> _Found:
        try:
            read = await self._read(url, source_address)
        except FetchLimitReached as error:
            return _Refusal(error.description, error.problem)  # nothing was learned, so nothing is remembered
        except FetchError as error:
            log.warning(
                "metadata document not fetched",
                host=urlsplit(url).hostname,
                problem=error.problem.value,
                cause=error.description,
            )
            refusal = _publish(error)
        except (InvalidClientMetadata, InvalidRedirectUri) as error:
            refusal = _Refusal(f"the client's metadata document is refused: {error.description}")
        else:
            self._remember(url, read.client, read.size_bytes, read.fresh_seconds)
            return read.client
        self._remember(url, refusal, len(refusal.description), _REFUSED_FOR_SECONDS)
        return refusal

    async def _read(self, url: str, source_address: str) -> _Read:
        pinned = self._pinned.get(url)
        if pinned is not None:
            size_bytes = len(json.dumps(pinned))
            return _Read(
                client=self._describe(url, pinned), size_bytes=size_bytes, fresh_seconds=_LONGEST_FRESH_SECONDS
            )
        try:
            await self._outgoing.budget.spend(url, asked_by=source_address)
            fetched = await self._outgoing.fetcher.fetch(url)
        except FetchFailed as error:
            kept = await self._store.find(url)
            if kept is None:
                raise
            host = urlsplit(url).hostname
            log.warning("metadata document not fetched, using the stored copy", problem=error.problem.value, host=host)
            return _Read(client=kept, size_bytes=_ENTRY_BYTES, fresh_seconds=_REFUSED_FOR_SECONDS)
        self._outgoing.reach.note_fetched()
        client = self._describe(url, _parse(fetched.body))
        await self._store.renew(client, lifetime_seconds=_KEPT_COPY_SECONDS)
        age = _SHORTEST_FRESH_SECONDS if fetched.max_age_seconds is None else fetched.max_age_seconds
        fresh_seconds = min(max(age, _SHORTEST_FRESH_SECONDS), _LONGEST_FRESH_SECONDS)
        return _Read(client=client, size_bytes=len(fetched.body), fresh_seconds=fresh_seconds)

    def _describe(self, url: str, members: Members) -> Client:
        for check in DOCUMENT_RULES:
            check(url, members)
        return make_self_described_client(
            members,
            client_id=url,
            origin=ClientOrigin.METADATA_DOCUMENT,
            auth_methods=_methods(members),
            scopes=self._scopes,
            now=self._clock(),
        )

    def _remember(self, url: str, found: _Found, size_bytes: int, lifetime_seconds: float) -> None:
        whole_bytes = _ENTRY_BYTES + len(url) + 2 * size_bytes
        self._cached.put(url, found, size_bytes=whole_bytes, lifetime_seconds=lifetime_seconds)


def check_length(url: str) -> None:
    if len(url) > _LONGEST_URL:
        raise InvalidClient(f"a client id that is a URL has at most {_LONGEST_URL} characters")


def check_parts(url: str) -> None:
    try:
        parts = parse_web_url(url)
    except ValueError as error:
        raise InvalidClient("the client id is not a valid https URL") from error
    if parts.scheme != "https" or parts.path in {"", "/"}:
        raise InvalidClient("a client id that is a URL must be https and have a path")


def refuse_ambiguous_parts(url: str) -> None:
    """What two programs may read as two addresses: fragments, credentials, dot segments however written."""
    parts = urlsplit(url)
    if "#" in url or "@" in parts.netloc or has_dot_segments(parts):
        raise InvalidClient("a client id that is a URL has no fragment, no credentials and no dot segments")


URL_RULES: tuple[Callable[[str], None], ...] = (check_length, check_parts, refuse_ambiguous_parts)


def check_own_address(url: str, members: Members) -> None:
    if members.get("client_id") != url:
        raise InvalidClientMetadata("client_id in the document is not the address of the document")


def check_name(_url: str, members: Members) -> None:
    if not read_text(members, "client_name"):
        raise InvalidClientMetadata("client_name is missing")


def refuse_shared_secrets(_url: str, members: Members) -> None:
    """A public document can keep no secret."""
    if any(name.startswith("client_secret") for name in members) or not _methods(members):
        raise InvalidClientMetadata("a metadata document can be used with none or private_key_jwt only")


DOCUMENT_RULES: tuple[Callable[[str, Members], None], ...] = (check_own_address, check_name, refuse_shared_secrets)


def _methods(members: Members) -> frozenset[AuthMethod]:
    """One method, or the list that OpenID Connect Relying Party Metadata Choices has; `none` when neither is there."""
    one = read_text(members, "token_endpoint_auth_method")
    listed = read_texts(members, "token_endpoint_auth_methods_supported")
    offered = {one} if one else set(listed) or {AuthMethod.NONE}
    methods = {method for method in _PUBLIC_METHODS if method in offered}
    if not (members.get("jwks") or members.get("jwks_uri")):
        methods.discard(AuthMethod.PRIVATE_KEY_JWT)
    return frozenset(methods)


def _parse(body: bytes) -> Members:
    try:
        return parse_members(body)
    except ValueError as error:
        raise InvalidClientMetadata("the document must be one JSON object in UTF-8, each member once") from error


def read_pinned(directory: Path | None) -> Mapping[str, Members]:
    """The copies in a folder by the address each one names, for networks that cannot fetch them."""
    found = [_parse(path.read_bytes()) for path in sorted(directory.glob("*.json"))] if directory else []
    return {str(members.get("client_id")): members for members in found}


def declared_documents(
    policy: RegistrationPolicy, *, outgoing: OutgoingFetches, store: ClientStore, clock: Clock
) -> ClientIdMetadataDocuments | None:
    """What the declaration allows of them; None when it allows none."""
    if policy.metadata_documents is Openness.OFF:
        return None
    return ClientIdMetadataDocuments(
        outgoing=outgoing,
        store=store,
        clock=clock,
        scopes=policy.scopes,
        hosts=None if policy.metadata_documents is Openness.OPEN else frozenset(policy.hosts),
        pinned=read_pinned(policy.pinned_directory),
    )
