"""`gateway-service import`: writes gateway.yaml and gateway.lock for the servers of an mcpServers file.

Every tool is named with a scope. With a folder for secrets, the values of headers and variables are moved to files, and
gateway.yaml contains everything else; without one it includes the file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import environ
from pathlib import Path
from typing import ClassVar, Self

from gateway_service.catalogue.lock_file import Lock
from gateway_service.cli.pin import print_offers, record_approval
from gateway_service.cli.suggest import rule_lines, yaml_text
from gateway_service.cli.upstream_offers import UpstreamOffer, as_approved, fetch_offers
from gateway_service.declaration import GatewayDeclaration, ProgramDeclaration, UpstreamDeclaration, load_declaration
from gateway_service.settings import GatewaySettings
from security_common.errors import SecurityError
from security_common.private_files import make_private_directory, write_new

__all__ = ["ImportFailed", "import_servers"]


class ImportFailed(SecurityError):
    """The file cannot be imported."""

    error: ClassVar[str] = "import_failed"


async def import_servers(file: Path, folder: Path, secrets_folder: Path | None) -> None:
    """Asks the servers of the file, and writes gateway.yaml and gateway.lock into the folder.

    Raises `ImportFailed` if one of them exists, `DeclarationInvalid`, and SystemExit with status 1 if a server could
    not be asked.
    """
    target = folder / "gateway.yaml"
    settings = GatewaySettings().model_copy(update={"upstreams": target})
    for existing in (target, settings.lock_file):
        if existing.exists():
            hint = "choose another folder with --to, or use `gateway-service suggest` for further tools"
            raise ImportFailed(f"{existing} exists and is not replaced", hint=hint)
    declaration = load_declaration(file, environ)
    secrets = _move_secrets(declaration, secrets_folder) if secrets_folder is not None else None
    offers = await fetch_offers(settings, declaration)
    print_offers(settings, offers, Lock())
    lock = Lock()
    for offer in offers:
        if offer.problem is None:
            lock = lock.with_upstream(offer.name, as_approved(offer))
    if secrets is not None:
        secrets.write()
    lines = _gateway_yaml(file, folder, offers, secrets)
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for each in load_declaration(target, environ).upstreams:  # gateway.yaml may say otherwise how it is reached
        if each.name in lock.upstreams:
            approved = replace(lock.upstreams[each.name], source=each.source, source_digest=each.source_digest)
            lock = lock.with_upstream(each.name, approved)
    await record_approval(settings, Lock(), lock)
    print(f"{target}: {', '.join(declaration.names)}")
    for notice in declaration.notices if secrets is None else ():
        print(f"note: {notice}")
    print("next: check both files, then")
    print(f"  export GATEWAY_UPSTREAMS={target}")
    print("  gateway-service suggest    # policies for tools with personal data")
    print("  gateway-service serve")
    if any(offer.problem for offer in offers):
        raise SystemExit(1)


@dataclass(frozen=True, slots=True)
class _HeaderSecret:
    """The value of one header, apart from the scheme in front of it as in `Bearer abc`."""

    header: str
    scheme: str
    value: str = field(repr=False)

    @classmethod
    def of(cls, header: str, value: str) -> Self:
        scheme, _, secret = value.partition(" ")
        return cls(header, scheme, secret.strip()) if secret.strip() else cls(header, "", value)


@dataclass(frozen=True, slots=True)
class _MovedSecrets:
    """The folder of the secrets, and the header of each upstream that has one. Variables of programs are moved too."""

    folder: Path
    headers: Mapping[str, _HeaderSecret]
    values: Mapping[Path, str] = field(repr=False)

    def write(self) -> None:
        make_private_directory(self.folder)
        for file, value in self.values.items():
            write_new(file, f"{value}\n")


def _move_secrets(declaration: GatewayDeclaration, folder: Path) -> _MovedSecrets:
    """The secrets of the file. Raises `ImportFailed` before anything is written."""
    headers: dict[str, _HeaderSecret] = {}
    values: dict[Path, str] = {}
    for upstream in declaration.upstreams:
        if upstream.credential is not None:
            hint = "move its `credential` to gateway.yaml by hand, or import without --secrets-to"
            raise ImportFailed(f"{upstream.name} has a `credential`, which is not moved", hint=hint)
        if len(upstream.headers) > 1:
            names = ", ".join(sorted(upstream.headers))
            hint = "remove those that the server does not need, or import without --secrets-to"
            raise ImportFailed(f"{upstream.name} has several headers ({names}), but one credential", hint=hint)
        for name, value in upstream.headers.items():
            headers[upstream.name] = _HeaderSecret.of(name, value)
            values[folder / upstream.name] = headers[upstream.name].value
        if upstream.program is not None:
            values |= {
                _file_of_variable(folder, upstream.name, name): value
                for name, value in upstream.program.environment.items()
            }
    for file in values:
        if file.exists():
            raise ImportFailed(f"{file} exists and is not replaced", hint="remove it, or choose another folder")
    return _MovedSecrets(folder, headers, values)


def _file_of_variable(folder: Path, upstream: str, variable: str) -> Path:
    return folder / f"{upstream}.{variable}"


def _gateway_yaml(
    file: Path, folder: Path, offers: Sequence[UpstreamOffer], secrets: _MovedSecrets | None
) -> Iterator[str]:
    yield f"# Written by `gateway-service import {file.name}`. docs/gateway.md describes every member."
    if secrets is None:
        yield f"include: [{yaml_text(_relative(file, folder))}]"
    yield "upstreams:"
    for offer in offers:
        yield f"  {offer.name}:"
        if secrets is not None:
            yield from _connection(offer.declaration, secrets, folder)
        if offer.problem is not None:
            yield "    # It could not be asked for its tools: `gateway-service suggest` prints them later."
        for line in rule_lines(offer, scope_only=True):
            yield f"    {line}"


def _connection(upstream: UpstreamDeclaration, secrets: _MovedSecrets, folder: Path) -> Iterator[str]:
    if upstream.program is not None:
        yield from _program(upstream.name, upstream.program, secrets.folder, folder)
        return
    yield f"    url: {yaml_text(upstream.url)}"
    if upstream.is_sse:
        yield "    type: sse"
    secret = secrets.headers.get(upstream.name)
    if secret is not None:
        members = [f"secret_file: {yaml_text(_relative(secrets.folder / upstream.name, folder))}"]
        if (secret.header.lower(), secret.scheme) != ("authorization", "Bearer"):
            members += [f"header: {yaml_text(secret.header)}", f"scheme: {yaml_text(secret.scheme)}"]
        yield f"    credential: {{{', '.join(members)}}}"


def _program(name: str, program: ProgramDeclaration, secrets_folder: Path, folder: Path) -> Iterator[str]:
    command, *arguments = program.command
    yield f"    command: {yaml_text(command)}"
    if arguments:
        yield f"    args: [{', '.join(map(yaml_text, arguments))}]"
    yield f"    cwd: {yaml_text(_relative(program.folder, folder))}"
    files = {each: _relative(_file_of_variable(secrets_folder, name, each), folder) for each in program.environment}
    if files:
        written = ", ".join(f"{yaml_text(each)}: {yaml_text(file)}" for each, file in files.items())
        yield f"    env_files: {{{written}}}"


def _relative(path: Path, folder: Path) -> str:
    """The path as gateway.yaml writes it: relative to its folder if it is below it."""
    resolved, base = path.resolve(), folder.resolve()
    return str(resolved.relative_to(base)) if resolved.is_relative_to(base) else str(resolved)
