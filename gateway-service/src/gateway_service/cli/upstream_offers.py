"""What the upstreams offer at the moment, for commands."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2

from gateway_service.catalogue.approved_sources import find_source_problem
from gateway_service.catalogue.definition_changes import approve, definitions_by_name
from gateway_service.catalogue.definitions import DefinitionKind, NotCanonical, OfferedDefinitions
from gateway_service.catalogue.fetching import fetch_definitions
from gateway_service.catalogue.lock_file import ApprovedDefinition, ApprovedUpstream, Lock
from gateway_service.credentials import CredentialOpener
from gateway_service.declaration import GatewayDeclaration, UpstreamDeclaration
from gateway_service.settings import GatewaySettings
from gateway_service.upstreams import HttpConnections, Upstream
from security_common.errors import SecurityError
from security_common.pii import open_pii_detector

__all__ = ["UpstreamOffer", "as_approved", "fetch_offers"]

HTTP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class UpstreamOffer:
    """The answer of one upstream: its definitions, or the problem because of which there are none."""

    declaration: UpstreamDeclaration
    definitions: OfferedDefinitions
    problem: SecurityError | None = None

    @property
    def name(self) -> str:
        return self.declaration.name


async def fetch_offers(
    settings: GatewaySettings, declaration: GatewayDeclaration, lock: Lock | None = None
) -> list[UpstreamOffer]:
    """Asks each upstream, one after the other. With a lock, those that are not in it at their address are not asked."""
    offers: list[UpstreamOffer] = []
    detector = open_pii_detector(settings.security)
    async with HttpConnections() as connections, httpx2.AsyncClient(timeout=HTTP_SECONDS) as http:
        credentials = CredentialOpener.of(settings, declaration, http)
        for each in declaration.upstreams:
            not_approved = find_source_problem(each, lock)
            if not_approved is not None:
                offers.append(UpstreamOffer(each, OfferedDefinitions(), not_approved))
                continue
            upstream = Upstream(each, connections, credentials.open(each), mask=detector.mask_text)
            try:
                offers.append(UpstreamOffer(each, await fetch_definitions(upstream)))
            except SecurityError as problem:
                offers.append(UpstreamOffer(each, OfferedDefinitions(), problem))
            finally:
                await upstream.close()
    return offers


def as_approved(offer: UpstreamOffer) -> ApprovedUpstream:
    """Everything that the upstream offers, as if it was approved. Names that appear twice are left out."""
    return ApprovedUpstream(
        source=offer.declaration.source,
        source_digest=offer.declaration.source_digest,
        protocol_version=offer.definitions.protocol_version,
        definitions={kind: _approve_all(kind, offer.definitions.of(kind)) for kind in DefinitionKind},
    )


def _approve_all(kind: DefinitionKind, definitions: Sequence[object]) -> dict[str, ApprovedDefinition]:
    found: dict[str, ApprovedDefinition] = {}
    for name, definition in definitions_by_name(kind, definitions).items():
        if definition is not None:
            with contextlib.suppress(NotCanonical):
                found[name] = approve(kind, definition)
    return found
