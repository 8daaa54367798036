"""The doctor commands of all services: the result of a check, the checks that they share, and the output.

The checks of the Redis server are in `redis_checks`, those of an issuer in `issuer_checks`. A service's own
`cli/doctor.py` lists the checks that it makes.
"""

import errno
import json
import os
import secrets
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2
from pydantic import BaseModel
from pydantic_settings import BaseSettings
from redis.exceptions import RedisError

from security_common.encryption import open_encryption_service
from security_common.errors import SecurityError
from security_common.messages import translate_message
from security_common.secret_files import ExposedSecret, find_exposed_secrets, find_short_keys
from security_common.service.listening_socket import bind_socket
from security_common.service.redis_connection import explain_failure
from security_common.service.settings import ServiceSettings
from security_common.setting_names import find_unknown_settings, variable_name
from security_common.settings import SecuritySettings

__all__ = [
    "CheckResult",
    "check_clock",
    "check_encryption",
    "check_environment",
    "check_secrets",
    "print_check_results",
    "run_check",
]

_HTTP_SECONDS = 3.0
_SHORT_HINT = (
    "`openssl rand -hex 32` and `security-common setup` make long ones; what was stored with it must be renewed"
)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    `hint` says how to fix a check that failed (`ok` is false) or gave a `warning`. A warning does not make the command
    fail.
    """

    what: str
    ok: bool
    hint: str = ""
    warning: bool = False

    @property
    def shows_hint(self) -> bool:
        return bool(self.hint) and (self.warning or not self.ok)


def print_check_results(results: Sequence[CheckResult], *, as_json: bool, catalogues: Sequence[str] = ()) -> None:
    """Prints the results as lines or as JSON. Raises SystemExit with status 1 when a check failed.

    Lines are in Korean under a Korean locale, as far as these packages and this library have translations.
    """
    if as_json:
        _print_json(results)
    else:
        _print_lines(results, [*catalogues, "security_common"])
    if not all(result.ok for result in results):
        raise SystemExit(1)


def _print_json(results: Sequence[CheckResult]) -> None:
    members = [asdict(result) for result in results]
    for result, member in zip(results, members, strict=True):
        if not result.shows_hint:
            member["hint"] = ""
    print(json.dumps(members, ensure_ascii=False, indent=2))


def _print_lines(results: Sequence[CheckResult], catalogues: Sequence[str]) -> None:
    for result in results:
        print(f"{_label(result)} {translate_message(result.what, catalogues, os.environ)}")
        if result.shows_hint:
            print(f"     hint: {translate_message(result.hint, catalogues, os.environ)}")


def _label(result: CheckResult) -> str:
    if not result.ok:
        return "FAIL"
    return "warn" if result.warning else "ok  "


async def run_check(check: Awaitable[list[CheckResult]], *, settings: ServiceSettings) -> list[CheckResult]:
    """The results of one check; its exceptions become failed results, so that the next check runs as well."""
    try:
        return await check
    except RedisError as failure:
        explained = explain_failure(settings, failure)
        return [CheckResult(f"redis: {explained.description}", ok=False, hint=explained.hint)]
    except SecurityError as failure:
        return [CheckResult(failure.description, ok=False, hint=failure.hint)]
    except OSError as failure:
        what = f"{failure.filename or 'a file'}: {failure.strerror or type(failure).__name__}"
        return [CheckResult(what, ok=False, hint="check the path, the owner and the mode of this file")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listener:
    """An address that the service listens on, and how its own response there is recognized.

    `setting` is the variable of the port. The response to a GET request for `path` contains `marker`.
    """

    host: str
    port: int
    setting: str
    path: str
    marker: bytes


async def check_environment(
    settings: ServiceSettings, *, service: str, path: str, marker: bytes, metric: str
) -> list[CheckResult]:
    """Every variable is a setting, the ports are free or the service's own, and the journal folder can be written.

    `service` is the name of the service's folder in SECURITY_AUDIT_DIR. The service itself is recognized by `marker` in
    its response to a GET request for `path`, and by the name of one of its metrics.
    """
    listeners = (
        _Listener(
            host=settings.host, port=settings.port, setting=variable_name(settings, "port"), path=path, marker=marker
        ),
        _Listener(
            host=settings.metrics_host,
            port=settings.metrics_port,
            setting=variable_name(settings, "metrics_port"),
            path="/metrics",
            marker=metric.encode(),
        ),
    )
    results = _check_setting_names(type(settings), os.environ)
    for listener in listeners:
        results += await _check_port(listener)
    return [*results, *_check_journal_folder(settings.security, service=service)]


def _check_setting_names(settings: type[BaseSettings], environment: Mapping[str, str]) -> list[CheckResult]:
    """A failure for each variable that is probably a misspelled setting, and a warning for other unknown ones."""
    results: list[CheckResult] = []
    for unknown in find_unknown_settings([settings], environment):
        is_misspelled = bool(unknown.similar)
        what = f"settings: {unknown.name} is not a setting and has no effect"
        results.append(CheckResult(what, ok=not is_misspelled, hint=unknown.hint, warning=not is_misspelled))
    return results or [CheckResult("settings: every variable is a setting", ok=True)]


def check_secrets(settings: BaseModel, exposed: Iterable[ExposedSecret] = ()) -> list[CheckResult]:
    """Failures for keys that are too short, and warnings for secret files that other accounts can read.

    Files that are mounted into a container often have such a mode. `exposed` are further files with such a mode.
    """
    results = [
        CheckResult(f"secrets: {setting}: the key in {path} has fewer than 32 characters", ok=False, hint=_SHORT_HINT)
        for setting, path in find_short_keys(settings)
    ]
    results += [
        CheckResult(f"secrets: {each}", ok=True, hint=each.hint, warning=True)
        for each in (*find_exposed_secrets(settings), *exposed)
    ]
    return results or [CheckResult("secrets: only their owner can read the files", ok=True)]


def check_encryption(settings: SecuritySettings) -> list[CheckResult]:
    """Whether the keyring of the settings encrypts and decrypts."""
    try:
        service = open_encryption_service(settings)
        ok = service.decrypt(service.encrypt("doctor")) == "doctor"
    except SecurityError as failure:
        return [CheckResult(f"encryption: {failure.description}", ok=False, hint=failure.hint)]
    return [CheckResult("encryption: the keyring encrypts and decrypts", ok)]


def _check_journal_folder(settings: SecuritySettings, *, service: str) -> list[CheckResult]:
    """Whether the folder of the service's audit journals can be written, or created."""
    folder = settings.audit_dir / service
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    problem = ""
    try:
        if existing == folder:
            _write_and_delete(folder / f".doctor-{secrets.token_hex(4)}")
        elif not existing.is_dir():
            problem = f"{existing} is not a folder"
        elif not os.access(existing, os.W_OK | os.X_OK):
            problem = f"{existing} cannot be written"
    except OSError as failure:
        problem = failure.strerror or type(failure).__name__
    if problem:
        hint = "give the service's account write access, or set SECURITY_AUDIT_DIR to a folder that it can write"
        return [CheckResult(f"audit: {folder}: {problem}", ok=False, hint=hint)]
    return [CheckResult(f"audit: {folder} can be written", ok=True)]


def _write_and_delete(path: Path) -> None:
    path.write_bytes(b"doctor")
    path.unlink()


async def _check_port(listener: _Listener) -> list[CheckResult]:
    """Whether the port is free, or the running service answers there."""
    if not listener.port:
        return []
    place = f"{listener.host}:{listener.port}"
    hint = f"stop the program that listens there, or set {listener.setting} to a free port"
    if await _is_answered_by_service(listener):
        return [CheckResult(f"port: {listener.setting}: this service answers at {place}", ok=True)]
    try:
        bind_socket(listener.host, listener.port).close()
    except OSError as failure:
        is_taken = failure.errno == errno.EADDRINUSE
        reason = "another program listens there" if is_taken else str(failure.strerror)
        return [CheckResult(f"port: {listener.setting}: {place}: {reason}", ok=False, hint=hint)]
    return [CheckResult(f"port: {listener.setting}: {place} is free", ok=True)]


async def _is_answered_by_service(listener: _Listener) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(listener.host, listener.host)  # noqa: S104 - compared, not bound
    try:
        async with httpx2.AsyncClient(timeout=_HTTP_SECONDS, trust_env=False) as http:
            response = await http.get(f"http://{host}:{listener.port}{listener.path}")
    except httpx2.HTTPError:
        return False
    return listener.marker in response.content


def check_clock(difference_seconds: float, other: str, *, tolerance_seconds: float) -> CheckResult:
    """Whether this machine's clock agrees with another one; `difference_seconds` is positive if it is ahead."""
    seconds = f"{abs(difference_seconds):.0f}"
    what = f"clock: {seconds} s behind {other}" if difference_seconds < 0 else f"clock: {seconds} s ahead of {other}"
    hint = (
        "synchronize the clocks of both machines (NTP): with a wrong one, valid tokens are rejected as expired or as "
        "not yet valid"
    )
    return CheckResult(what, ok=abs(difference_seconds) <= tolerance_seconds, hint=hint)
