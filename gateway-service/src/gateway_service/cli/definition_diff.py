"""The differences between approved and offered definitions as lines for a person.

Every text of an upstream is printed in the form of JSON, with escapes for characters that a terminal would act on or
not show.
"""

import difflib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway_service.catalogue.definition_changes import ChangeKind, DefinitionChange, find_changes
from gateway_service.catalogue.definition_warnings import find_warnings
from gateway_service.catalogue.definitions import DefinitionKind, approved_members
from gateway_service.catalogue.invisible_characters import escape_invisible
from gateway_service.catalogue.lock_file import ApprovedUpstream, Lock
from gateway_service.cli.upstream_offers import UpstreamOffer, as_approved
from security_common.pii import PIIDetector

__all__ = ["ReviewedChange", "as_members", "print_review", "review"]

CONTEXT_LINES = 2
_SIGNS = {ChangeKind.ADDED: "+", ChangeKind.REMOVED: "-", ChangeKind.TEXT: "~", ChangeKind.INTERFACE: "!"}


@dataclass(frozen=True, slots=True)
class ReviewedChange:
    """One difference with the reasons to be careful. `approved` is the definition before; it is empty for a new one."""

    upstream: str
    change: DefinitionChange
    approved: Mapping[str, Any]
    warnings: tuple[str, ...]


def review(offer: UpstreamOffer, lock: Lock, detector: PIIDetector, *, names: Collection[str]) -> list[ReviewedChange]:
    """The differences of one upstream. `names` are the names of the tools of all upstreams."""
    approved = lock.upstreams.get(offer.name, ApprovedUpstream())
    found: list[ReviewedChange] = []
    for change in find_changes(approved, offer.definitions):
        before = approved.of(change.kind).get(change.name)
        warnings: list[str] = []
        if change.offered is not None:
            members = approved_members(change.kind, change.offered)
            warnings = find_warnings(members, {name for name in names if name != change.name}, detector)
        elif change.change_kind is not ChangeKind.REMOVED:
            warnings = ["several definitions have this name, so none is used"]
        found.append(
            ReviewedChange(offer.name, change, before.definition if before is not None else {}, tuple(warnings))
        )
    return found


def print_review(offer: UpstreamOffer, reviewed: Collection[ReviewedChange], *, source_difference: str) -> None:
    """Prints the differences of one upstream. `source_difference` is how the source differs that was approved."""
    approved = as_approved(offer)
    print(f"{offer.name}  {approved.source}  {approved.protocol_version or 'not reached'}")
    if source_difference:
        print(f"  ! source: approved with {source_difference}")
    if offer.problem is not None:
        print(f"  error: {offer.problem.description}; {offer.problem.hint}")
        return
    if not reviewed and not source_difference:
        print("  as approved")
    for each in reviewed:
        for line in _lines(each):
            print(f"  {line}".rstrip())


def as_members(reviewed: ReviewedChange) -> dict[str, Any]:
    """The difference as JSON."""
    change = reviewed.change
    return {
        "upstream": reviewed.upstream,
        "kind": change.kind,
        "name": change.name,
        "change": change.change_kind,
        "members": list(change.members),
        "warnings": list(reviewed.warnings),
    }


def _lines(reviewed: ReviewedChange) -> Iterator[str]:
    change = reviewed.change
    name = escape_invisible(json.dumps(change.name, ensure_ascii=False))[1:-1]
    what = change.kind if change.kind is DefinitionKind.INSTRUCTIONS else f"{change.kind} {name}"
    yield f"{_SIGNS[change.change_kind]} {what}"
    for warning in reviewed.warnings:
        yield f"  warning: {warning}"
    if change.offered is None:
        return
    offered = approved_members(change.kind, change.offered)
    for member in change.members or tuple(offered):
        if member == "name" and not change.members:
            continue
        yield f"  {member}:"
        before, after = _text_lines(reviewed.approved.get(member)), _text_lines(offered.get(member))
        differences = difflib.unified_diff(before, after, n=CONTEXT_LINES, lineterm="")
        yield from (f"    {line}" for line in differences if not line.startswith(("---", "+++", "@@")))


def _text_lines(value: Any) -> list[str]:
    """The value as lines: a text line by line, anything else as JSON with one member in a line."""
    if value is None:
        return []
    if isinstance(value, str):
        lines = [json.dumps(line, ensure_ascii=False)[1:-1] for line in value.splitlines()]
    else:
        lines = json.dumps(value, ensure_ascii=False, indent=2).splitlines()
    return [escape_invisible(line) for line in lines]
