"""The parts of the gateway that follow from gateway.yaml and gateway.lock. A reload replaces them all at once."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx2

from gateway_service.catalogue import Catalogue, CatalogueRefresh, OfferedComponents
from gateway_service.catalogue.change_events import ChangeEvents
from gateway_service.catalogue.lock_file import Lock
from gateway_service.credentials import CredentialOpener
from gateway_service.declaration import GatewayDeclaration, UpstreamDeclaration
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
from gateway_service.settings import ACCESS_SCOPE, GatewaySettings
from gateway_service.upstreams import HttpConnections, Upstream
from security_common.guard import ProtectedResource
from security_common.tool_policy import walk_without_call
from security_common.tool_policy.mcp_messages import protect_parameters
from security_common.tool_policy.policy import PIIPolicy
from security_common.tool_policy.policy_dependencies import PolicyDependencies

__all__ = ["Generation", "GenerationMaker", "protect_definition", "protected_resource", "wait_until_unused"]

UNUSED_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One state of the two files and what was made from it. `endpoints` are by path, without a slash at the end."""

    declaration: GatewayDeclaration
    lock_digest: str | None
    catalogue: Catalogue
    upstreams: Sequence[Upstream]
    refresh: CatalogueRefresh
    endpoints: Mapping[str, McpEndpoint] = field(repr=False)

    def adopt_upstreams(self) -> None:
        """Gives the upstreams that were kept their new declarations, when this generation becomes the current one."""
        for upstream, declaration in zip(self.upstreams, self.declaration.upstreams, strict=True):
            upstream.declaration = declaration

    def endpoint_at(self, path: str) -> McpEndpoint | None:
        """The endpoint of an address. Many users type the slash at the end."""
        return self.endpoints.get(path) or self.endpoints.get(path.removesuffix("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedGeneration:
    """What a generation offers, before it has connections."""

    catalogue: Catalogue
    components: OfferedComponents


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationMaker:
    """Makes generations from the parts that are created once."""

    settings: GatewaySettings
    http: httpx2.AsyncClient
    connections: HttpConnections
    dependencies: PolicyDependencies
    events: ChangeEvents
    records: CallRecords
    input_requests: InputRequests
    running: RunningRequests = field(default_factory=RunningRequests)

    def make(self, declaration: GatewayDeclaration, lock: Lock | None) -> Generation:
        """The first generation, which is not started yet. Raises as `prepare`."""
        return self.connect(declaration, lock, self.prepare(declaration, lock, None), None)

    def prepare(
        self, declaration: GatewayDeclaration, lock: Lock | None, previous: Generation | None
    ) -> PreparedGeneration:
        """What the gateway offers. A thread may do it, because there may be thousands of definitions.

        Raises `SecurityError` if a policy needs a key that is not configured, or a program must not be run.
        """
        declaration.require_trusted_programs(is_local=self.settings.is_local)
        declaration.require_programs_in_one_process(self.settings.worker_count)
        if PIIPolicy.ENCRYPT in declaration.policies:
            self.dependencies.require_encryption_key()
        configuration = self.dependencies.detector.configuration
        protect = partial(protect_definition, self.dependencies)
        catalogue = Catalogue(declaration, configuration, is_local=self.settings.is_local, lock=lock, protect=protect)
        components = OfferedComponents(
            declaration, protect, catalogue.approved, is_contacted=lambda name: catalogue.source_problem(name) is None
        )
        if previous is not None:
            catalogue.continue_from(previous.catalogue)
            for name in declaration.names:
                offered = previous.catalogue.offered(name)
                if offered is not None:
                    components.publish(name, components.prepare(name, offered))
        return PreparedGeneration(catalogue=catalogue, components=components)

    def connect(
        self,
        declaration: GatewayDeclaration,
        lock: Lock | None,
        prepared: PreparedGeneration,
        previous: Generation | None,
    ) -> Generation:
        """The generation, with the connections of the previous one where they can be kept."""
        settings, catalogue, components = self.settings, prepared.catalogue, prepared.components
        credentials = CredentialOpener.of(settings, declaration, self.http)
        known = {upstream.name: upstream for upstream in previous.upstreams} if previous is not None else {}
        upstreams = [self._open(each, known.get(each.name), credentials) for each in declaration.upstreams]
        refresh = CatalogueRefresh(
            catalogue, upstreams, interval_seconds=settings.refresh_seconds, events=self.events, components=components
        )
        if previous is not None:
            refresh.continue_from(previous.refresh)
        by_name = {upstream.name: upstream for upstream in upstreams}
        relayed = RelayedCalls(
            by_name, dependencies=self.dependencies, records=self.records, input_requests=self.input_requests
        )
        tools = ToolCalls(relayed, catalogue, self.records)
        requests = ComponentRequests(relayed, self.records)
        endpoints = {
            settings.path_of(name): McpEndpoint(
                address,
                components.addresses[name],
                protected_resource(settings, settings.resource_of(name)),
                tools=tools,
                requests=requests,
                listing=Listing(address, catalogue, components, by_name),
                running=self.running,
            )
            for name, address in catalogue.addresses.items()
        }
        return Generation(
            declaration=declaration,
            lock_digest=lock.digest if lock is not None else None,
            catalogue=catalogue,
            upstreams=upstreams,
            refresh=refresh,
            endpoints=endpoints,
        )

    def _open(
        self, declaration: UpstreamDeclaration, known: Upstream | None, credentials: CredentialOpener
    ) -> Upstream:
        """The upstream; the known one if it is reached in the same way, with its sessions and programs."""
        if known is not None and known.declaration.has_connection_of(declaration):
            return known
        mask = self.dependencies.detector.mask_text
        return Upstream(declaration, self.connections, credentials.open(declaration), mask=mask)


async def wait_until_unused(upstream: Upstream) -> None:
    """Returns once the calls of an upstream that gets no new ones have ended, or have lasted for too long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(upstream.declaration.longest_seconds):
            while upstream.breaker.in_flight:  # noqa: ASYNC110 - calls end at any time, and nothing reports it
                await asyncio.sleep(UNUSED_POLL_SECONDS)


def protected_resource(settings: GatewaySettings, url: str) -> ProtectedResource:
    """An address as a protected resource (RFC 9728)."""
    return ProtectedResource(
        url=url,
        authorization_servers=(settings.issuer,),
        scopes=(ACCESS_SCOPE,),
        documentation=settings.documentation_url,
    )


def protect_definition(
    dependencies: PolicyDependencies, policy: PIIPolicy, definition: dict[str, Any]
) -> dict[str, Any]:
    """The definition as it may be shown: with personal data masked, unless the policy is to observe."""
    if policy is PIIPolicy.OBSERVE:
        return definition
    return protect_parameters(walk_without_call(dependencies), definition)
