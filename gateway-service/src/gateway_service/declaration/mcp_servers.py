"""Upstreams from an mcpServers file, as Claude, Cursor and others use it, or from VS Code's `servers`.

The members of such a file that are not known here belong to other programs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from gateway_service.declaration.documents import Document
from gateway_service.declaration.file_format import (
    WrittenCredential,
    check_header_name,
    check_variable,
    read_credential,
)
from gateway_service.declaration.gateway_declaration import MAX_UPSTREAM_NAME, UPSTREAM_NAME
from gateway_service.declaration.variables import VariableMissing, VariableRefused, fill_in_variables
from security_common.web_urls import parse_web_url

__all__ = ["McpServers", "ServerEntry", "has_mcp_servers", "read_mcp_servers"]

_SECTIONS = ("mcpServers", "servers")
_HTTP_TYPES = frozenset({"http", "streamable-http", "streamableHttp", "streamable_http"})
_SSE_TYPE = "sse"
_CONNECTION_MEMBERS = ("type", "url", "headers", "credential", "command", "args", "env", "cwd")
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEntry:
    """One server of the file: one behind `url`, or a program with `command`.

    `headers`, the arguments of a command and `environment` may contain secrets. `folder` is the working directory.
    `credential` is a member that only the gateway reads. `written` has the members that say how the server is reached,
    before variables are filled in.
    """

    url: str = ""
    is_sse: bool = False
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    credential: WrittenCredential | None = None
    command: tuple[str, ...] = field(default=(), repr=False)
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    folder: Path = Path()
    written: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)


@dataclass(frozen=True, slots=True)
class McpServers:
    """The servers by the name that the gateway uses, and remarks for the log without secrets."""

    entries: Mapping[str, ServerEntry]
    notices: tuple[str, ...]


def has_mcp_servers(members: Mapping[str, Any]) -> bool:
    """Whether this is an mcpServers file and not gateway.yaml."""
    return any(section in members for section in _SECTIONS)


def read_mcp_servers(document: Document, environment: Mapping[str, str]) -> McpServers:
    """The servers of the file. Raises `DeclarationInvalid`."""
    section = next((name for name in _SECTIONS if name in document.members), None)
    if section is None:
        raise document.problem([], "there is neither `mcpServers` nor `servers`", hint="include such a file only")
    servers = document.members[section]
    if not isinstance(servers, dict):
        raise document.problem([section], "must be an object", hint='for example {"crm": {"url": "https://…/mcp"}}')
    entries: dict[str, ServerEntry] = {}
    notices: list[str] = []
    for written_name, server in cast("dict[str, Any]", servers).items():
        place = [section, written_name]
        if not isinstance(server, dict):
            raise document.problem(place, "must be an object", hint='for example {"url": "https://…/mcp"}')
        members = cast("dict[str, Any]", server)
        reason = _why_left_out(members)
        if reason:
            notices.append(f"{document.path}: {written_name} is left out: {reason}")
            continue
        name = _upstream_name(written_name)
        if not UPSTREAM_NAME.fullmatch(name):
            raise document.problem(place, "the name has no letter at its start", hint="use letters, digits and hyphens")
        if name in entries:
            raise document.problem(place, f"another server has the name {name} as well", hint="rename one of them")
        if name != written_name:
            notices.append(f"{document.path}: {written_name} has the name {name} here")
        written = {member: members[member] for member in _CONNECTION_MEMBERS if member in members}
        entries[name] = replace(_read_entry(document, place, members, environment), written=written)
        notices += _secret_notices(document, written_name, members)
    return McpServers(entries, tuple(notices))


def _why_left_out(server: Mapping[str, Any]) -> str:
    """Why a server cannot be an upstream; empty if it can be one."""
    if server.get("disabled") is True:
        return "it is disabled"
    kind = server.get("type")
    if "command" in server and kind in {None, "stdio"}:
        return ""
    if "command" not in server and (kind is None or kind in _HTTP_TYPES or kind == _SSE_TYPE):
        return ""
    return "its type is not supported, only stdio, streamable HTTP and SSE"


def _upstream_name(written: str) -> str:
    return _NOT_IN_A_NAME.sub("-", written.lower()).strip("-")[:MAX_UPSTREAM_NAME].rstrip("-")


def _read_entry(
    document: Document, place: list[str], server: Mapping[str, Any], environment: Mapping[str, str]
) -> ServerEntry:
    if "command" in server:
        return _read_program(document, place, server, environment)
    url = _text(document, [*place, "url"], server.get("url"), environment)
    try:
        parse_web_url(url)
    except ValueError as failure:
        raise document.problem([*place, "url"], str(failure), hint="for example https://mcp.example.com/mcp") from None
    headers: dict[str, str] = {}
    for name, value in _object(document, [*place, "headers"], server.get("headers", {})).items():
        header_place = [*place, "headers", name]
        try:
            check_header_name(name)
        except ValueError as failure:
            raise document.problem(header_place, str(failure), hint="remove it") from None
        headers[name] = _text(document, header_place, value, environment)
        if not _HEADER_VALUE.fullmatch(headers[name]):
            raise document.problem(header_place, "must be printable ASCII", hint="check the value for line breaks")
    return ServerEntry(
        url=url,
        is_sse=server.get("type") == _SSE_TYPE,
        headers=headers,
        credential=_read_credential(document, place, server, environment),
    )


def _read_program(
    document: Document, place: list[str], server: Mapping[str, Any], environment: Mapping[str, str]
) -> ServerEntry:
    arguments: Any = server.get("args", [])
    if not isinstance(arguments, list):
        raise document.problem([*place, "args"], "must be a list", hint='for example ["-y", "package@1.2.3"]')
    parts = [server["command"], *cast("list[Any]", arguments)]
    command = tuple(_text(document, [*place, "command"], part, environment) for part in parts)
    if not command[0]:
        raise document.problem([*place, "command"], "is empty", hint="name the program to run")
    variables: dict[str, str] = {}
    for name, value in _object(document, [*place, "env"], server.get("env", {})).items():
        variable_place = [*place, "env", name]
        variables[name] = _text(document, variable_place, value, environment)
        try:
            check_variable(name, variables[name])
        except ValueError as failure:
            raise document.problem(variable_place, str(failure), hint="remove it") from None
    written_folder: Any = server.get("cwd", ".")
    folder = document.path.parent.absolute() / _text(document, [*place, "cwd"], written_folder, environment)
    return ServerEntry(command=command, environment=variables, folder=folder)


def _object(document: Document, place: list[str], value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise document.problem(place, "must be an object", hint="one member for each name")
    return cast("dict[str, Any]", value)


def _read_credential(
    document: Document, place: list[str], server: Mapping[str, Any], environment: Mapping[str, str]
) -> WrittenCredential | None:
    """The member `credential`, in the form of gateway.yaml, with the variables in its texts filled in."""
    if "credential" not in server:
        return None
    credential_place = [*place, "credential"]
    filled = _fill_in(document, credential_place, server["credential"], environment)
    return read_credential(document, credential_place, filled)


def _fill_in(document: Document, place: list[str], value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: _fill_in(document, [*place, name], each, environment) for name, each in members.items()}
    return _text(document, place, value, environment) if isinstance(value, str) else value


def _text(document: Document, place: list[str], value: Any, environment: Mapping[str, str]) -> str:
    if not isinstance(value, str):
        raise document.problem(place, "must be a text", hint="put it in quotes")
    try:
        return fill_in_variables(value, environment)
    except VariableMissing as missing:
        hint = f"set {missing.name} for the gateway"
        raise document.problem(place, f"the environment variable {missing.name} is not set", hint=hint) from None
    except VariableRefused as refused:
        hint = "give the value another name in the environment of the gateway"
        problem = f"{refused.name} is a setting of the gateway, which no server gets"
        raise document.problem(place, problem, hint=hint) from None


def _secret_notices(document: Document, name: str, server: Mapping[str, Any]) -> list[str]:
    values = cast("dict[str, Any]", server.get("env" if "command" in server else "headers", {}))
    written = sorted(each for each, value in values.items() if "${" not in str(value))
    if not written:
        return []
    advice = "if it is a secret, use a variable such as ${TOKEN}, or a file that gateway.yaml names"
    return [f"{document.path}: {name} has the value of {', '.join(written)} in plaintext; {advice}"]
