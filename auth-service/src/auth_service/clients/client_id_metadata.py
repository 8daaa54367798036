"""Client ID Metadata Documents: the client_id is the https URL of a document that describes the client.

    https://host/client.json ─▶ URL rules ─▶ allowed host? ─▶ cached, else pinned, else fetched
        ─▶ document rules ─▶ Client

If the document cannot be fetched now (a network error, an error of the document's server, or the limit of fetches), the
stored copy is used: it is written when a user consents, and renewed by later fetches.

Some deviations are accepted because published documents of real MCP clients contain them: grants that public clients
cannot have, a list of authentication methods instead of one, images on other hosts, loopback redirects without a port.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
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
from auth_service.clients.outgoing_fetches import FetchLimitReached, OutgoingFetches, SharedFetches
from auth_service.clients.redirect_uris import has_dot_segments
from auth_service.clients.ssrf_safe_fetch import FetchError, FetchProblem, FetchTemporarilyFailed
from auth_service.clients.store import ClientStore
from auth_service.declaration import Openness, ResolvedRegistrationPolicy
from auth_service.errors import ClientDocumentUnavailable, InvalidClient, InvalidClientMetadata, InvalidRedirectUri
from auth_service.protocol import AuthMethod, Clock
from security_common.bounded_cache import BoundedCache
from security_common.edge import UNKNOWN_ADDRESS
from security_common.web_urls import parse_web_url

__all__ = ["DOCUMENT_RULES", "URL_RULES", "ClientIdMetadataFinder", "make_client_id_metadata_finder", "read_pinned"]

_MAX_URL_LENGTH = 2048
_MIN_FRESH_SECONDS, _MAX_FRESH_SECONDS = 300, 24 * 3600
_RETRY_SECONDS = 60
_STORED_COPY_SECONDS = 7 * 24 * 3600
_CACHED_DOCUMENTS = 1000
_CACHED_BYTES = 4 * 1024 * 1024
# Memory that a client or a failure takes in addition to its texts.
_ENTRY_BYTES = 2000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _LoadFailure:
    """Why there is no client. An exception is not cached, because its traceback would keep a connection in memory."""

    description: str
    problem: FetchProblem | None = None

    def as_error(self) -> InvalidClient:
        if self.problem is None:
            return InvalidClient(self.description)
        return ClientDocumentUnavailable(self.description, problem=self.problem.value)


_CacheEntry: TypeAlias = Client | _LoadFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class _LoadedDocument:
    """A client as its document describes it.

    `size_bytes` is the size of the document, an estimate if it was read from the store. `fresh_seconds` is how long it
    is used without a new fetch.
    """

    client: Client
    size_bytes: int
    fresh_seconds: float


class ClientIdMetadataFinder:
    """Finds clients by the URL of their document. `hosts` None means any host; `pinned` are local copies by URL."""

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
        self._cached = BoundedCache[str, _CacheEntry](
            clock=clock, max_entries=_CACHED_DOCUMENTS, max_bytes=_CACHED_BYTES
        )
        self._fetches = SharedFetches[_CacheEntry]()

    async def find(self, url: str, *, source_address: str = UNKNOWN_ADDRESS) -> Client:
        """The client. Raises `InvalidClient` with a description for its developer; an invalid URL is not fetched.

        `source_address` is where the request came from; a fetch counts towards its limit.
        """
        for check in URL_RULES:
            check(url)
        if self._hosts is not None and urlsplit(url).hostname not in self._hosts:
            raise InvalidClient("this server does not accept clients of this host; ask its operator")
        entry = self._cached.get(url)
        if entry is None:
            entry = await self._fetches.fetch(url, partial(self._load, url, source_address))
        if isinstance(entry, _LoadFailure):
            raise entry.as_error()
        return entry

    async def store_copy(self, client: Client) -> None:
        """Stores the client of a document that is in use, for times when its host is unavailable."""
        await self._store.save(client, lifetime_seconds=_STORED_COPY_SECONDS)

    async def _load(self, url: str, source_address: str) -> _CacheEntry:
        try:
            loaded = await self._read(url, source_address)
        except FetchLimitReached as error:
            return _LoadFailure(error.description, error.problem)  # not cached: nothing is known about the document
        except FetchError as error:
            log.warning(
                "client_metadata_fetch_failed",
                host=urlsplit(url).hostname,
                problem=error.problem.value,
                cause=error.description,
            )
            failure = _describe_publicly(error)
        except (InvalidClientMetadata, InvalidRedirectUri) as error:
            failure = _LoadFailure(f"the client's metadata document is refused: {error.description}")
        else:
            self._cache(url, loaded.client, loaded.size_bytes, loaded.fresh_seconds)
            return loaded.client
        self._cache(url, failure, len(failure.description), _RETRY_SECONDS)
        return failure

    async def _read(self, url: str, source_address: str) -> _LoadedDocument:
        pinned = self._pinned.get(url)
        if pinned is not None:
            return _LoadedDocument(
                client=self._make_client(url, pinned),
                size_bytes=len(json.dumps(pinned)),
                fresh_seconds=_MAX_FRESH_SECONDS,
            )
        try:
            await self._outgoing.limits.count(url, source_address=source_address)
            fetched = await self._outgoing.fetcher.fetch(url)
        except FetchTemporarilyFailed as error:
            stored = await self._store.find(url)
            if stored is None:
                raise
            log.warning("client_metadata_stored_copy_used", host=urlsplit(url).hostname, problem=error.problem.value)
            return _LoadedDocument(client=stored, size_bytes=_ENTRY_BYTES, fresh_seconds=_RETRY_SECONDS)
        self._outgoing.reachability.confirm()
        client = self._make_client(url, _parse(fetched.body))
        await self._store.replace_stored(client, lifetime_seconds=_STORED_COPY_SECONDS)
        max_age = _MIN_FRESH_SECONDS if fetched.max_age_seconds is None else fetched.max_age_seconds
        fresh_seconds = min(max(max_age, _MIN_FRESH_SECONDS), _MAX_FRESH_SECONDS)
        return _LoadedDocument(client=client, size_bytes=len(fetched.body), fresh_seconds=fresh_seconds)

    def _make_client(self, url: str, members: Members) -> Client:
        for check in DOCUMENT_RULES:
            check(url, members)
        return make_self_described_client(
            members,
            client_id=url,
            origin=ClientOrigin.METADATA_DOCUMENT,
            auth_methods=_auth_methods(members),
            scopes=self._scopes,
            now=self._clock(),
        )

    def _cache(self, url: str, entry: _CacheEntry, size_bytes: int, lifetime_seconds: float) -> None:
        entry_bytes = _ENTRY_BYTES + len(url) + 2 * size_bytes
        self._cached.put(url, entry, size_bytes=entry_bytes, lifetime_seconds=lifetime_seconds)


def check_length(url: str) -> None:
    if len(url) > _MAX_URL_LENGTH:
        raise InvalidClient(f"a client id that is a URL must have at most {_MAX_URL_LENGTH} characters")


def check_parts(url: str) -> None:
    try:
        parts = parse_web_url(url)
    except ValueError as error:
        raise InvalidClient("the client id is not a valid https URL") from error
    if parts.scheme != "https" or parts.path in {"", "/"}:
        raise InvalidClient("a client id that is a URL must be https and have a path")


def refuse_ambiguous_parts(url: str) -> None:
    """Refuses what different programs may resolve to different URLs: fragments, credentials, dot segments."""
    parts = urlsplit(url)
    if "#" in url or "@" in parts.netloc or has_dot_segments(parts):
        raise InvalidClient("a client id that is a URL must not contain a fragment, credentials or dot segments")


URL_RULES: tuple[Callable[[str], None], ...] = (check_length, check_parts, refuse_ambiguous_parts)


def check_own_address(url: str, members: Members) -> None:
    if members.get("client_id") != url:
        raise InvalidClientMetadata("client_id in the document is not the address of the document")


def check_name(_url: str, members: Members) -> None:
    if not read_text(members, "client_name"):
        raise InvalidClientMetadata("client_name is missing")


def refuse_shared_secrets(_url: str, members: Members) -> None:
    """Everyone can read the document, so a secret in it is not secret."""
    if any(name.startswith("client_secret") for name in members):
        raise InvalidClientMetadata("a metadata document must not contain client_secret or client_secret_expires_at")


def check_auth_method(_url: str, members: Members) -> None:
    if _auth_methods(members):
        return
    if AuthMethod.PRIVATE_KEY_JWT in _offered_methods(members):
        raise InvalidClientMetadata("with private_key_jwt the document must contain jwks or jwks_uri")
    raise InvalidClientMetadata(
        "the authentication method (token_endpoint_auth_method) of a metadata document must be none or private_key_jwt"
    )


DOCUMENT_RULES: tuple[Callable[[str, Members], None], ...] = (
    check_own_address,
    check_name,
    refuse_shared_secrets,
    check_auth_method,
)


def _auth_methods(members: Members) -> frozenset[AuthMethod]:
    """The methods that the document offers and this server allows: `private_key_jwt` only if the document has keys."""
    has_keys = bool(members.get("jwks") or members.get("jwks_uri"))
    allowed = {AuthMethod.NONE, AuthMethod.PRIVATE_KEY_JWT} if has_keys else {AuthMethod.NONE}
    offered = _offered_methods(members)
    return frozenset(method for method in allowed if method in offered)


def _offered_methods(members: Members) -> frozenset[str]:
    """The methods in the document, known or not; `none` if it names none.

    A document has one method, or the list of OpenID Connect Relying Party Metadata Choices.
    """
    method = read_text(members, "token_endpoint_auth_method")
    if method:
        return frozenset({method})
    return frozenset(read_texts(members, "token_endpoint_auth_methods_supported")) or frozenset({AuthMethod.NONE})


def _parse(body: bytes) -> Members:
    try:
        return parse_members(body)
    except ValueError as error:
        raise InvalidClientMetadata("the document must be one JSON object in UTF-8, each member once") from error


def _describe_publicly(error: FetchError) -> _LoadFailure:
    """The cause, without details that would reveal to clients which names exist in this server's network."""
    problem, cause = error.problem, error.description
    if problem in {FetchProblem.NAME, FetchProblem.ADDRESS}:
        problem, cause = FetchProblem.NAME, "the host name does not resolve to a public address"
    return _LoadFailure(f"the client's metadata document cannot be fetched: {cause}", problem)


def read_pinned(folder: Path | None) -> Mapping[str, Members]:
    """The documents in a folder by the client_id that each contains, for networks that cannot fetch them."""
    if folder is None:
        return {}
    documents = [_parse(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
    return {str(members.get("client_id")): members for members in documents}


def make_client_id_metadata_finder(
    policy: ResolvedRegistrationPolicy, *, outgoing: OutgoingFetches, store: ClientStore, clock: Clock
) -> ClientIdMetadataFinder | None:
    """Finds the clients whose documents the declaration accepts; None if it accepts none."""
    if policy.metadata_documents is Openness.OFF:
        return None
    return ClientIdMetadataFinder(
        outgoing=outgoing,
        store=store,
        clock=clock,
        scopes=policy.scopes,
        hosts=None if policy.metadata_documents is Openness.OPEN else policy.hosts,
        pinned=read_pinned(policy.pinned_directory),
    )
