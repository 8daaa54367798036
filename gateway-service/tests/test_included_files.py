"""What an included mcpServers file may name, and what gateway.lock covers of how an upstream is reached."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from gateway_service.declaration import DeclarationInvalid, GatewayDeclaration, load_declaration


def load(folder: Path, text: str, *, name: str = "gateway.yaml", **variables: str) -> GatewayDeclaration:
    file = folder / name
    file.write_text(text)
    return load_declaration(file, variables)


def servers(**entries: Any) -> str:
    return json.dumps({"mcpServers": entries})


@pytest.mark.parametrize("variable", ["SECURITY_ENCRYPTION_KEY", "env:GATEWAY_CLIENT_SECRET_FILE", "GATEWAY_X:-a"])
def test_no_server_gets_a_setting_of_the_gateway(tmp_path: Path, variable: str) -> None:
    text = servers(a={"url": f"https://a.example.com/${{{variable}}}"})
    with pytest.raises(DeclarationInvalid, match=r"a\.url: .* is a setting of the gateway"):
        load(tmp_path, text, name="mcp.json", SECURITY_ENCRYPTION_KEY="k", GATEWAY_CLIENT_SECRET_FILE="f")


CLIENT = {"client_id": "c", "secret_file": "secrets/c"}


@pytest.mark.parametrize(
    ("credential", "folders", "is_accepted"),
    [
        ({"secret_file": "secrets/a"}, "", False),
        ({"secret_file": "secrets/a"}, "secret_folders: [secrets]", True),
        ({"secret_file": "secrets/a"}, "secret_folders: [other, secrets/]", True),
        ({"secret_file": "secrets-of-others/a"}, "secret_folders: [secrets]", False),
        ({"secret_file": "/etc/shadow"}, "secret_folders: [secrets]", False),
        ({"secret_file": "secrets/../other"}, "secret_folders: [secrets]", False),
        ({"exchange": CLIENT}, "", False),
        ({"exchange": CLIENT}, "secret_folders: [secrets]", True),
        ({"client_credentials": {"client_id": "c", "key_file": "secrets/k"}}, "", False),
        ({"exchange": {}}, "", True),
    ],
)
def test_an_included_file_names_secrets_in_declared_folders_only(
    tmp_path: Path, credential: dict[str, Any], folders: str, is_accepted: bool
) -> None:
    (tmp_path / "own.json").write_text(servers(a={"url": "https://a.example.com/mcp", "credential": credential}))
    refused = pytest.raises(DeclarationInvalid, match="is in no folder that")
    with nullcontext() if is_accepted else refused:
        load(tmp_path, f"include: [own.json]\n{folders}")


def test_a_file_that_is_the_declaration_names_any_secret(tmp_path: Path) -> None:
    text = servers(a={"url": "https://a.example.com/mcp", "credential": {"secret_file": "/run/secrets/a"}})
    (upstream,) = load(tmp_path, text, name="mcp.json").upstreams
    assert upstream.credential is not None
    assert upstream.credential.file == Path("/run/secrets/a")


PROGRAM_ENTRY: dict[str, Any] = {"command": "npx", "args": ["-y", "files@1.2.3"], "env": {"KEY": "${KEY}"}, "cwd": "a"}
URL_ENTRY: dict[str, Any] = {"url": "https://a.example.com/mcp?team=1", "headers": {"X-Key": "${KEY}"}}


@pytest.mark.parametrize(
    ("entry", "change", "is_the_same"),
    [
        (PROGRAM_ENTRY, {}, True),
        (PROGRAM_ENTRY, {"icon": "x", "env": {"KEY": "${KEY}"}}, True),
        (PROGRAM_ENTRY, {"args": ["-y", "files@1.2.4"]}, False),
        (PROGRAM_ENTRY, {"env": {"KEY": "${OTHER}"}}, False),
        (PROGRAM_ENTRY, {"env": {"KEY": "${KEY}", "NODE_OPTIONS": "--require=/tmp/a.js"}}, False),
        (PROGRAM_ENTRY, {"cwd": "b"}, False),
        (URL_ENTRY, {"url": "https://a.example.com/mcp?team=2"}, False),
        (URL_ENTRY, {"headers": {"X-Key": "${OTHER}"}}, False),
        (URL_ENTRY, {"type": "sse"}, False),
        (URL_ENTRY, {"credential": {"exchange": {}}}, False),
    ],
)
def test_what_says_how_an_upstream_is_reached_has_one_digest(
    tmp_path: Path, entry: dict[str, Any], change: dict[str, Any], is_the_same: bool
) -> None:
    digests: list[str] = []
    for members, key in ((entry, "k-1"), ({**entry, **change}, "k-2")):
        (upstream,) = load(tmp_path, servers(a=members), name="mcp.json", KEY=key, OTHER="o").upstreams
        digests.append(upstream.source_digest)
    assert (digests[0] == digests[1]) is is_the_same


def test_a_rule_does_not_say_how_an_upstream_is_reached(tmp_path: Path) -> None:
    texts = ("{url: 'http://a/mcp'}", "{url: 'http://a/mcp', policy: mask, tools: {a: {}}}", "{url: 'http://a/mcp?b'}")
    digests = [load(tmp_path, f"upstreams: {{a: {text}}}").upstreams[0].source_digest for text in texts]
    assert digests[0] == digests[1] != digests[2]
