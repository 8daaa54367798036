"""Client ID Metadata Documents: the client's id is the https address of a document that describes it.

    https://host/client.json ─▶ may this address be one? ─▶ pinned, else cached, else fetched ─▶ Client

The four published documents of real MCP clients decide what is forgiven: grants that public clients cannot have, a
list of authentication methods instead of one, images on other hosts, loopback redirects without a port.
"""

import asyncio
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from auth_service.clients.fetching import DocumentFetcher, FetchFailed, FetchRefused
from auth_service.clients.metadata import Members, make_self_described_client, read_text, read_texts
from auth_service.clients.model import Client, ClientOrigin
from auth_service.clients.redirects import climbs
from auth_service.clients.store import ClientStore
from auth_service.declaration import Openness, RegistrationPolicy
from auth_service.errors import InvalidClient, InvalidClientMetadata, InvalidRedirectUri
from auth_service.vocabulary import AuthMethod, Clock

__all__ = ["DOCUMENT_RULES", "URL_RULES", "MetadataDocuments", "declared_documents", "read_pinned"]

_LONGEST_URL = 2048
_SHORTEST_FRESH_SECONDS, _LONGEST_FRESH_SECONDS = 300, 24 * 3600
_REFUSED_FOR_SECONDS = 60
_KEPT_COPY_SECONDS = 7 * 24 * 3600
_CACHED_DOCUMENTS = 500
_UNSAFE = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}]")

# Fetches are made for strangers: these bound what they can make us do to a third party.
_PER_HOST, _OVERALL = RateLimitItemPerMinute(10), RateLimitItemPerMinute(60)
_PUBLIC_METHODS = frozenset({AuthMethod.NONE, AuthMethod.PRIVATE_KEY_JWT})

# Until when (seconds since the epoch) what is known of a document stands, and what that is.
_Known: TypeAlias = tuple[float, Client | InvalidClient]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataDocuments:
    """Finds clients by the address of their document. `hosts` None means any host."""

    fetcher: DocumentFetcher
    store: ClientStore
    clock: Clock
    scopes: tuple[str, ...]
    hosts: frozenset[str] | None
    pinned: Mapping[str, Members]
    _limiter: FixedWindowRateLimiter = field(
        init=False, default_factory=lambda: FixedWindowRateLimiter(MemoryStorage())
    )
    _cached: OrderedDict[str, _Known] = field(init=False, default_factory=OrderedDict[str, _Known])
    _fetching: dict[str, asyncio.Task[Client]] = field(init=False, default_factory=dict[str, asyncio.Task[Client]])

    async def find(self, url: str) -> Client:
        """The client. Raises `InvalidClient` with words for whoever runs it; nothing is fetched for a bad address."""
        for check in URL_RULES:
            check(url)
        if self.hosts is not None and urlsplit(url).hostname not in self.hosts:
            raise InvalidClient("this server does not accept clients of this host; ask its operator")
        fresh_until, cached = self._cached.get(url, (0.0, None))
        if cached is not None and self.clock() < fresh_until:
            if isinstance(cached, InvalidClient):
                raise InvalidClient(cached.description)
            return cached
        return await self._load_once(url)

    async def _load_once(self, url: str) -> Client:
        """Many who ask at once share one fetch, which goes on when one of them leaves."""
        task = self._fetching.get(url)
        if task is None:
            task = self._fetching[url] = asyncio.create_task(self._load(url))
            task.add_done_callback(lambda _done: self._fetching.pop(url, None))
        return await asyncio.shield(task)

    async def _load(self, url: str) -> Client:
        try:
            client, fresh_seconds = await self._read(url)
        except (FetchRefused, InvalidClientMetadata, InvalidRedirectUri) as error:
            refusal = InvalidClient(f"the client's metadata document is refused: {error.description}")
            self._remember(url, refusal, _REFUSED_FOR_SECONDS)
            raise refusal from error
        self._remember(url, client, fresh_seconds)
        return client

    async def _read(self, url: str) -> tuple[Client, float]:
        """The client and for how many seconds it may be taken for unchanged."""
        pinned = self.pinned.get(url)
        if pinned is not None:
            return self._describe(url, pinned), _LONGEST_FRESH_SECONDS
        try:
            await self._spend_fetch(url)
            fetched = await self.fetcher.fetch(url)
        except FetchFailed as error:
            kept = await self.store.find(url)
            if kept is None:
                raise FetchRefused(error.description) from error
            log.warning("metadata document not fetched, the kept copy stands", host=urlsplit(url).hostname)
            return kept, _REFUSED_FOR_SECONDS
        client = self._describe(url, _parse(fetched.body))
        await self.store.save(client, lifetime_seconds=_KEPT_COPY_SECONDS)
        age = _SHORTEST_FRESH_SECONDS if fetched.max_age_seconds is None else fetched.max_age_seconds
        return client, min(max(age, _SHORTEST_FRESH_SECONDS), _LONGEST_FRESH_SECONDS)

    def _describe(self, url: str, members: Members) -> Client:
        for check in DOCUMENT_RULES:
            check(url, members)
        return make_self_described_client(
            members,
            client_id=url,
            origin=ClientOrigin.METADATA_DOCUMENT,
            auth_methods=_methods(members),
            scopes=self.scopes,
            now=self.clock(),
        )

    async def _spend_fetch(self, url: str) -> None:
        limits: tuple[tuple[RateLimitItem, str], ...] = (
            (_PER_HOST, urlsplit(url).hostname or ""),
            (_OVERALL, "metadata documents"),
        )
        for limit, name in limits:
            if not await self._limiter.hit(limit, name):
                raise FetchFailed("too many metadata documents are being fetched; try again in a minute")

    def _remember(self, url: str, found: Client | InvalidClient, seconds: float) -> None:
        self._cached[url] = (self.clock() + seconds, found)
        self._cached.move_to_end(url)
        while len(self._cached) > _CACHED_DOCUMENTS:
            self._cached.popitem(last=False)


def check_characters(url: str) -> None:
    if len(url) > _LONGEST_URL or _UNSAFE.search(url):
        raise InvalidClient("a client id that is an address must be plain ASCII of reasonable length")


def check_parts(url: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme == "https" and bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError as error:
        raise InvalidClient("the client id is no valid https address") from error
    if not valid or parts.path in {"", "/"}:
        raise InvalidClient("a client id that is an address must be https and have a path")


def refuse_ambiguous_parts(url: str) -> None:
    """What two programs may read as two addresses: fragments, credentials, dot segments however written."""
    parts = urlsplit(url)
    if "#" in url or "@" in parts.netloc or climbs(parts):
        raise InvalidClient("a client id that is an address has no fragment, no credentials and no dot segments")


URL_RULES: tuple[Callable[[str], None], ...] = (check_characters, check_parts, refuse_ambiguous_parts)


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
        members: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidClientMetadata("the document is no JSON") from error
    if not isinstance(members, dict):
        raise InvalidClientMetadata("the document is no JSON object")
    return cast("dict[str, Any]", members)


def read_pinned(directory: Path | None) -> Mapping[str, Members]:
    """The copies in a folder by the address each one names, for networks that cannot fetch them."""
    found = [_parse(path.read_bytes()) for path in sorted(directory.glob("*.json"))] if directory else []
    return {str(members.get("client_id")): members for members in found}


def declared_documents(
    policy: RegistrationPolicy, *, fetcher: DocumentFetcher, store: ClientStore, clock: Clock
) -> MetadataDocuments | None:
    """What the declaration allows of them; None when it allows none."""
    if policy.metadata_documents is Openness.OFF:
        return None
    return MetadataDocuments(
        fetcher=fetcher,
        store=store,
        clock=clock,
        scopes=policy.scopes,
        hosts=None if policy.metadata_documents is Openness.OPEN else frozenset(policy.hosts),
        pinned=read_pinned(policy.pinned_directory),
    )
