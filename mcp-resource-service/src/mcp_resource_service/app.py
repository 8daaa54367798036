"""The composition root: creates every part of the service and connects them."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import httpx2
import structlog
from fastapi import FastAPI
from redis.asyncio import Redis

from mcp_resource_service.audit_page import AuditPage, OAuthSignIn, open_sessions
from mcp_resource_service.directory import Directory, parse_people
from mcp_resource_service.issuer_endpoints import trusted_issuers
from mcp_resource_service.records import RecordStore
from mcp_resource_service.redis_identity import open_redis_identity
from mcp_resource_service.rest import SECURITY_SCHEME, Metrics, add_routes, make_readiness
from mcp_resource_service.rest.start_page import make_start_page
from mcp_resource_service.scopes import ACCESS_SCOPE
from mcp_resource_service.settings import SERVICE, ResourceSettings
from mcp_resource_service.store_errors import StoreUnavailable
from mcp_resource_service.tools import LONG_TOOLS, McpEndpoint, ToolDependencies, build_mcp
from security_common import tool_policy
from security_common.audit import Journal, link_audit_log, open_journal
from security_common.audit.event_index.searchable_trail import SearchableTrail
from security_common.audit.reading import KeyInUse, live_detection
from security_common.encryption import EncryptionService, open_encryption_service
from security_common.fastmcp import ServiceUnavailableMiddleware
from security_common.guard import Guard, ProtectedResource, ToolScopes
from security_common.guard.request_rates import RequestRates
from security_common.pii import open_pii_detector
from security_common.service import RedisIdentity, RedisMonitor, connect_redis, read_secret, serving_metrics
from security_common.service.api_docs import DOCS_PATH
from security_common.service.browser_pages import BrowserPages
from security_common.service.health import health_router
from security_common.service.request_metrics import MeasuredRequests
from security_common.service.resource_server import guard_policy, placeholder_store, status_policy
from security_common.service.service_metrics import watch_service
from security_common.service.status_list_metrics import watch_status_lists
from security_common.service.web_application import WebApplication, icon_router
from security_common.task_cancellation import cancel_tasks
from security_common.tokens import TokenVerifier
from security_common.tool_policy.pseudonyms import KeyedPseudonyms, to_consonants

__all__ = ["SERVICE", "create_app"]

HTTP_SECONDS = 5.0
DEMO_RETRY_SECONDS = 2.0
log = structlog.get_logger("mcp_resource_service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The parts of the service, each created once."""

    settings: ResourceSettings
    redis: Redis
    identity: RedisIdentity
    http: httpx2.AsyncClient
    journal: Journal
    verifier: TokenVerifier
    trail_redis: Redis
    trail: SearchableTrail
    metrics: Metrics
    tool_dependencies: ToolDependencies


def create_app(settings: ResourceSettings) -> FastAPI:
    """Returns the service as one application. It connects to nothing and writes nothing before its lifespan starts.

    It configures `tool_policy` and FastMCP for the whole process, so a process can have one application only.

    Raises `SecurityError` with a hint when a secret is not valid.
    """
    core = _make_core(settings)
    mcp, tool_scopes = build_mcp(core.tool_dependencies)
    endpoint = McpEndpoint(mcp, path=settings.mcp_path, long_tools=LONG_TOOLS)
    app = WebApplication(
        title="MCP resource service",
        version=core.tool_dependencies.version,
        description="An MCP server that is protected by OAuth, and further HTTP endpoints.",
        server_url=settings.origin,
        serves_docs=settings.shows_api_docs(demo=settings.demo),
        security_schemes=_security_schemes(settings),
        lifespan=partial(_run, core, endpoint),
    )
    add_routes(app, _information(settings), mcp_path=settings.mcp_path, mcp=ServiceUnavailableMiddleware(endpoint))
    app.include_router(health_router(core.tool_dependencies.readiness))
    app.include_router(icon_router())
    audit_page = _audit_page(core)
    if audit_page is not None:
        app.include_router(audit_page.router())
        app.add_error_page("/audit", audit_page.error_page)
    _add_guard(app, core, tool_scopes, open_prefixes=_open_prefixes(settings, has_audit_page=audit_page is not None))
    app.add_middleware(
        BrowserPages,
        start_page=make_start_page(
            origin=settings.origin,
            resource=settings.resource,
            issuer=settings.issuer,
            has_audit_page=audit_page is not None,
            shows_api_docs=settings.shows_api_docs(demo=settings.demo),
        ),
        readiness=core.tool_dependencies.readiness,
        origin=settings.origin,
    )
    app.add_middleware(MeasuredRequests, metrics=core.metrics.requests)  # the last one is the outermost
    app.state.readiness = core.tool_dependencies.readiness
    app.state.metrics_registry = core.metrics.registry
    return app


def _security_schemes(settings: ResourceSettings) -> dict[str, Any]:
    return {
        SECURITY_SCHEME: {
            # Not openIdConnect: Swagger UI would fetch the issuer's metadata, which the policy of its page forbids.
            "type": "http",
            "scheme": "bearer",
            "description": f"An access token of {settings.issuer} for {settings.resource}.",
        }
    }


def _make_core(settings: ResourceSettings) -> Core:
    redis = connect_redis(settings)
    http = httpx2.AsyncClient(timeout=HTTP_SECONDS)
    journal = open_journal(service=SERVICE, settings=settings.security, redis=redis)
    # It returns bytes: an entry of the stream that is not UTF-8 must not stop the feed of the index.
    trail_redis = connect_redis(settings, decode=False)
    trail = SearchableTrail(trail_redis, settings.security, service=SERVICE)
    verifier = TokenVerifier(trusted_issuers(settings), http=http, status_policy=status_policy(settings))
    encryption = open_encryption_service(settings.security)
    detector = open_pii_detector(settings.security)
    key_file = settings.security.pseudonym_key_file
    pseudonyms = KeyedPseudonyms(key_file) if key_file else None
    tool_policy.configure(
        journal=journal,
        detector=detector,
        encryption=encryption,
        pseudonyms=pseudonyms,
        placeholders=placeholder_store(settings, redis, encryption, pseudonyms, key_prefix="mcp"),
    )
    metrics = Metrics(paths=("/", "/hello", "/livez", "/readyz", "/audit", settings.mcp_path))
    metrics.keys_usable.set_function(lambda: verifier.ready)
    metrics.watch_keys(verifier.keys)
    watch_status_lists(metrics.registry, verifier.statuses, prefix="mcp")
    watch_service(metrics.registry, prefix="mcp", service=SERVICE, journal=journal, redis=redis)
    metrics.journal_writable.set_function(lambda: journal.writable)
    metrics.watch_index(trail.feed)
    started_at = time.monotonic()
    identity = open_redis_identity(settings, redis)
    tool_dependencies = ToolDependencies(
        settings=settings,
        version=version("mcp-oauth2-mcp-resource-service"),
        trail=trail,
        http=http,
        records=RecordStore(
            redis,
            encryption,
            clock=time.time,
            new_id=_new_id,
            per_owner=settings.records_per_owner,
            waits_for_disk=settings.redis_durability != "memory",
        ),
        directory=Directory(redis, encryption),
        detector=detector,
        encryption=encryption,
        readiness=make_readiness(
            verifier=verifier,
            issuer=settings.issuer,
            journal=journal,
            redis=RedisMonitor(redis, durability=settings.redis_durability, prefix="MCP_"),
            identity=identity,
        ),
        clock=time.time,
        uptime_seconds=lambda: time.monotonic() - started_at,
        keys_in_use=lambda: _keys_in_use(encryption, verifier),
    )
    return Core(
        settings=settings,
        redis=redis,
        identity=identity,
        http=http,
        journal=journal,
        verifier=verifier,
        trail_redis=trail_redis,
        trail=trail,
        metrics=metrics,
        tool_dependencies=tool_dependencies,
    )


def _keys_in_use(encryption: EncryptionService, verifier: TokenVerifier) -> list[KeyInUse]:
    keys = [KeyInUse("stored data", key_id, state) for key_id, state in encryption.key_states().items()]
    for issuer, key_ids in verifier.key_ids().items():
        keys += [KeyInUse(f"tokens of {issuer}", key_id, "published") for key_id in key_ids]
    return keys


def _new_id() -> str:
    return to_consonants(secrets.token_bytes(12))


def _information(settings: ResourceSettings) -> dict[str, Any]:
    return {
        "name": SERVICE,
        "version": version("mcp-oauth2-mcp-resource-service"),
        "mcp": settings.resource,
        "hello": f"{settings.origin}/hello",
        "authorization_servers": [settings.issuer],
        "documentation": settings.documentation_url,
    }


def _audit_page(core: Core) -> AuditPage | None:
    settings = core.settings
    if settings.audit_page_private_key_file is None or settings.cookie_key_file is None:
        log.info("no_audit_page", hint="set MCP_AUDIT_PAGE_PRIVATE_KEY_FILE and MCP_COOKIE_KEY_FILE to have one")
        return None
    cookie_key = read_secret(settings.cookie_key_file, "MCP_COOKIE_KEY_FILE")
    return AuditPage(
        oauth=OAuthSignIn(
            settings, settings.audit_page_private_key_file, http=core.http, verifier=core.verifier, clock=time.time
        ),
        sessions=open_sessions(core.redis, cookie_key),
        trail=core.trail,
        journal=core.journal,
        detector=core.tool_dependencies.detector,
        origin=settings.origin,
        issuer=settings.issuer,
        time_zone=settings.security.time_zone,
        clock=time.time,
    )


def _open_prefixes(settings: ResourceSettings, *, has_audit_page: bool) -> tuple[str, ...]:
    """Only what is served: below an open prefix, the body of a request without a token is read."""
    prefixes = {"/audit": has_audit_page, DOCS_PATH: settings.shows_api_docs(demo=settings.demo)}
    return tuple(prefix for prefix, is_served in prefixes.items() if is_served)


def _add_guard(app: WebApplication, core: Core, tool_scopes: ToolScopes, *, open_prefixes: tuple[str, ...]) -> None:
    settings = core.settings
    app.add_middleware(
        Guard,
        verifier=core.verifier,
        resource=ProtectedResource(
            url=settings.resource,
            authorization_servers=(settings.issuer, *(each.issuer for each in settings.trusted_issuers)),
            scopes=(ACCESS_SCOPE,),
            documentation=settings.documentation_url,
        ),
        journal=core.journal,
        tool_scopes=tool_scopes,
        policy=guard_policy(settings, open_prefixes=open_prefixes),
        rates=RequestRates(settings.requests_per_minute, redis=core.redis),
    )


@asynccontextmanager
async def _run(core: Core, endpoint: McpEndpoint, _app: FastAPI) -> AsyncGenerator[None]:
    """The lifespan: opens the parts, and closes them in the opposite order."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(core.redis.aclose)
        stack.push_async_callback(core.trail_redis.aclose)
        await stack.enter_async_context(core.http)
        # Before the journal: when that stops it ships its last events, which the index then has as well.
        await stack.enter_async_context(core.trail.running())
        await core.journal.start()
        stack.push_async_callback(core.journal.stop)
        _link_audit_log(core.settings)
        await stack.enter_async_context(core.identity.watching())
        await stack.enter_async_context(
            live_detection(core.redis, core.journal, core.settings.security, on_alert=core.metrics.count_alert)
        )
        await stack.enter_async_context(endpoint.lifespan())
        stack.enter_context(serving_metrics(core.settings, core.metrics.registry))
        if core.settings.demo:
            log.warning("demo_mode", notice="synthetic directory and create_test_token: not for production")
            task = asyncio.create_task(_fill_demo_directory(core.tool_dependencies.directory))
            stack.push_async_callback(cancel_tasks, task)
        yield


def _link_audit_log(settings: ResourceSettings) -> None:
    link = settings.security.audit_dir.parent / "security_audit.log"
    try:
        link_audit_log(settings.security, service=SERVICE, link=link)
    except OSError as failure:
        log.info("audit_log_link_skipped", path=str(link), reason=failure.strerror)


async def _fill_demo_directory(directory: Directory) -> None:
    """Stores the synthetic people; repeats that until Redis answers."""
    text = files("mcp_resource_service.directory").joinpath("demo_people.jsonl").read_text(encoding="utf-8")
    people = list(parse_people(text, make_id=lambda _: ""))
    while True:
        try:
            await directory.put(people)
        except StoreUnavailable:
            await asyncio.sleep(DEMO_RETRY_SECONDS)
        else:
            return
