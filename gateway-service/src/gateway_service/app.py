"""The composition root: creates every part of the gateway and connects them."""

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import httpx2
import structlog
from fastapi import FastAPI, HTTPException
from redis.asyncio import Redis

from gateway_service.catalogue.catalogue import ALL
from gateway_service.catalogue.change_events import ChangeEvents
from gateway_service.catalogue.lock_file import NOTHING_PINNED_HINT
from gateway_service.catalogue.lock_signatures import load_lock
from gateway_service.declaration import GatewayDeclaration
from gateway_service.generation import Generation, GenerationMaker, protected_resource
from gateway_service.metrics import MeasuredState, Metrics
from gateway_service.readiness import make_readiness
from gateway_service.redis_identity import KEY_PREFIX, open_redis_identity
from gateway_service.relay import CallRecords, InputRequests
from gateway_service.reload import Reloader
from gateway_service.settings import ACCESS_SCOPE, SERVICE, GatewaySettings
from gateway_service.start_page import make_start_page
from gateway_service.upstreams import HttpConnections
from security_common.audit import Journal, open_journal
from security_common.edge import Application, Receive, Scope, Send
from security_common.encryption import EncryptionService, Keyring, open_encryption_service
from security_common.guard import FurtherResource, Guard
from security_common.guard.request_rates import RequestRates
from security_common.pii import open_pii_detector
from security_common.service import RedisIdentity, RedisMonitor, connect_redis, serving_metrics
from security_common.service.api_docs import DOCS_PATH
from security_common.service.browser_pages import BrowserPages
from security_common.service.health import Readiness, health_router
from security_common.service.request_metrics import MeasuredRequests
from security_common.service.resource_server import guard_policy, placeholder_store, status_policy
from security_common.service.service_metrics import watch_service
from security_common.service.status_list_metrics import watch_status_lists
from security_common.service.web_application import WebApplication, icon_router
from security_common.tokens import TokenVerifier
from security_common.tool_policy.policy import PIIPolicy
from security_common.tool_policy.policy_dependencies import PolicyDependencies
from security_common.tool_policy.pseudonyms import KeyedPseudonyms

__all__ = ["Gateway", "create_app"]

HTTP_SECONDS = 5.0
SECURITY_SCHEME = "access_token"

log = structlog.get_logger("gateway_service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The parts of the service, each created once."""

    settings: GatewaySettings
    redis: Redis
    identity: RedisIdentity
    http: httpx2.AsyncClient
    connections: HttpConnections
    journal: Journal
    verifier: TokenVerifier
    metrics: Metrics
    reloader: Reloader
    readiness: Readiness
    guards: list[Guard]


def create_app(settings: GatewaySettings, declaration: GatewayDeclaration) -> FastAPI:
    """Returns the gateway as one application. It connects to nothing and writes nothing before its lifespan starts.

    Raises `SecurityError` with a hint when a secret is not valid.
    """
    gateway = _make_gateway(settings, declaration)
    app = WebApplication(
        title="MCP gateway",
        version=version("mcp-oauth2-gateway-service"),
        description="MCP servers behind OAuth, with a policy for personal data and an audit trail.",
        server_url=settings.origin,
        serves_docs=settings.shows_api_docs(demo=False),
        security_schemes={SECURITY_SCHEME: {"type": "http", "scheme": "bearer"}},
        lifespan=partial(_run, gateway),
    )
    app.add_changing_asgi_routes(
        lambda path: gateway.reloader.current.endpoint_at(path) is not None,
        partial(_serve_address, gateway),
        methods=("POST",),
    )
    _describe_addresses(app, settings, declaration)
    app.include_router(health_router(gateway.readiness))
    app.include_router(icon_router())
    _add_guard(app, gateway)
    app.add_middleware(
        BrowserPages,
        start_page=make_start_page(
            origin=settings.origin,
            resource=settings.resource,
            issuer=settings.issuer,
            shows_api_docs=settings.shows_api_docs(demo=False),
        ),
        readiness=gateway.readiness,
        origin=settings.origin,
    )
    app.add_middleware(MeasuredRequests, metrics=gateway.metrics.requests)  # the last one is the outermost
    app.state.readiness = gateway.readiness
    app.state.metrics_registry = gateway.metrics.registry
    app.state.journal = gateway.journal
    return app


def _make_gateway(settings: GatewaySettings, declaration: GatewayDeclaration) -> Gateway:
    redis = connect_redis(settings)
    http = httpx2.AsyncClient(timeout=HTTP_SECONDS)
    connections = HttpConnections()
    journal = open_journal(service=SERVICE, settings=settings.security, redis=redis)
    issuer = settings.trusted_issuer(declaration.names)
    verifier = TokenVerifier([issuer], http=http, status_policy=status_policy(settings))
    dependencies = _policy_dependencies(settings, declaration, journal, redis)
    metrics = Metrics(paths=("/livez", "/readyz", *map(settings.path_of, (ALL, *declaration.names))))
    metrics.keys_usable.set_function(lambda: verifier.ready)
    watch_status_lists(metrics.registry, verifier.statuses, prefix="gateway")
    watch_service(metrics.registry, prefix="gateway", service=SERVICE, journal=journal, redis=redis)
    metrics.journal_writable.set_function(lambda: journal.writable)
    identity = open_redis_identity(settings, redis)
    maker = GenerationMaker(
        settings=settings,
        http=http,
        connections=connections,
        dependencies=dependencies,
        events=ChangeEvents(journal),
        records=CallRecords(journal),
        input_requests=InputRequests(_encryption_of_states(settings, dependencies)),
    )
    guards: list[Guard] = []

    def publish(generation: Generation) -> None:
        """Makes the parts that live longer than a generation use the new one. Nothing is awaited in between."""
        verifier.replace_issuer(settings.trusted_issuer(generation.declaration.names))
        metrics.requests.count_separately(list(map(settings.path_of, generation.declaration.names)))
        for guard in guards:
            guard.replace_resources(
                generation.catalogue.addresses[ALL].tool_scopes, _further_resources(settings, generation)
            )

    first = maker.make(declaration, load_lock(settings.lock_file, settings.lock_keys_file))
    reloader = Reloader(maker, first, journal=journal, on_change=publish, environment=os.environ)
    metrics.watch(partial(_measured_state, reloader))
    return Gateway(
        settings=settings,
        redis=redis,
        identity=identity,
        http=http,
        connections=connections,
        journal=journal,
        verifier=verifier,
        metrics=metrics,
        reloader=reloader,
        guards=guards,
        readiness=make_readiness(
            verifier=verifier,
            journal=journal,
            redis=RedisMonitor(redis, durability=settings.redis_durability, prefix="GATEWAY_"),
            identity=identity,
            current=lambda: reloader.current,
            reload_problem=lambda: reloader.problem,
        ),
    )


def _measured_state(reloader: Reloader) -> MeasuredState:
    generation = reloader.current
    return MeasuredState(
        declaration_digest=generation.declaration.digest,
        lock_digest=generation.lock_digest,
        is_applied=reloader.problem is None,
        catalogue=generation.catalogue,
        upstreams=generation.upstreams,
    )


async def _serve_address(gateway: Gateway, scope: Scope, receive: Receive, send: Send) -> None:
    endpoint = gateway.reloader.current.endpoint_at(scope["path"])
    if endpoint is None:  # a reload has removed the address since the request was routed
        raise HTTPException(status_code=404)
    await endpoint(scope, receive, send)


def _policy_dependencies(
    settings: GatewaySettings, declaration: GatewayDeclaration, journal: Journal, redis: Redis
) -> PolicyDependencies:
    """Raises `SecurityError` if a policy of the declaration needs a key that is not configured."""
    key_file = settings.security.pseudonym_key_file
    pseudonyms = KeyedPseudonyms(key_file) if key_file else None
    needs_key = PIIPolicy.ENCRYPT in declaration.policies or pseudonyms is not None
    encryption = open_encryption_service(settings.security) if needs_key or _has_key(settings) else None
    return PolicyDependencies(
        journal=journal,
        detector=open_pii_detector(settings.security),
        encryption=encryption,
        pseudonyms=pseudonyms,
        placeholders=placeholder_store(settings, redis, encryption, pseudonyms, key_prefix=KEY_PREFIX),
    )


def _has_key(settings: GatewaySettings) -> bool:
    return settings.security.encryption_key_file is not None or settings.security.encryption_key is not None


def _encryption_of_states(settings: GatewaySettings, dependencies: PolicyDependencies) -> EncryptionService:
    """Seals the state of input requests. Without a key of its own, this process alone can open what it has sealed."""
    if _has_key(settings):
        return dependencies.encryption
    keyring = Keyring.generate()
    return EncryptionService(lambda: keyring)


def _describe_addresses(app: WebApplication, settings: GatewaySettings, declaration: GatewayDeclaration) -> None:
    """Adds the addresses to the OpenAPI document."""
    for name in (ALL, *declaration.names):
        app.describe_path(settings.path_of(name), {"post": _operation(name)})


def _operation(upstream: str) -> dict[str, Any]:
    """The OpenAPI operation of an address."""
    message = {"type": "object", "required": ["jsonrpc", "method"]}
    return {
        "tags": ["mcp"],
        "operationId": f"mcp_{upstream}" if upstream else "mcp",
        "summary": f"One JSON-RPC message of MCP for {upstream or 'all upstreams'}",
        "security": [{SECURITY_SCHEME: [ACCESS_SCOPE]}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": message}}},
        "responses": {
            "200": {"description": "The answer", "content": {"application/json": {}, "text/event-stream": {}}},
            "202": {"description": "A notification was accepted."},
            "400": {"description": "A header or the body is malformed, or the two differ."},
            "401": {"description": "The token is missing or not valid for this address (RFC 6750 section 3)."},
            "403": {"description": "A scope is missing: `insufficient_scope` names every scope that is needed."},
            "503": {"description": "Temporarily unavailable: try again after `Retry-After` seconds."},
        },
    }


def _add_guard(app: WebApplication, gateway: Gateway) -> None:
    settings, generation = gateway.settings, gateway.reloader.current

    def make_guard(protected: Application) -> Guard:
        guard = Guard(
            protected,
            verifier=gateway.verifier,
            resource=protected_resource(settings, settings.resource),
            journal=gateway.journal,
            tool_scopes=generation.catalogue.addresses[ALL].tool_scopes,
            further_resources=_further_resources(settings, generation),
            policy=guard_policy(
                settings,
                open_prefixes=(DOCS_PATH,) if settings.shows_api_docs(demo=False) else (),
                hands_on_document=True,
            ),
            rates=RequestRates(settings.requests_per_minute, redis=gateway.redis, key_prefix=f"{KEY_PREFIX}:rates"),
        )
        gateway.guards.append(guard)
        return guard

    app.add_middleware(make_guard)


def _further_resources(settings: GatewaySettings, generation: Generation) -> list[FurtherResource]:
    addresses = generation.catalogue.addresses
    return [
        FurtherResource(
            protected_resource(settings, settings.resource_of(name)),
            addresses[name].tool_scopes,
            addresses[name].recorded_names,
        )
        for name in generation.declaration.names
    ]


@asynccontextmanager
async def _run(gateway: Gateway, _app: FastAPI) -> AsyncGenerator[None]:
    """The lifespan: opens the parts, and closes them in the opposite order."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(gateway.redis.aclose)
        await stack.enter_async_context(gateway.http)
        await stack.enter_async_context(gateway.connections)
        await gateway.journal.start()
        stack.push_async_callback(gateway.journal.stop)
        await stack.enter_async_context(gateway.identity.watching())
        stack.enter_context(serving_metrics(gateway.settings, gateway.metrics.registry))
        await stack.enter_async_context(gateway.reloader.running())
        for notice in gateway.reloader.current.declaration.notices:
            log.warning("declaration_notice", notice=notice)
        if gateway.reloader.current.lock_digest is None:
            log.warning("nothing_is_pinned", file=str(gateway.settings.lock_file), hint=NOTHING_PINNED_HINT)
        yield
