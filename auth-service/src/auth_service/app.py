"""The composition root: it builds every part and connects them."""

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from auth_service.accounts.store import AccountStore
from auth_service.applied_declaration import record_applied_declaration
from auth_service.clients import registration
from auth_service.clients.authentication import ClientAuthenticator
from auth_service.clients.client_assertions import AssertionVerifier, assertion_audiences
from auth_service.clients.client_keys import ClientKeys
from auth_service.clients.ssrf_safe_fetch import SsrfSafeFetcher
from auth_service.clients.store import ClientStore
from auth_service.declaration import Openness
from auth_service.discovery.root import make_root_router
from auth_service.discovery.server_metadata import make_discovery_router, server_metadata
from auth_service.discovery.start_page import make_start_page
from auth_service.errors import OAuthError
from auth_service.federation.backchannel_logout import BackchannelLogout
from auth_service.federation.declared_issuers import check_declared_issuers
from auth_service.federation.id_jag_rules import ID_JAG_PROFILE
from auth_service.grant_handlers import accepts_id_jags, make_grants, make_jwt_bearer_grant
from auth_service.grants.endpoint import TokenEndpoint
from auth_service.http.application import AuthApplication, Endpoints, PlainEndpoint, paths_of
from auth_service.http.dependencies import context_of
from auth_service.http.rate_limits import Throttle
from auth_service.page_routers import make_page_routers
from auth_service.paths import (
    ACCOUNT_PATH,
    KEY_SET_PATH,
    METADATA_PATHS,
    REGISTRATION_PATH,
    REVOCATION_PATH,
    SCIM_PATH,
    TOKEN_PATH,
    USERINFO_PATH,
)
from auth_service.protocol import Clock, RandomBytes
from auth_service.provisioning.provisioned_users import ProvisionedUsers
from auth_service.provisioning.scim_endpoints import ScimEndpoints
from auth_service.provisioning.scim_errors import render_scim_error
from auth_service.provisioning.scim_tokens import ScimTokens
from auth_service.readiness import make_readiness
from auth_service.scopes import IDENTITY_SCOPES
from auth_service.service_parts import ServiceParts, build_parts
from auth_service.settings import AuthSettings
from auth_service.token_status.published_lists import PublishedStatusLists
from auth_service.tokens.introspection import IntrospectionEndpoint
from auth_service.tokens.issued_tokens import userinfo_audience
from auth_service.tokens.revocation import RevocationEndpoint
from auth_service.tokens.userinfo import UserinfoEndpoint
from auth_service.web.error_pages import render_error_page
from auth_service.web.pages import Pages, make_asset_router
from auth_service.workloads.weak_conditions import log_weak_conditions
from security_common.service import read_secret, serving_metrics
from security_common.service.health import Readiness, health_router
from security_common.service.web_application import OPENAPI_PATH

__all__ = ["create_app"]

# How many wrong secrets of a client from one address within 15 minutes are answered without a waiting time.
_FREE_FAILURES = 10

# What applications that run in a browser need. Endpoints with cookies or redirects must not be here.
_CROSS_ORIGIN_PATHS = (
    TOKEN_PATH,
    REGISTRATION_PATH,
    REVOCATION_PATH,
    USERINFO_PATH,
    OPENAPI_PATH,
    KEY_SET_PATH,
    *METADATA_PATHS,
)


def create_app(
    settings: AuthSettings,
    *,
    clock: Clock = time.time,
    random_bytes: RandomBytes = secrets.token_bytes,
    fetcher: SsrfSafeFetcher | None = None,
) -> AuthApplication:
    """The service. Nothing is connected or written before its lifespan starts.

    `app.state.readiness` is for the server, which calls `start_draining` before it stops. Raises `SecurityError` with a
    hint if the declaration or a secret is wrong.
    """
    parts = build_parts(settings, clock=clock, random_bytes=random_bytes, fetcher=fetcher)
    readiness = make_readiness(parts)
    app = AuthApplication(
        title="auth-service",
        description="OAuth 2.1 and OpenID Connect for MCP servers",
        version=version("mcp-oauth2-auth-service"),
        server_url=settings.issuer,
        lifespan=partial(_run, parts),
        serves_docs=settings.shows_api_docs(demo=settings.demo),
    )
    app.state.parts, app.state.readiness = parts, readiness
    app.state.metrics_registry = parts.metrics.registry
    app.add_endpoints(
        _make_endpoints(parts, readiness),
        issuer=settings.issuer,
        registry=parts.metrics.registry,
        random_bytes=random_bytes,
        trusted_proxies=settings.trusted_proxies,
    )
    return app


def _make_endpoints(parts: ServiceParts, readiness: Readiness) -> Endpoints:
    """All endpoints. What is listed here is served, documented and advertised, nothing else."""
    settings, resource = parts.settings, parts.resources.default
    pages = Pages(issuer=settings.issuer, contact=settings.operator_contact)
    page_routers = make_page_routers(parts, pages)
    jwt_bearer = make_jwt_bearer_grant(parts)
    grants = make_grants(parts) if jwt_bearer is None else (*make_grants(parts), jwt_bearer)
    authenticator = _make_authenticator(parts)
    token = TokenEndpoint(
        authenticator=authenticator, grants=grants, record=parts.record, metrics=parts.metrics, client_finder=jwt_bearer
    )
    protocol_routers = (
        UserinfoEndpoint(
            audience=userinfo_audience(settings.issuer),
            verifier=parts.issued_tokens,
            revoked=parts.revoked_tokens,
            accounts=parts.accounts,
            providers=parts.grant_providers,
        ).make_router(),
        IntrospectionEndpoint(
            authenticator=authenticator,
            verifier=parts.issued_tokens,
            revoked=parts.revoked_tokens,
            refresh_tokens=parts.refresh_tokens,
            permissions=parts.grant_permissions,
            issuer=settings.issuer,
        ).make_router(),
        RevocationEndpoint(
            authenticator=authenticator,
            verifier=parts.issued_tokens,
            revoked=parts.revoked_tokens,
            refresh_tokens=parts.refresh_tokens,
            revocation=parts.grant_revocation,
            clients=parts.client_statuses,
            record=parts.record,
        ).make_router(),
        PublishedStatusLists(
            parts.trail_redis,
            indices=parts.status_indices,
            keys=parts.keys,
            issuer=settings.issuer,
            ttl_seconds=settings.status_list_ttl_seconds,
            clock=parts.clock,
        ).make_router(),
        *_make_registration(parts),
        *_make_backchannel_logout(parts),
        *_make_scim(parts),
    )
    metadata = server_metadata(
        issuer=settings.issuer,
        paths={TOKEN_PATH, *paths_of(page_routers), *paths_of(protocol_routers)},
        grants=[grant.grant_type.value for grant in grants],
        grant_profiles=[ID_JAG_PROFILE] if accepts_id_jags(parts) else [],
        scopes=[*sorted(IDENTITY_SCOPES), *resource.scopes],
        resources=[each.url for each in parts.declaration.resources],
        supports_client_id_metadata=parts.directory.finds_documents,
        documentation_url=settings.documentation_url,
    )
    return Endpoints(
        pages=page_routers,
        routers=(
            make_root_router(
                issuer=settings.issuer, resource=resource.url, documentation_url=settings.documentation_url
            ),
            *protocol_routers,
            make_discovery_router(
                metadata,
                advertises_client_id_metadata=partial(_advertises_client_id_metadata, parts),
                status_since=lambda: parts.status_upkeep.since_seconds,
                published_keys=lambda: parts.keys.published_keys,
            ),
            make_asset_router(),
            health_router(readiness),
        ),
        plain=(PlainEndpoint(path=TOKEN_PATH, handler=token.respond, operation=token.describe()),),
        render_page=partial(_render_page, pages),
        render_by_prefix={SCIM_PATH: render_scim_error} if _has_scim(parts) else {},
        cross_origin=_CROSS_ORIGIN_PATHS,
        not_found={
            "error": "not_found",
            "error_description": "no such endpoint; /openapi.json lists them."
            " /hello and the MCP tools are at resource.",
            "resource": resource.url,
        },
        body_bytes_by_path={REGISTRATION_PATH: registration.MAX_BODY_BYTES},
        start_page=make_start_page(
            issuer=settings.issuer,
            resource=resource.url,
            account_path=ACCOUNT_PATH if ACCOUNT_PATH in paths_of(page_routers) else None,
            shows_api_docs=settings.shows_api_docs(demo=settings.demo),
        ),
        readiness=readiness,
    )


def _render_page(pages: Pages, error: OAuthError, request: Request) -> Response:
    return render_error_page(pages, error, request, trace_id=context_of(request).trace_id)


def _make_authenticator(parts: ServiceParts) -> ClientAuthenticator:
    return ClientAuthenticator(
        directory=parts.directory,
        secrets=parts.client_secrets,
        assertions=AssertionVerifier(
            audiences=assertion_audiences(parts.settings.issuer),
            redis=parts.redis,
            keys=ClientKeys(outgoing=parts.outgoing, clock=parts.clock),
            clock=parts.clock,
        ),
        workloads=parts.workload_tokens,
        throttle=Throttle(name="client", storage=parts.counters, clock=parts.clock, free=_FREE_FAILURES),
        record=parts.record,
    )


def _make_registration(parts: ServiceParts) -> Sequence[APIRouter]:
    """The registration endpoint, if the declaration allows registration."""
    policy = parts.registration
    if not policy.registers:
        return ()
    token_file = policy.initial_access_token_file if policy.dynamic is Openness.LISTED else None
    endpoint = registration.RegistrationEndpoint(
        store=ClientStore(parts.redis),
        secrets=parts.client_secrets,
        record=parts.record,
        throttle=registration.registration_throttle(
            parts.settings.registration_limit, storage=parts.counters, clock=parts.clock
        ),
        clock=parts.clock,
        random_bytes=parts.random_bytes,
        scopes=policy.scopes,
        initial_access_token=read_secret(token_file, "initial_access_token_file") if token_file else None,
    )
    return (endpoint.make_router(),)


def _make_backchannel_logout(parts: ServiceParts) -> Sequence[APIRouter]:
    """The endpoint for identity providers, if there are any."""
    if not len(parts.connections):
        return ()
    endpoint = BackchannelLogout(
        connections=parts.connections,
        identities=parts.identities,
        logouts=parts.provider_logouts,
        revocation=parts.grant_revocation,
        redis=parts.redis,
        record=parts.record,
        metrics=parts.metrics,
    )
    return (endpoint.make_router(),)


def _has_scim(parts: ServiceParts) -> bool:
    return any(connection.provider.scim_tokens for connection in parts.connections)


def _make_scim(parts: ServiceParts) -> Sequence[APIRouter]:
    """The endpoints with which identity providers manage their users, if one is declared to do so."""
    if not _has_scim(parts):
        return ()
    endpoints = ScimEndpoints(
        issuer=parts.settings.issuer,
        tokens=ScimTokens(connection.provider for connection in parts.connections),
        users=ProvisionedUsers(
            identities=parts.identities,
            store=AccountStore(parts.redis),
            consents=parts.consents,
            revocation=parts.grant_revocation,
            clock=parts.clock,
            random_bytes=parts.random_bytes,
        ),
        record=parts.record,
    )
    return (endpoints.make_router(),)


def _advertises_client_id_metadata(parts: ServiceParts) -> bool:
    if not parts.directory.finds_documents:
        return False
    return parts.outgoing.reachability.is_confirmed or not parts.registration.advertised_once_reachable


@asynccontextmanager
async def _run(parts: ServiceParts, _app: object) -> AsyncGenerator[None]:
    """The lifespan: what the service opens is closed again in the opposite order."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(parts.outgoing.close)
        stack.push_async_callback(parts.connections.close)
        stack.push_async_callback(parts.workload_tokens.close)
        if parts.registration.advertised_once_reachable and parts.directory.finds_documents:
            parts.outgoing.reachability.start()
        stack.push_async_callback(parts.redis.aclose)
        stack.push_async_callback(parts.trail_redis.aclose)
        await parts.journal.start()
        stack.push_async_callback(parts.journal.stop)
        stack.push_async_callback(parts.record.stop)
        stack.push_async_callback(parts.keys.stop)
        await parts.keys.start()
        await parts.status_upkeep.start()
        stack.push_async_callback(parts.status_upkeep.stop)
        await check_declared_issuers(parts.declaration.identity_providers, parts.identities)
        await record_applied_declaration(parts.declaration, parts.redis, parts.record)
        log_weak_conditions(parts.declaration)
        if len(parts.connections):
            parts.recheck_worker.start()
            stack.push_async_callback(parts.recheck_worker.stop)
        parts.metrics.signing_key_age_seconds.set_function(lambda: parts.keys.active_age_seconds)
        stack.enter_context(serving_metrics(parts.settings, parts.metrics.registry))
        yield
