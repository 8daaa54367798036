"""`security-common audit verify` and `audit bundle`: the commands that read the journal files themselves."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from security_common.audit.checkpoints import CheckpointKeyInvalid
from security_common.audit.reading.bundle import write_bundle
from security_common.audit.reading.expected_state import StreamState, read_expected_state
from security_common.audit.reading.verify import Verdict, verify_service
from security_common.cli.audit_source import (
    RedisOptions,
    read_stream_state,
    service_directories,
    service_directory,
    service_keys,
    signed_checkpoints,
    with_offset,
)
from security_common.cli.progress import Progress
from security_common.cli.terminal import paint, print_json
from security_common.setting_names import AUDIT_KEYS_VARIABLE
from security_common.settings import SecuritySettings

__all__ = ["bundle", "verify"]

# Exit statuses of `verify`. 2 is also the status of every command that fails.
INTACT, TAMPERED, UNCHECKED = 0, 1, 2

PublicKeys = Annotated[
    list[Path] | None,
    Parameter(
        name="--public-key",
        negative="",
        help="PEM file, to verify checkpoints with instead of the service's own key; repeat it for former keys",
    ),
]
KeysDirectory = Annotated[
    Path | None,
    Parameter(
        env_var=AUDIT_KEYS_VARIABLE,
        help="the directory that `security-common setup` wrote: each service is verified with its own keys in it",
    ),
]
OtherCheckpoints = Annotated[Path | None, Parameter(help="a file of checkpoints that were kept elsewhere")]


def verify(
    *,
    service: Annotated[str | None, Parameter(help="only this service; by default all that have journals here")] = None,
    keys: KeysDirectory = None,
    public_key: PublicKeys = None,
    checkpoints: OtherCheckpoints = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="one JSON object, for programs")] = False,
    redis: RedisOptions | None = None,
) -> None:
    """Check every line of the journals, their order and links, and their agreement with checkpoints and the stream.

    The journals and checkpoints of each service are checked with its own keys. If the journals of several services are
    below SECURITY_AUDIT_DIR, --keys names the directory with the keys of each.

    Exit status 0: intact. 1: something was changed, is missing or out of order; the first problem is printed first.
    2: something could not be checked, for example because a key is not the one that was used.

    Example: security-common audit verify --service mcp-resource-service --checkpoints /safe/checkpoints.jws

    Example: security-common audit verify --keys .run/secrets
    """
    settings = SecuritySettings()
    directories = service_directories(settings, service)
    total = Verdict()
    options = redis or RedisOptions()
    stream = StreamState()
    if options.redis is None:
        total.notes.append("without --redis the cursors and checkpoints of the stream are not checked")
    else:
        stream = asyncio.run(read_stream_state(options))
    progress = Progress("verifying", sum(_journal_bytes(directory) for directory in directories))
    verdicts: dict[str, Verdict] = {}
    for directory in directories:
        own_keys = service_keys(settings, directory.name, directory=keys, public_keys=public_key or [])
        signed = [*signed_checkpoints(settings, directory, checkpoints), *stream.checkpoints]
        expected = read_expected_state(signed, own_keys.checkpoint, service=directory.name, shipped=stream.shipped)
        expected.heartbeats = [each for each in stream.heartbeats if each.service == directory.name]
        for verified in directories:
            # Their checkpoints are verified with their own keys, so they are not reported as unchecked here.
            expected.other_services.pop(verified.name, None)
        verdict = verify_service(directory, own_keys.chain, expected, progress=progress.advance)
        if not own_keys.checkpoint:
            verdict.notes.append(
                f"{directory.name}: without a checkpoint key, removed last lines are only found by the stream's cursors"
            )
        verdicts[directory.name] = verdict
        total.add(verdict)
    progress.clear()
    _print_verdicts(total, verdicts, as_json=json)
    if total.problems:
        sys.exit(TAMPERED)
    sys.exit(UNCHECKED if total.unchecked else INTACT)


def bundle(
    target: Path,
    *,
    since: datetime,
    until: datetime,
    service: Annotated[
        str | None, Parameter(help="auth-service or mcp-resource-service; required if both have journals here")
    ] = None,
    keys: KeysDirectory = None,
    checkpoints: OtherCheckpoints = None,
) -> None:
    """Write the events of a period, its checkpoints, the public key and a stand-alone verifier into one ZIP file.

    Example: security-common audit bundle november.zip --since 2026-11-01 --until 2026-12-01
    """
    settings = SecuritySettings()
    directory = service_directory(settings, service)
    own_keys = service_keys(settings, directory.name, directory=keys, public_keys=[])
    if not own_keys.checkpoint:
        raise CheckpointKeyInvalid(
            "the key that verifies the checkpoints is missing",
            hint="set SECURITY_AUDIT_CHECKPOINT_KEY_FILE or use --keys",
        )
    signed = [each.text for each in signed_checkpoints(settings, directory, checkpoints)]
    begins = with_offset(since)
    ends = with_offset(until)
    for each in write_bundle(target, directory, signed, own_keys.checkpoint[0], since=begins, until=ends):
        coverage = "covered by a checkpoint" if each.is_covered else "the last lines have no checkpoint yet"
        print(f"journal {each.journal_id}: seq {each.first_seq} to {each.last_seq}, {coverage}", file=sys.stderr)


def _journal_bytes(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.glob("*/security_audit*.log"))


def _print_verdicts(total: Verdict, verdicts: Mapping[str, Verdict], *, as_json: bool) -> None:
    if as_json:
        services = {name: verdict.as_data() for name, verdict in verdicts.items()}
        print_json(total.as_data() | {"services": services})
        return
    problems: Sequence[object] = [*total.problems, *total.unchecked]
    for problem in problems:
        print(paint(str(problem), "red"))
    for note in total.notes:
        print(paint(f"note: {note}", "yellow", sys.stderr), file=sys.stderr)
    for name, verdict in verdicts.items():
        counts = f"lines: {verdict.lines}, journals: {len(verdict.journals)}, checkpoints: {verdict.checkpoints}"
        print(f"{name}: {_describe_verdict(verdict)} ({counts})")


def _describe_verdict(verdict: Verdict) -> str:
    if verdict.problems:
        return paint("NOT intact", "red")
    return paint("NOT fully checked", "red") if verdict.unchecked else paint("intact", "green")
