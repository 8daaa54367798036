"""The composition root: creates every part of the gateway and connects them."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import httpx2
import structlog
from fastapi import FastAPI
from redis.asyncio import Redis

from gateway_service.catalogue import Catalogue, CatalogueRefresh, OfferedComponents
from gateway_service.catalogue.catalogue import ALL
from gateway_service.catalogue.change_events import ChangeEvents
from gateway_service.catalogue.lock_file import NOTHING_PINNED_HINT, read_lock
from gateway_service.credentials import CredentialOpener
from gateway_service.declaration import GatewayDeclaration
from gateway_service.metrics import Metrics
from gateway_service.readiness import make_readiness
from gateway_service.redis_identity import KEY_PREFIX, open_redis_identity
from gateway_service.relay import (
    CallRecords,
    ComponentRequests,
    InputRequests,
    McpEndpoint,
    RelayedCalls,
    RunningRequests,
    ToolCalls,
)
from gateway_service.relay.listing import Listing
from gateway_service.settings import ACCESS_SCOPE, SERVICE, GatewaySettings
from gateway_service.upstreams import HttpConnections, Upstream
from security_common.audit import Journal, open_journal
from security_common.encryption import EncryptionService, Keyring, open_encryption_service
from security_common.guard import FurtherResource, Guard, ProtectedResource
from security_common.guard.request_rates import RequestRates
from security_common.pii import open_pii_detector
from security_common.service import RedisIdentity, RedisMonitor, connect_redis, serving_metrics
from security_common.service.api_docs import DOCS_PATH
from security_common.service.health import Readiness, health_router
from security_common.service.request_metrics import MeasuredRequests
from security_common.service.resource_server import guard_policy, placeholder_store
from security_common.service.web_application import WebApplication, icon_router
from security_common.tokens import TokenVerifier
from security_common.tool_policy import walk_without_call
from security_common.tool_policy.mcp_messages import protect_parameters
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
    declaration: GatewayDeclaration
    redis: Redis
    identity: RedisIdentity
    http: httpx2.AsyncClient
    connections: HttpConnections
    journal: Journal
    verifier: TokenVerifier
    metrics: Metrics
    catalogue: Catalogue
    upstreams: Sequence[Upstream]
    refresh: CatalogueRefresh
    components: OfferedComponents
    calls: ToolCalls
    requests: ComponentRequests
    readiness: Readiness


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
    by_name = {upstream.name: upstream for upstream in gateway.upstreams}
    running = RunningRequests()
    for name, address in gateway.catalogue.addresses.items():
        path = settings.mcp_path if name == ALL else f"{settings.mcp_path}/{name}"
        endpoint = McpEndpoint(
            address,
            gateway.components.addresses[name],
            _resource(settings, settings.resource_of(name) if name != ALL else settings.resource),
            tools=gateway.calls,
            requests=gateway.requests,
            listing=Listing(address, gateway.catalogue, gateway.components, by_name.get(name)),
            running=running,
        )
        app.add_asgi_route(path, endpoint, methods=("POST",), operations={"post": _operation(name)})
        app.add_asgi_route(f"{path}/", endpoint, methods=("POST",))  # many users type the slash
    app.include_router(health_router(gateway.readiness))
    app.include_router(icon_router())
    _add_guard(app, gateway)
    app.add_middleware(MeasuredRequests, metrics=gateway.metrics.requests)  # the last one is the outermost
    app.state.readiness = gateway.readiness
    app.state.journal = gateway.journal
    return app


def _make_gateway(settings: GatewaySettings, declaration: GatewayDeclaration) -> Gateway:
    declaration.require_trusted_programs(is_local=settings.is_local)
    redis = connect_redis(settings)
    http = httpx2.AsyncClient(timeout=HTTP_SECONDS)
    connections = HttpConnections()
    journal = open_journal(service=SERVICE, settings=settings.security, redis=redis)
    issuer = settings.trusted_issuer(declaration.names)
    verifier = TokenVerifier([issuer], http=http)
    dependencies = _policy_dependencies(settings, declaration, journal, redis)
    lock = read_lock(settings.lock_file)
    catalogue = Catalogue(declaration, dependencies.detector.configuration, is_local=settings.is_local, lock=lock)
    credentials = CredentialOpener.of(settings, declaration, http)
    mask = dependencies.detector.mask_text
    upstreams = [Upstream(each, connections, credentials.open(each), mask=mask) for each in declaration.upstreams]
    components = OfferedComponents(declaration, partial(_protect_definition, dependencies), catalogue.approved)
    refresh = CatalogueRefresh(
        catalogue,
        upstreams,
        interval_seconds=settings.refresh_seconds,
        events=ChangeEvents(journal),
        components=components,
    )
    paths = [settings.mcp_path, *(f"{settings.mcp_path}/{name}" for name in declaration.names)]
    metrics = Metrics(paths=("/livez", "/readyz", *paths))
    metrics.keys_usable.set_function(lambda: verifier.ready)
    metrics.journal_writable.set_function(lambda: journal.writable)
    metrics.watch_upstreams(upstreams, catalogue.is_described)
    identity = open_redis_identity(settings, redis)
    records = CallRecords(journal)
    calls = RelayedCalls(
        {upstream.name: upstream for upstream in upstreams},
        dependencies=dependencies,
        records=records,
        input_requests=InputRequests(_encryption_of_states(settings)),
    )
    return Gateway(
        settings=settings,
        declaration=declaration,
        redis=redis,
        identity=identity,
        http=http,
        connections=connections,
        journal=journal,
        verifier=verifier,
        metrics=metrics,
        catalogue=catalogue,
        upstreams=upstreams,
        refresh=refresh,
        components=components,
        calls=ToolCalls(calls, catalogue, records),
        requests=ComponentRequests(calls, records),
        readiness=make_readiness(
            verifier=verifier,
            journal=journal,
            redis=RedisMonitor(redis, durability=settings.redis_durability, prefix="GATEWAY_"),
            identity=identity,
            catalogue=catalogue,
            refresh=refresh,
            upstreams=upstreams,
        ),
    )


def _policy_dependencies(
    settings: GatewaySettings, declaration: GatewayDeclaration, journal: Journal, redis: Redis
) -> PolicyDependencies:
    """Raises `SecurityError` if a policy of the declaration needs a key that is not configured."""
    key_file = settings.security.pseudonym_key_file
    pseudonyms = KeyedPseudonyms(key_file) if key_file else None
    needs_key = PIIPolicy.ENCRYPT in declaration.policies or pseudonyms is not None
    encryption = open_encryption_service(settings.security) if needs_key else None
    return PolicyDependencies(
        journal=journal,
        detector=open_pii_detector(settings.security),
        encryption=encryption,
        pseudonyms=pseudonyms,
        placeholders=placeholder_store(settings, redis, encryption, pseudonyms, key_prefix=KEY_PREFIX),
    )


def _protect_definition(
    dependencies: PolicyDependencies, policy: PIIPolicy, definition: dict[str, Any]
) -> dict[str, Any]:
    """The definition of a prompt or resource as it may be shown: with personal data masked, unless it is observed."""
    if policy is PIIPolicy.OBSERVE:
        return definition
    return protect_parameters(walk_without_call(dependencies), definition)


def _encryption_of_states(settings: GatewaySettings) -> EncryptionService:
    """Seals the state of input requests. Without a key of its own, this process alone can open what it has sealed."""
    if settings.security.encryption_key_file is not None or settings.security.encryption_key is not None:
        return open_encryption_service(settings.security)
    keyring = Keyring.generate()
    return EncryptionService(lambda: keyring)


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
    settings, addresses = gateway.settings, gateway.catalogue.addresses
    further = [
        FurtherResource(
            _resource(settings, settings.resource_of(name)), addresses[name].tool_scopes, addresses[name].recorded_names
        )
        for name in gateway.declaration.names
    ]
    app.add_middleware(
        Guard,
        verifier=gateway.verifier,
        resource=_resource(settings, settings.resource),
        journal=gateway.journal,
        tool_scopes=addresses[ALL].tool_scopes,
        further_resources=further,
        policy=guard_policy(settings, open_prefixes=(DOCS_PATH,) if settings.shows_api_docs(demo=False) else ()),
        rates=RequestRates(settings.requests_per_minute, redis=gateway.redis, key_prefix=f"{KEY_PREFIX}:rates"),
    )


def _resource(settings: GatewaySettings, url: str) -> ProtectedResource:
    return ProtectedResource(
        url=url,
        authorization_servers=(settings.issuer,),
        scopes=(ACCESS_SCOPE,),
        documentation=settings.documentation_url,
    )


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
        for upstream in gateway.upstreams:
            stack.push_async_callback(upstream.close)
        gateway.refresh.start()
        stack.push_async_callback(gateway.refresh.stop)
        for notice in gateway.declaration.notices:
            log.warning("declaration_notice", notice=notice)
        if not gateway.settings.lock_file.exists():
            log.warning("nothing_is_pinned", file=str(gateway.settings.lock_file), hint=NOTHING_PINNED_HINT)
        yield
