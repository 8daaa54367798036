"""The composition root: it builds every part and connects them, and alone reads the clock, randomness and the disk.

What people open in a browser is composed in `browser_endpoints`.
"""

import os
import secrets
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.routing import Route

from auth_service.accounts.consents import Consents
from auth_service.accounts.local_accounts import DEMO_ACCOUNT, LocalAccounts
from auth_service.accounts.passwords import Passwords
from auth_service.accounts.store import AccountStore
from auth_service.accounts.userinfo import UserinfoEndpoint
from auth_service.audit_recorder import AuditRecorder
from auth_service.browser_endpoints import browser_endpoints
from auth_service.clients.authentication import ClientAuthenticator
from auth_service.clients.client_assertions import AssertionVerifier
from auth_service.clients.client_directory import ClientDirectory
from auth_service.clients.client_id_metadata import declared_documents
from auth_service.clients.client_keys import ClientKeys
from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.declared_clients import make_client
from auth_service.clients.outgoing_fetches import OutgoingFetches
from auth_service.clients.registration import Registration, registration_throttle
from auth_service.clients.ssrf_safe_fetch import SsrfSafeFetcher
from auth_service.clients.store import ClientStore
from auth_service.core import Core, People, make_throttle
from auth_service.declaration import Openness, load_declaration, note_applied
from auth_service.discovery.documents import key_set_endpoint, metadata, metadata_endpoints
from auth_service.discovery.health import can_write, health_endpoints, root_endpoint
from auth_service.grants.authorization_code import FREE_GUESSES, AuthorizationCodeGrant
from auth_service.grants.client_credentials import ClientCredentialsGrant
from auth_service.grants.endpoint import TokenEndpoint
from auth_service.grants.grant_handler import GrantHandler
from auth_service.grants.refresh_token import RefreshTokenGrant
from auth_service.grants.user_tokens import UserTokenMinter
from auth_service.http.messages import Endpoint
from auth_service.http.metrics import Metrics
from auth_service.http.openapi import openapi_endpoint
from auth_service.http.routing import Edge, EndpointApp, Paths, make_not_found
from auth_service.http.throttle import Throttle, redis_counters
from auth_service.keys.rotation import RotationPolicy
from auth_service.keys.signing_key import PrivateKeyEncryption
from auth_service.keys.signing_key_set import SigningKeySet
from auth_service.keys.store import KeyStore
from auth_service.protocol import Clock, RandomBytes
from auth_service.redis_identity import redis_identity
from auth_service.scopes import IDENTITY_SCOPES
from auth_service.settings import SERVICE, AuthSettings
from auth_service.tokens.authorization_codes import AuthorizationCodes
from auth_service.tokens.introspection import Introspection
from auth_service.tokens.issued_tokens import AccessTokenMinter, IdTokenMinter, IssuedTokenVerifier, userinfo_audience
from auth_service.tokens.refresh_tokens import RefreshTokens
from auth_service.tokens.resources import declared_resources
from auth_service.tokens.revocation import Revocation
from auth_service.tokens.revoked_tokens import RevokedTokens
from security_common.audit import open_journal
from security_common.edge import ClientAddressReader
from security_common.service import RedisMonitor, connect_redis, read_secret, serving_metrics

__all__ = ["Core", "create_app"]

# How many wrong secrets of a client from one address cost no waiting, within a quarter of an hour.
_FREE_FAILURES = 10


def create_app(
    settings: AuthSettings,
    *,
    clock: Clock = time.time,
    random_bytes: RandomBytes = secrets.token_bytes,
    fetcher: SsrfSafeFetcher | None = None,
) -> Starlette:
    """The service. Nothing is connected or written before its lifespan starts.

    Raises `SecurityError` with a hint when the declaration or a secret is wrong.
    """
    core = _make_core(settings, clock, random_bytes, fetcher)
    endpoints = _make_endpoints(core)
    edge = Edge(
        issuer=settings.issuer,
        metrics=core.metrics,
        random_bytes=random_bytes,
        client_address=ClientAddressReader(settings.trusted_proxies),
    )
    # Methods are judged by the endpoint itself, which answers 405 in the words of the protocol.
    applications = {endpoint.path: EndpointApp(endpoint, edge) for endpoint in endpoints}
    app = Starlette(routes=[Route(*each) for each in applications.items()], lifespan=partial(_run, core))
    app.router.default = make_not_found(core.resources.default.url)
    # A redirect to the path without its slash would lead wherever the Host header says.
    app.router.redirect_slashes = False
    app.middleware_stack = Paths(applications, app.router)
    app.state.core = core
    return app


def _make_core(
    settings: AuthSettings, clock: Clock, random_bytes: RandomBytes, fetcher: SsrfSafeFetcher | None
) -> Core:
    declaration = load_declaration(settings)
    outgoing = OutgoingFetches.of(declaration.registration, fetcher)
    redis, trail_redis = connect_redis(settings), connect_redis(settings, decode=False)
    journal = open_journal(service=SERVICE, settings=settings.security, redis=trail_redis)
    record = AuditRecorder(journal, clock=clock)
    keeper = ClientSecrets(read_secret(settings.secret_pepper_file, "AUTH_SECRET_PEPPER_FILE"), random_bytes)
    store = ClientStore(redis)
    identity = redis_identity(settings, redis)
    keys = SigningKeySet(
        store=KeyStore(redis),
        identity=identity,
        encryption=PrivateKeyEncryption.load(settings.signing_key_kek_file),
        policy=RotationPolicy.of(settings),
        record=record,
        clock=clock,
        replica=f"{socket.gethostname()}:{os.getpid()}:{random_bytes(4).hex()}",
    )
    return Core(
        settings=settings,
        declaration=declaration,
        redis=redis,
        trail_redis=trail_redis,
        counters=redis_counters(redis, settings.redis_url),
        journal=journal,
        record=record,
        redis_identity=identity,
        redis_monitor=RedisMonitor(redis, durability=settings.redis_durability, prefix="AUTH_"),
        keys=keys,
        secret_keeper=keeper,
        outgoing=outgoing,
        directory=ClientDirectory(
            declared=[make_client(client, keeper) for client in declaration.clients],
            store=store,
            documents=declared_documents(declaration.registration, outgoing=outgoing, store=store, clock=clock),
            clock=clock,
            self_described_scopes=declaration.registration.scopes,
        ),
        resources=declared_resources(declaration),
        minter=AccessTokenMinter(
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


def _make_people(core: Core) -> People:
    settings = core.settings
    revoked = RevokedTokens(core.redis, lifetime_seconds=settings.access_token_lifetime_seconds)
    return People(
        accounts=LocalAccounts(
            store=AccountStore(core.redis), passwords=Passwords(), built_in=(DEMO_ACCOUNT,) if settings.demo else ()
        ),
        consents=Consents(core.redis),
        codes=AuthorizationCodes(
            core.redis,
            random_bytes=core.random_bytes,
            lifetime_seconds=settings.code_lifetime_seconds,
            memory_seconds=settings.access_token_lifetime_seconds,
        ),
        families=RefreshTokens(
            redis=core.redis,
            revoked=revoked,
            pepper=read_secret(settings.secret_pepper_file, "AUTH_SECRET_PEPPER_FILE"),
            clock=core.clock,
            random_bytes=core.random_bytes,
            idle_seconds=settings.refresh_idle_lifetime_seconds,
            absolute_seconds=settings.refresh_absolute_lifetime_seconds,
            grace_seconds=settings.refresh_grace_seconds,
        ),
        reader=IssuedTokenVerifier(
            issuer=settings.issuer, published=lambda: core.keys.published.key_set, clock=core.clock
        ),
        revoked=revoked,
    )


def _make_grants(core: Core, people: People) -> tuple[GrantHandler, ...]:
    lifetime_seconds = core.settings.access_token_lifetime_seconds
    id_tokens = IdTokenMinter(
        issuer=core.settings.issuer, signer=core.keys, clock=core.clock, lifetime_seconds=lifetime_seconds
    )
    tokens = UserTokenMinter(resources=core.resources, minter=core.minter, id_tokens=id_tokens)
    return (
        AuthorizationCodeGrant(
            codes=people.codes,
            refresh_tokens=people.families,
            tokens=tokens,
            failures=make_throttle(core, "code", FREE_GUESSES),
            record=core.record,
        ),
        RefreshTokenGrant(
            refresh_tokens=people.families,
            accounts=people.accounts,
            consents=people.consents,
            tokens=tokens,
            record=core.record,
            clock=core.clock,
        ),
        ClientCredentialsGrant(resources=core.resources, minter=core.minter),
    )


def _make_endpoints(core: Core) -> tuple[Endpoint, ...]:
    """Every endpoint there is. What a room offers here is routed, documented and advertised, nothing else is."""
    settings, people = core.settings, _make_people(core)
    grants = _make_grants(core, people)
    authenticator = _make_authenticator(core)
    reader, revoked, families = people.reader, people.revoked, people.families
    protocol = (
        *browser_endpoints(core, people),
        TokenEndpoint(authenticator=authenticator, grants=grants, record=core.record, metrics=core.metrics).endpoint,
        UserinfoEndpoint(
            audience=userinfo_audience(settings.issuer), tokens=reader, revoked=revoked, accounts=people.accounts
        ).endpoint,
        Introspection(
            authenticator=authenticator, reader=reader, revoked=revoked, refresh=families, issuer=settings.issuer
        ).endpoint,
        Revocation(
            authenticator=authenticator, reader=reader, revoked=revoked, refresh=families, record=core.record
        ).endpoint,
        *_make_registration(core),
    )
    described = metadata(
        issuer=settings.issuer,
        endpoints=protocol,
        grants=[grant.grant_type.value for grant in grants],
        scopes=[*sorted(IDENTITY_SCOPES), *core.resources.default.scopes],
        finds_documents=core.directory.finds_documents,
        documentation_url=settings.documentation_url,
    )
    endpoints = (
        root_endpoint(
            issuer=settings.issuer, resource=core.resources.default.url, documentation_url=settings.documentation_url
        ),
        *protocol,
        *metadata_endpoints(described, advertises_documents=partial(_advertises_documents, core)),
        key_set_endpoint(lambda: core.keys.published),
        *health_endpoints(
            {
                "signing_key": lambda: core.keys.ready,
                "redis_write": partial(can_write, core.redis),
                "redis_identity": lambda: core.redis_identity.problem is None,
                "journal": lambda: core.journal.writable,
            },
            notes=partial(_notes, core),
        ),
    )
    return (*endpoints, openapi_endpoint(endpoints, issuer=settings.issuer))


def _advertises_documents(core: Core) -> bool:
    if not core.directory.finds_documents:
        return False
    return core.outgoing.reachability.is_confirmed or not core.declaration.registration.advertised_once_reachable


async def _notes(core: Core) -> dict[str, str]:
    """What an operator should know about Redis, with readiness or without."""
    replaced, health = core.redis_identity.problem, await core.redis_monitor.health()
    notes = {"redis": "; ".join(health.notes)} if health.notes else {}
    return notes | ({"redis_identity": f"{replaced.description}; {replaced.hint}"} if replaced else {})


def _make_authenticator(core: Core) -> ClientAuthenticator:
    issuer = core.settings.issuer
    return ClientAuthenticator(
        directory=core.directory,
        secrets=core.secret_keeper,
        assertions=AssertionVerifier(
            audiences=frozenset({issuer, f"{issuer}/", f"{issuer}/oauth2/token"}),
            redis=core.redis,
            keys=ClientKeys(outgoing=core.outgoing, clock=core.clock),
            clock=core.clock,
        ),
        throttle=Throttle(name="client", storage=core.counters, clock=core.clock, free=_FREE_FAILURES),
        record=core.record,
    )


def _make_registration(core: Core) -> tuple[Endpoint, ...]:
    policy = core.declaration.registration
    if not policy.registers:
        return ()
    token = policy.initial_access_token_file if policy.dynamic is Openness.LISTED else None
    registration = Registration(
        store=ClientStore(core.redis),
        secrets=core.secret_keeper,
        record=core.record,
        throttle=registration_throttle(core.settings.registration_limit, storage=core.counters, clock=core.clock),
        clock=core.clock,
        random_bytes=core.random_bytes,
        scopes=policy.scopes,
        initial_access_token=read_secret(token, "initial_access_token_file") if token else None,
    )
    return (registration.endpoint,)


@asynccontextmanager
async def _run(core: Core, _app: Starlette) -> AsyncGenerator[None]:
    """The lifespan: all that the service has open, closed again in the opposite order."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(core.outgoing.close)
        if core.declaration.registration.advertised_once_reachable and core.directory.finds_documents:
            core.outgoing.reachability.start()
        stack.push_async_callback(core.redis.aclose)
        stack.push_async_callback(core.trail_redis.aclose)
        await core.journal.start()
        stack.push_async_callback(core.journal.stop)
        stack.push_async_callback(core.record.stop)
        await core.keys.start()
        await note_applied(core.declaration, core.redis, core.record)
        stack.push_async_callback(core.keys.stop)
        core.metrics.signing_key_age_seconds.set_function(lambda: core.keys.active_age_seconds)
        stack.enter_context(serving_metrics(core.settings, core.metrics.registry))
        yield
