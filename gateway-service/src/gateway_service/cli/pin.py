"""`gateway-service pin`, `diff` and `approve`: what the upstreams describe becomes what clients get, after a review.

`pin` writes what it has printed to a file beside gateway.lock, and `approve` takes the definitions from that file. So
nothing is approved that was not printed, whatever an upstream answers in between.
"""

import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from gateway_service.catalogue.approved_sources import find_source_problem
from gateway_service.catalogue.definitions import DefinitionKind
from gateway_service.catalogue.lock_file import ApprovedDefinition, ApprovedUpstream, Lock, read_lock, write_lock
from gateway_service.catalogue.lock_signatures import sign_lock
from gateway_service.catalogue.tool_definitions import tool_name_of
from gateway_service.cli.definition_diff import ReviewedChange, as_members, print_review, review
from gateway_service.cli.upstream_offers import UpstreamOffer, as_approved, fetch_offers
from gateway_service.declaration import GatewayDeclaration, UpstreamDeclaration
from gateway_service.settings import SERVICE, GatewaySettings
from security_common.audit import Action
from security_common.errors import SecurityError
from security_common.pii import open_pii_detector
from security_common.service import operator_journal

__all__ = ["ApprovalFailed", "approve_pending", "compare", "pending_file", "pin", "print_offers", "record_approval"]


class ApprovalFailed(SecurityError):
    """There is nothing to approve, or a name is unknown."""

    error: ClassVar[str] = "approval_failed"


def pending_file(settings: GatewaySettings) -> Path:
    """The file with what `pin` has printed last, until it is approved."""
    return settings.lock_file.with_name(f"{settings.lock_file.name}.pending")


async def pin(settings: GatewaySettings, declaration: GatewayDeclaration) -> None:
    """Prints the differences to gateway.lock, and keeps them for `approve`. Raises SystemExit if an upstream fails."""
    lock = read_lock(settings.lock_file) or Lock()
    offers = await fetch_offers(settings, _pinned(declaration))
    count = print_offers(settings, offers, lock)
    pending = Lock()
    for offer in offers:
        known = lock.upstreams.get(offer.name)
        if offer.problem is None:
            pending = pending.with_upstream(offer.name, as_approved(offer))
        elif known is not None:
            pending = pending.with_upstream(offer.name, known)
    file = pending_file(settings)
    if count or _sources(pending) != _sources(lock):
        write_lock(file, pending)
        print(f"{count} differences; `gateway-service approve` writes them to {settings.lock_file}")
    else:
        file.unlink(missing_ok=True)
        print(f"everything is as approved in {settings.lock_file}")
    if any(offer.problem for offer in offers):
        raise SystemExit(1)


async def compare(settings: GatewaySettings, declaration: GatewayDeclaration, *, as_json: bool) -> None:
    """Prints the differences to gateway.lock. Raises SystemExit with status 1 if there are any."""
    existing = read_lock(settings.lock_file)
    lock = existing or Lock()
    offers = await fetch_offers(settings, _pinned(declaration), existing)
    if as_json:
        found = [as_members(each) for _, reviewed in _review_offers(settings, offers, lock) for each in reviewed]
        print(json.dumps(found, ensure_ascii=False, indent=2))
        for offer in offers:
            if offer.problem is not None:
                print(f"error: {offer.problem.description}\nhint: {offer.problem.hint}", file=sys.stderr)
        count = len(found)
    else:
        count = print_offers(settings, offers, lock)
    if count or any(offer.problem for offer in offers):
        raise SystemExit(1)


async def approve_pending(
    settings: GatewaySettings,
    declaration: GatewayDeclaration,
    names: Collection[str],
    *,
    keep_previous: bool,
    key_file: Path | None = None,
) -> None:
    """Writes what `pin` has kept to gateway.lock, and records who did it. Raises `ApprovalFailed`.

    `names` are upstreams, or tools as `<upstream>_<tool>`; everything if there is none. With `keep_previous`, the
    former definition of a tool is accepted from its upstream as well. With a key, the lock is signed, also if there is
    nothing else to approve.
    """
    file = pending_file(settings)
    pending = read_lock(file)
    existing = read_lock(settings.lock_file)
    if pending is None and existing is not None and key_file is not None:
        await record_approval(settings, existing, existing, key_file)
        return
    if pending is None:
        raise ApprovalFailed("there is nothing to approve", hint="`gateway-service pin` asks the upstreams")
    lock = existing or Lock()
    approved = _merge(lock, pending, names, keep_previous=keep_previous)
    if not names:
        kept = {name: each for name, each in approved.upstreams.items() if name in _pinned(declaration).names}
        approved = replace(approved, upstreams=kept)
    await record_approval(settings, lock, approved, key_file)
    if not names:
        file.unlink(missing_ok=True)


async def record_approval(
    settings: GatewaySettings, before: Lock, approved: Lock, key_file: Path | None = None
) -> None:
    """Records the approval and writes the lock, in this order. Raises `JournalUnavailable` and OSError.

    With a key, the lock is signed. Raises `LockInvalid` and `SecretMissing` for a file without a usable key.
    """
    count = _count_differences(before, approved)
    signed_by = ""
    if key_file is not None:
        approved, key_id = sign_lock(approved, key_file)
        signed_by = f"; signed with {key_id}"
    reason = f"{count} definitions; lock {before.digest[:16]} -> {approved.digest[:16]}{signed_by}"
    async with operator_journal(settings, service=SERVICE) as operator:
        await operator.record(Action.DEFINITIONS_APPROVED, reason=reason)
    write_lock(settings.lock_file, approved)
    print(f"{settings.lock_file}: {count} definitions changed, sha256 {approved.digest}{signed_by}")
    if settings.lock_keys_file is not None and not approved.signatures:
        print("note: it is not signed, so the gateway will not use it: run `gateway-service approve --sign KEY`")


def _sources(lock: Lock) -> dict[str, tuple[str, str]]:
    return {name: (each.source, each.source_digest) for name, each in lock.upstreams.items()}


def _pinned(declaration: GatewayDeclaration) -> GatewayDeclaration:
    """The declaration without upstreams that have live lists."""
    return replace(declaration, upstreams=tuple(each for each in declaration.upstreams if not each.is_live))


def print_offers(settings: GatewaySettings, offers: Collection[UpstreamOffer], lock: Lock) -> int:
    """Prints the differences, and returns their number."""
    count = 0
    for offer, reviewed in _review_offers(settings, offers, lock):
        source_difference = _source_difference(offer.declaration, lock)
        print_review(offer, reviewed, source_difference=source_difference)
        count += len(reviewed) + bool(source_difference)
    return count


def _review_offers(
    settings: GatewaySettings, offers: Collection[UpstreamOffer], lock: Lock
) -> list[tuple[UpstreamOffer, list[ReviewedChange]]]:
    """The differences of each upstream; none for one that could not be asked."""
    detector = open_pii_detector(settings.security)
    names = _tool_names(offers)
    return [(offer, review(offer, lock, detector, names=names) if offer.problem is None else []) for offer in offers]


def _source_difference(declaration: UpstreamDeclaration, lock: Lock) -> str:
    """How the source differs with which the upstream was approved; empty if it is the same, or not approved yet."""
    problem = find_source_problem(declaration, lock)
    return problem.difference if problem is not None else ""


def _tool_names(offers: Collection[UpstreamOffer]) -> set[str]:
    """The names of all tools that can be offered. Others may contain characters that a terminal acts on."""
    found = {tool_name_of(each) for offer in offers for each in offer.definitions.tools}
    return {name for name in found if name is not None}


def _merge(lock: Lock, pending: Lock, names: Collection[str], *, keep_previous: bool) -> Lock:
    """The lock with the definitions of the pending one, or with those of the named upstreams and tools."""
    unused = set(names)
    merged = lock
    for upstream, offered in pending.upstreams.items():
        known = lock.upstreams.get(upstream, ApprovedUpstream())
        if not names or upstream in names:
            unused.discard(upstream)
            definitions = {
                kind: _merge_kind(known.of(kind), offered.of(kind), keep_previous=keep_previous)
                for kind in DefinitionKind
            }
            merged = merged.with_upstream(upstream, replace(offered, definitions=definitions))
            continue
        known_tools, offered_tools = known.of(DefinitionKind.TOOL), offered.of(DefinitionKind.TOOL)
        chosen = {name for name in known_tools.keys() | offered_tools.keys() if f"{upstream}_{name}" in names}
        if not chosen:
            continue
        unused -= {f"{upstream}_{name}" for name in chosen}
        taken = {name: each for name, each in offered_tools.items() if name in chosen}
        tools = {name: each for name, each in known_tools.items() if name not in chosen}
        tools |= _merge_kind(known_tools, taken, keep_previous=keep_previous)
        source = known if known.source else replace(offered, definitions={})
        definitions = {**known.definitions, DefinitionKind.TOOL: tools}
        merged = merged.with_upstream(upstream, replace(source, definitions=definitions))
    if unused:
        hint = "name upstreams, or tools as <upstream>_<tool>, that `gateway-service pin` has printed"
        raise ApprovalFailed(f"unknown: {', '.join(sorted(unused))}", hint=hint)
    return merged


def _merge_kind(
    known: Mapping[str, ApprovedDefinition], offered: Mapping[str, ApprovedDefinition], *, keep_previous: bool
) -> dict[str, ApprovedDefinition]:
    return {
        name: _merge_definition(known.get(name), each, keep_previous=keep_previous) for name, each in offered.items()
    }


def _merge_definition(
    known: ApprovedDefinition | None, offered: ApprovedDefinition, *, keep_previous: bool
) -> ApprovedDefinition:
    digest = offered.digests[0]
    if known is None:
        return offered
    if digest in known.digests[1:]:  # the former release has answered
        return known
    if not keep_previous:
        return offered
    return known if digest == known.digests[0] else replace(offered, digests=(digest, known.digests[0]))


def _count_differences(before: Lock, after: Lock) -> int:
    """How many definitions were added, removed, or have other digests."""
    entries = [
        {
            (upstream, kind, name, each.digests)
            for upstream, approved in lock.upstreams.items()
            for kind in DefinitionKind
            for name, each in approved.of(kind).items()
        }
        for lock in (before, after)
    ]
    return len({entry[:3] for entry in entries[0] ^ entries[1]})
