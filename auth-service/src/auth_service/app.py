"""The composition root: the only file that knows every room, and the only one that reads clock, randomness and disk."""

import os
import secrets
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI
from limits.aio.storage import RedisStorage, Storage
from prometheus_client import start_http_server
from redis.asyncio import Redis
from starlette.routing import Route

from auth_service.authorize.closed import closed_endpoint
from auth_service.clients.assertions import AssertionVerifier
from auth_service.clients.authentication import ClientAuthenticator
from auth_service.clients.declared import make_client
from auth_service.clients.directory import Directory
from auth_service.clients.documents import MetadataDocuments, read_pinned
from auth_service.clients.fetching import DocumentFetcher, is_public_address, resolve
from auth_service.clients.keys import ClientKeys
from auth_service.clients.registration import Registration
from auth_service.clients.secrets import SecretKeeper
from auth_service.clients.store import ClientStore
from auth_service.declaration import Declaration, Openness, RegistrationPolicy, load_declaration
from auth_service.discovery.documents import key_set_endpoint, metadata, metadata_endpoints
from auth_service.discovery.health import can_write, health_endpoints, root_endpoint
from auth_service.errors import TooManyRequests
from auth_service.grants.client_credentials import ClientCredentials
from auth_service.grants.contract import Grant
from auth_service.grants.endpoint import TokenEndpoint
from auth_service.http.addresses import AddressReader
from auth_service.http.messages import Endpoint
from auth_service.http.metrics import Metrics
from auth_service.http.openapi import openapi_endpoint
from auth_service.http.routing import Edge, EndpointApp, not_found
from auth_service.http.throttle import Throttle
from auth_service.keys.ring import KeyRing
from auth_service.keys.rotation import RotationPolicy
from auth_service.keys.sealing import Sealer
from auth_service.keys.store import KeyStore
from auth_service.settings import AuthSettings
from auth_service.tokens.denials import Denials
from auth_service.tokens.introspection import Introspection
from auth_service.tokens.minter import TokenMinter
from auth_service.tokens.reader import TokenReader
from auth_service.tokens.resources import Resources, declared_resources
from auth_service.tokens.revocation import Revocation
from auth_service.vocabulary import Clock, RandomBytes
from security_common.journal import Journal, open_journal
from security_common.service import connect, read_secret

__all__ = ["SERVICE", "Core", "create_app"]

# The service's name in the audit trail.
SERVICE = "auth-service"

# Verifiers keep a key set for an hour and clocks differ: a retired key outlives its last token by this much.
_DRAIN_MARGIN_SECONDS = 65 * 60

# Registrations that cost an address no waiting, per hour: people set up many clients, one after the other.
_FREE_REGISTRATIONS = 30

# Wrong secrets that cost a client no waiting, per address and quarter of an hour.
_FREE_FAILURES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What most rooms are given: made once, below."""

    settings: AuthSettings
    declaration: Declaration
    redis: Redis
    trail_redis: Redis
    counters: Storage
    fetcher: DocumentFetcher
    journal: Journal
    keys: KeyRing
    secret_keeper: SecretKeeper
    directory: Directory
    resources: Resources
    minter: TokenMinter
    metrics: Metrics
    clock: Clock
    random_bytes: RandomBytes


def create_app(
    settings: AuthSettings,
    *,
    clock: Clock = time.time,
    random_bytes: RandomBytes = secrets.token_bytes,
    fetcher: DocumentFetcher | None = None,
) -> FastAPI:
    """The service. Nothing is connected or written before its lifespan starts.

    Raises `SecurityError` with a hint when the declaration or a secret is wrong.
    """
    public_only = DocumentFetcher(resolve=resolve, is_allowed=is_public_address)
    core = _make_core(settings, clock, random_bytes, fetcher or public_only)
    endpoints = _make_endpoints(core)
    app = FastAPI(title="auth-service", openapi_url=None, docs_url=None, redoc_url=None, lifespan=_lifespan(core))
    edge = Edge(
        issuer=settings.issuer,
        metrics=core.metrics,
        random_bytes=random_bytes,
        client_address=AddressReader(settings.trusted_proxies),
    )
    # Methods are judged by the endpoint itself, which answers 405 in the words of the protocol.
    app.router.routes.extend(Route(endpoint.path, EndpointApp(endpoint, edge)) for endpoint in endpoints)
    app.router.default = not_found
    app.state.core = core
    return app


def _make_core(settings: AuthSettings, clock: Clock, random_bytes: RandomBytes, fetcher: DocumentFetcher) -> Core:
    declaration = load_declaration(settings)
    redis, trail_redis = connect(settings), connect(settings, decode=False)
    keeper = SecretKeeper(read_secret(settings.secret_pepper_file, "AUTH_SECRET_PEPPER_FILE"), random_bytes)
    store = ClientStore(redis)
    keys = KeyRing(
        store=KeyStore(redis),
        sealer=Sealer.load(settings.signing_key_kek_file),
        policy=RotationPolicy(
            period_seconds=settings.key_period_seconds,
            lead_seconds=settings.key_lead_seconds,
            drain_seconds=settings.access_token_lifetime_seconds + _DRAIN_MARGIN_SECONDS,
        ),
        clock=clock,
        replica=f"{socket.gethostname()}:{os.getpid()}:{random_bytes(4).hex()}",
    )
    return Core(
        settings=settings,
        declaration=declaration,
        redis=redis,
        trail_redis=trail_redis,
        counters=RedisStorage(
            settings.redis_url,
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix="auth:limits",
            connection_pool=redis.connection_pool,  # pyright: ignore[reportArgumentType] # documented, not annotated
        ),
        journal=open_journal(service="auth-service", settings=settings.security, redis=trail_redis),
        keys=keys,
        secret_keeper=keeper,
        fetcher=fetcher,
        directory=Directory(
            declared=[make_client(client, keeper) for client in declaration.clients],
            store=store,
            documents=_make_documents(declaration.registration, fetcher, store, clock),
            clock=clock,
        ),
        resources=declared_resources(declaration),
        minter=TokenMinter(
            issuer=settings.issuer,
            signer=keys,
            clock=clock,
            random_bytes=random_bytes,
            lifetime_seconds=settings.access_token_lifetime_seconds,
        ),
        metrics=Metrics(),
        clock=clock,
        random_bytes=random_bytes,
    )


def _make_endpoints(core: Core) -> tuple[Endpoint, ...]:
    """Every endpoint there is. What a room offers here is routed, documented and advertised, nothing else is."""
    settings = core.settings
    grants: tuple[Grant, ...] = (ClientCredentials(resources=core.resources, minter=core.minter),)
    authenticator = _make_authenticator(core)
    reader = TokenReader(issuer=settings.issuer, published=lambda: core.keys.published.key_set, clock=core.clock)
    denials = Denials(core.redis, lifetime_seconds=settings.access_token_lifetime_seconds)
    protocol = (
        closed_endpoint(),
        TokenEndpoint(authenticator=authenticator, grants=grants, journal=core.journal, metrics=core.metrics).endpoint,
        Introspection(
            authenticator=authenticator, reader=reader, denials=denials, refresh=None, issuer=settings.issuer
        ).endpoint,
        Revocation(
            authenticator=authenticator, reader=reader, denials=denials, refresh=None, journal=core.journal
        ).endpoint,
        *_make_registration(core),
    )
    described = metadata(
        issuer=settings.issuer,
        endpoints=protocol,
        grants=[grant.grant_type.value for grant in grants],
        scopes=[*core.resources.default.scopes],
        finds_documents=core.directory.finds_documents,
        documentation_url=settings.documentation_url,
    )
    endpoints = (
        root_endpoint(
            issuer=settings.issuer, resource=core.resources.default.url, documentation_url=settings.documentation_url
        ),
        *protocol,
        *metadata_endpoints(described),
        key_set_endpoint(lambda: core.keys.published),
        *health_endpoints(
            {
                "signing_key": lambda: core.keys.ready,
                "redis_write": partial(can_write, core.redis),
                "journal": lambda: core.journal.writable,
            }
        ),
    )
    return (*endpoints, openapi_endpoint(endpoints, issuer=settings.issuer))


def _make_authenticator(core: Core) -> ClientAuthenticator:
    issuer = core.settings.issuer
    return ClientAuthenticator(
        directory=core.directory,
        secrets=core.secret_keeper,
        assertions=AssertionVerifier(
            audiences=frozenset({issuer, f"{issuer}/", f"{issuer}/oauth2/token"}),
            redis=core.redis,
            keys=ClientKeys(fetcher=core.fetcher, clock=core.clock),
            clock=core.clock,
        ),
        throttle=Throttle(name="client", storage=core.counters, clock=core.clock, free=_FREE_FAILURES),
    )


def _make_documents(
    policy: RegistrationPolicy, fetcher: DocumentFetcher, store: ClientStore, clock: Clock
) -> MetadataDocuments | None:
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


def _make_registration(core: Core) -> tuple[Endpoint, ...]:
    policy = core.declaration.registration
    if policy.dynamic is Openness.OFF or (policy.dynamic is Openness.LISTED and not policy.initial_access_token_file):
        return ()
    token = policy.initial_access_token_file
    registration = Registration(
        store=ClientStore(core.redis),
        secrets=core.secret_keeper,
        journal=core.journal,
        throttle=Throttle(
            name="registration",
            storage=core.counters,
            clock=core.clock,
            free=_FREE_REGISTRATIONS,
            window_seconds=3600,
            error=TooManyRequests,
        ),
        clock=core.clock,
        random_bytes=core.random_bytes,
        scopes=policy.scopes,
        initial_access_token=read_secret(token, "initial_access_token_file") if token else None,
    )
    return (registration.endpoint,)


def _lifespan(core: Core) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(_app: FastAPI) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(core.redis.aclose)
            stack.push_async_callback(core.trail_redis.aclose)
            await core.journal.start()
            stack.push_async_callback(core.journal.stop)
            await core.keys.start()
            stack.push_async_callback(core.keys.stop)
            if core.settings.metrics_port:
                server, _thread = start_http_server(
                    core.settings.metrics_port, core.settings.metrics_host, core.metrics.registry
                )
                stack.callback(server.server_close)
                stack.callback(server.shutdown)
            yield

    return run
