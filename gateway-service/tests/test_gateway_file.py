"""gateway.yaml and mcpServers files: what they mean, and the message for every kind of mistake."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_service.declaration import DeclarationInvalid, GatewayDeclaration, load_declaration
from gateway_service.declaration.variables import VariableMissing, fill_in_variables
from security_common.tool_policy.policy import PIIPolicy

COMPLETE = """
include: [servers.json]
defaults: {policy: mask, timeout: 5s, longest: 2m, result_limit: 512KiB}
requestable_scopes: mcp.crm
upstreams:
  crm:
    url: https://crm.example.com/mcp
    credential: {secret_file: secrets/crm, header: X-Key, scheme: ""}
    ca_file: ca.pem
    policy: tokenize
    timeout: 500ms
    in_flight: 3
    tools:
      find:        {scope: mcp.crm, identifiers: [id], subject: id, task: view, reveal: [PHONE]}
      export_*:    {scope: mcp.crm mcp.export, arguments: observe, result: reject}
      export_all:  {as: everything, policy: encrypt}
  files:
    tools: {"*": {scope: mcp.files}}
"""
SERVERS = {"mcpServers": {"files": {"url": "https://files.example.com/mcp", "headers": {"X-Token": "${TOKEN}"}}}}


def load(folder: Path, text: str, *, name: str = "gateway.yaml", **variables: str) -> GatewayDeclaration:
    (folder / "servers.json").write_text(json.dumps(SERVERS))
    file = folder / name
    file.write_text(text)
    return load_declaration(file, variables)


def test_a_complete_file_has_every_default_filled_in(tmp_path: Path) -> None:
    declaration = load(tmp_path, COMPLETE, TOKEN="value-of-the-token")
    files, crm = declaration.upstreams
    assert (crm.name, crm.url) == ("crm", "https://crm.example.com/mcp")
    assert crm.credential is not None
    assert crm.credential.file == tmp_path / "secrets/crm"
    assert (crm.credential.name, crm.credential.scheme) == ("X-Key", "")
    assert crm.ca_file == tmp_path / "ca.pem"
    assert (crm.silent_seconds, crm.longest_seconds, crm.max_result_bytes, crm.max_in_flight) == (0.5, 120, 524288, 3)
    assert (files.url, files.headers) == ("https://files.example.com/mcp", {"X-Token": "value-of-the-token"})
    assert (files.silent_seconds, files.default_rule.arguments) == (5, PIIPolicy.MASK)
    assert declaration.requestable_scopes == {"mcp.crm"}
    assert declaration.scopes == {"mcp.crm", "mcp.export", "mcp.files"}
    assert "value-of-the-token" not in repr(declaration)


@pytest.mark.parametrize(
    ("tool", "arguments", "result", "scopes"),
    [
        ("find", "tokenize", "tokenize", {"mcp.crm"}),
        ("export_all", "encrypt", "encrypt", set[str]()),
        ("export_some", "observe", "reject", {"mcp.crm", "mcp.export"}),
        ("export_", "observe", "reject", {"mcp.crm", "mcp.export"}),
    ],
)
def test_the_exact_name_comes_before_a_pattern(
    tmp_path: Path, tool: str, arguments: str, result: str, scopes: set[str]
) -> None:
    _, crm = load(tmp_path, COMPLETE, TOKEN="t").upstreams
    rule = crm.rule_for(tool, is_local=True)
    assert rule is not None
    assert (rule.arguments, rule.result, rule.scopes) == (arguments, result, scopes)


@pytest.mark.parametrize(
    ("members", "is_kept"),
    [
        ({"policy": "mask", "tools": {"find": {}}}, True),
        ({"type": "sse"}, False),
        ({"timeout": "1s"}, False),
        ({"in_flight": 1}, False),
        ({"credential": {"secret_file": "crm"}}, False),
        ({"ca_file": "ca.pem"}, False),
        ({"url": "https://other.example.com/mcp"}, False),
    ],
    ids=str,
)
def test_connections_are_kept_unless_they_would_be_made_differently(
    tmp_path: Path, members: dict[str, Any], *, is_kept: bool
) -> None:
    entry = {"url": "https://crm.example.com/mcp"}
    (before,) = load(tmp_path, json.dumps({"upstreams": {"crm": entry}})).upstreams
    (after,) = load(tmp_path, json.dumps({"upstreams": {"crm": {**entry, **members}}})).upstreams
    assert before.has_connection_of(after) is is_kept


@pytest.mark.parametrize("tool", ["fin", "find2", "Find", "export", "other_export_all", "", "*"])
def test_a_tool_that_no_rule_names_is_not_available(tmp_path: Path, tool: str) -> None:
    _, crm = load(tmp_path, COMPLETE, TOKEN="t").upstreams
    assert crm.rule_for(tool, is_local=True) is None


@pytest.mark.parametrize("order", [("a*", "ab*", "*"), ("*", "ab*", "a*"), ("ab*", "*", "a*")])
def test_the_pattern_with_the_longest_text_decides_in_any_order(tmp_path: Path, order: tuple[str, ...]) -> None:
    rules = ", ".join(f'"{pattern}": {{scope: s{len(pattern)}}}' for pattern in order)
    (upstream,) = load(tmp_path, f"upstreams: {{a: {{url: 'http://h/mcp', tools: {{{rules}}}}}}}").upstreams
    scopes = [upstream.rule_for(tool, is_local=False) for tool in ("abc", "ac", "c")]
    assert [rule.scopes for rule in scopes if rule] == [{"s3"}, {"s2"}, {"s1"}]


def entry(members: str) -> str:
    return f"upstreams:\n  crm:\n    url: http://localhost:1/mcp\n    {members}\n"


def program(text: str) -> str:
    return f"upstreams:\n  crm:\n    command: server\n    {text}\n"


MISTAKES: dict[str, tuple[str, str, str]] = {
    "misspelled member": (
        entry("polcy: mask"),
        ":4: upstreams.crm.polcy: there is no such member",
        "did you mean `policy`?",
    ),
    "unknown member at the top": ("upstream: {}", ":1: upstream: there is no such member", "did you mean `upstreams`?"),
    "unknown policy": (entry("policy: hide"), ":4: upstreams.crm.policy: Input should be 'encrypt'", "gateway.md"),
    "policy of a tool": (
        entry("tools:\n      find:\n        policy: hide"),
        ":6: upstreams.crm.tools.find.policy: ",
        "gateway.md",
    ),
    "duration without a unit": (entry("timeout: 30"), ":4: upstreams.crm.timeout: must be a duration", "gateway.md"),
    "size without a unit": (entry("result_limit: 4"), ":4: upstreams.crm.result_limit: must be a size", "gateway.md"),
    "no time at all": (entry("timeout: 0s"), ":4: upstreams.crm.timeout: ", "gateway.md"),
    "scope with a quote": (entry("tools: {a: {scope: 'a\"b'}}"), ":4: upstreams.crm.tools.a.scope: must be a sc", ""),
    "unknown kind": (entry("tools: {a: {policy: tokenize, reveal: [TEL]}}"), ":4: upstreams.crm.tools.a.reveal", ""),
    "reveal without tokenize": (entry("tools: {a: {reveal: [PHONE]}}"), ":4: upstreams.crm.tools.a.reveal: has", "set"),
    "as for a pattern": (entry("tools: {'a*': {as: b}}"), "tools.a*: `as` needs the name of one tool", ""),
    "as with a space": (entry("tools: {a: {as: 'b c'}}"), ":4: upstreams.crm.tools.a: `as` must have", ""),
    "header of the protocol": (entry("credential: {secret_file: a, header: Mcp-Name}"), "itself", ""),
    "header with a line break": (entry('credential: {secret_file: a, header: "X\\nY"}'), "name of a header", ""),
    "scheme of two words": (entry("credential: {secret_file: a, scheme: a b}"), "`scheme` must be one word", ""),
    "not a URL": ("upstreams: {crm: {url: localhost}}", ":1: upstreams.crm.url: not an http or https URL", ""),
    "URL with a password": ("upstreams: {crm: {url: 'http://a:b@h/'}}", ":1: upstreams.crm.url: ", ""),
    "no URL": (
        "upstreams:\n  crm: {policy: mask}",
        ":2: upstreams.crm: has neither `url` nor `command`",
        "add it here",
    ),
    "URL and command": (entry("command: a"), ":2: upstreams.crm: has a `url` and a `command`", "remove one"),
    "type of a program": (program("type: http"), ":4: upstreams.crm.type: is for servers behind a URL only", ""),
    "unknown type": (entry("type: ws"), ":4: upstreams.crm.type: Input should be 'http', 'sse' or 'bridge'", ""),
    "arguments without a command": (entry("args: [a]"), ":4: upstreams.crm.args: is for programs only", "`command`"),
    "limits without a command": (entry("run: {most: 2}"), ":4: upstreams.crm.run: is for programs only", "`command`"),
    "credential of a program": (
        program("credential: {secret_file: a}"),
        ":4: upstreams.crm.credential: is for servers behind a URL only",
        "`env_files`",
    ),
    "empty command": ("upstreams: {crm: {command: ''}}", ":1: upstreams.crm.command: ", ""),
    "no instance": (program("run: {most: 0}"), ":4: upstreams.crm.run.most: ", ""),
    "little memory": (program("run: {memory: 1MiB}"), ":4: upstreams.crm.run.memory: ", ""),
    "memory without a unit": (program("run: {memory: 512}"), ":4: upstreams.crm.run.memory: must be a size", ""),
    "misspelled limit": (program("run: {memry: 1GiB}"), ":4: upstreams.crm.run.memry: there is no such", "`memory`"),
    "relative path": (program("run: {read: [data]}"), "`read` and `write` must be absolute paths", ""),
    "unknown trust": (program("run: {trust: me}"), ":4: upstreams.crm.run.trust: ", ""),
    "name of a variable": (program("env: {A-B: c}"), "'A-B' is not the name of an environment variable", ""),
    "name with an underscore": ("upstreams: {a_b: {url: 'http://h'}}", "a_b: is not the name of an upstream", "16"),
    "name with capitals": ("upstreams: {CRM: {url: 'http://h'}}", "CRM: is not the name of an upstream", "16"),
    "name that is too long": (f"upstreams: {{{'a' * 17}: {{url: 'http://h'}}}}", "is not the name", "16"),
    "member twice": ("upstreams:\n  a: {url: 'http://h'}\n  a: {url: 'http://i'}", ":3: a appears twice", "keep one"),
    "not YAML": ("upstreams: {", ":1: ", "indentation"),
    "a list": ("- crm", "the file must be a mapping", "`upstreams:`"),
    "nothing": ("", "the file must be a mapping", "`upstreams:`"),
    "no upstream": ("upstreams: {}", "there is no upstream", "declare one"),
    "included file is missing": ("include: [none.json]", "none.json: No such file", ""),
    "included file is not one": ("include: [gateway.yaml]", "neither `mcpServers` nor `servers`", ""),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_named_with_its_place_and_its_correction(tmp_path: Path, kind: str) -> None:
    text, description, hint = MISTAKES[kind]
    with pytest.raises(DeclarationInvalid) as raised:
        load(tmp_path, text)
    assert description in raised.value.description
    assert str(tmp_path) in raised.value.description
    assert hint in raised.value.hint
    assert raised.value.hint


def servers(**entries: Any) -> str:
    return json.dumps({"mcpServers": entries})


def test_an_mcp_servers_file_alone_is_a_declaration(tmp_path: Path) -> None:
    text = servers(
        GitHub={"type": "http", "url": "https://api.example.com/${env:REGION}/mcp", "headers": {"X-K": "Key ${KEY}"}},
        **{"my server!": {"url": "http://localhost:1/mcp", "headers": {"X-Plain": "secret-1"}, "icon": "x"}},
        old={"type": "sse", "url": "http://localhost/sse"},
        off={"url": "http://localhost/mcp", "disabled": True},
    )
    declaration = load(tmp_path, text, name="mcp.json", REGION="eu", KEY="k-1")
    github, other, old = declaration.upstreams
    assert (old.url, old.is_sse, github.is_sse) == ("http://localhost/sse", True, False)
    assert (github.name, github.url) == ("github", "https://api.example.com/eu/mcp")
    assert github.headers == {"X-K": "Key k-1"}
    assert github.tools is None
    assert (other.name, other.url) == ("my-server", "http://localhost:1/mcp")
    notices = "\n".join(declaration.notices)
    for expected in ("off is left out", "my server! has the name my-server"):
        assert expected in notices
    assert "my server! has the value of X-Plain in plaintext" in notices
    assert "secret-1" not in notices
    assert "k-1" not in notices


def test_programs_of_an_mcp_servers_file_are_upstreams(tmp_path: Path) -> None:
    text = servers(
        files={"command": "npx", "args": ["-y", "files@1.2.3", "${DATA}"], "env": {"KEY": "${KEY}", "MODE": "plain"}},
        own={"type": "stdio", "command": "python3", "cwd": "servers"},
    )
    declaration = load(tmp_path, text, name="mcp.json", DATA="/data", KEY="k-1")
    files, own = (upstream.program for upstream in declaration.upstreams)
    assert files is not None
    assert own is not None
    assert files.command == ("npx", "-y", "files@1.2.3", "/data")
    assert files.environment == {"KEY": "k-1", "MODE": "plain"}
    assert (files.folder, own.folder) == (tmp_path, tmp_path / "servers")
    assert (files.is_shared, files.is_trusted, files.max_instances) == (False, False, 8)
    assert [upstream.location for upstream in declaration.upstreams] == ["npx", "python3"]
    (notice,) = declaration.notices
    assert "files has the value of MODE in plaintext" in notice
    assert "k-1" not in repr(declaration)


def test_gateway_yaml_adds_to_a_program_of_an_included_file(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text(servers(files={"command": "files", "args": ["/data"], "env": {"A": "1"}}))
    run = "{instances: shared, trust: same-user, most: 2, idle: 1m, memory: 1GiB, processes: 9, files: 99}"
    text = f"include: [mcp.json]\nupstreams: {{files: {{env: {{B: '2'}}, env_files: {{C: secret}}, run: {run}}}}}"
    (upstream,) = load(tmp_path, text).upstreams
    program = upstream.program
    assert program is not None
    assert program.command == ("files", "/data")
    assert program.environment == {"A": "1", "B": "2"}
    assert program.secret_files == {"C": tmp_path / "secret"}
    assert (program.is_shared, program.is_trusted, program.max_instances, program.idle_seconds) == (True, True, 2, 60)
    assert (program.memory_bytes, program.max_processes, program.max_files) == (1024**3, 9, 99)
    assert not program.needs_sandbox


def test_a_url_takes_the_place_of_an_included_program(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text(servers(files={"command": "files"}))
    (upstream,) = load(tmp_path, "include: [mcp.json]\nupstreams: {files: {url: 'http://files:8090/mcp'}}").upstreams
    assert (upstream.url, upstream.program) == ("http://files:8090/mcp", None)


@pytest.mark.parametrize(
    ("text", "description"),
    [
        (servers(crm={"url": "http://h/${NONE}"}), "mcpServers.crm.url: the environment variable NONE is not set"),
        (servers(crm={"url": "ftp://h"}), "mcpServers.crm.url: not an http or https URL"),
        (servers(crm={}), "mcpServers.crm.url: must be a text"),
        (servers(crm=[]), "mcpServers.crm: must be an object"),
        (servers(crm={"url": "http://h", "headers": {"Host": "x"}}), "headers.Host: the gateway writes the header"),
        (servers(crm={"url": "http://h", "headers": {"X": 1}}), "headers.X: must be a text"),
        (servers(crm={"url": "http://h", "headers": {"X": "a\nb"}}), "headers.X: must be printable ASCII"),
        (servers(**{"a b": {"url": "http://h"}, "a-b": {"url": "http://h"}}), "another server has the name a-b"),
        (servers(**{"1": {"url": "http://h"}}), "mcpServers.1: the name has no letter at its start"),
        (servers(crm={"command": "npx", "args": "x"}), "mcpServers.crm.args: must be a list"),
        (servers(crm={"command": ""}), "mcpServers.crm.command: is empty"),
        (servers(crm={"command": "npx", "args": [1]}), "mcpServers.crm.command: must be a text"),
        (servers(crm={"command": "npx", "env": []}), "mcpServers.crm.env: must be an object"),
        (servers(crm={"command": "npx", "env": {"A=": "1"}}), "env.A=: 'A=' is not the name of an environment"),
        (servers(crm={"command": "npx", "env": {"A": "${NONE}"}}), "env.A: the environment variable NONE is not set"),
        (servers(crm={"command": "npx", "type": "ws"}), "there is no upstream; "),
        ('{"servers": []}', "servers: must be an object"),
        ('{"mcpServers": {}, // comment\n}', ":1:"),
        ('{"mcpServers": {}, "mcpServers": {}}', "a member appears twice"),
    ],
)
def test_a_mistake_in_an_mcp_servers_file_is_named(tmp_path: Path, text: str, description: str) -> None:
    with pytest.raises(DeclarationInvalid) as raised:
        load(tmp_path, text, name="mcp.json")
    assert description in raised.value.description
    assert raised.value.hint


def test_a_credential_on_plain_http_is_a_notice(tmp_path: Path) -> None:
    declaration = load(tmp_path, "upstreams: {a: {url: 'http://h.internal/mcp', credential: {secret_file: s}}}")
    assert "its URL is http" in declaration.notices[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "1"),
        ("${env:A}-${A}", "1-1"),
        ("${input:api-key}", "2"),
        ("${B:-x y}", "x y"),
        ("${B:-}", ""),
        ("$A {A} ${}", "$A {A} ${}"),
    ],
)
def test_variables_are_filled_in(text: str, expected: str) -> None:
    assert fill_in_variables(text, {"A": "1", "API_KEY": "2"}) == expected


@given(st.text(), st.text())
def test_the_value_of_a_variable_is_not_read_again(before: str, value: str) -> None:
    text = before.replace("$", "")
    filled = fill_in_variables(f"{text}${{A}}", {"A": f"${{B}}{value}"})
    assert filled == f"{text}${{B}}{value}"


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(VariableMissing) as raised:
        fill_in_variables("${A}${input:b-c}", {"A": "1"})
    assert raised.value.name == "B_C"


@pytest.mark.parametrize(
    ("credential", "kept"),
    [
        ("{secret_file: s}", {"X-Other": "o"}),
        ("{secret_file: s, header: x-other}", {"AUTHORIZATION": "Bearer declared"}),
        ("{exchange: {}}", {"X-Other": "o"}),
    ],
)
def test_a_credential_takes_the_place_of_a_header_in_any_case(
    tmp_path: Path, credential: str, kept: dict[str, str]
) -> None:
    headers = {"AUTHORIZATION": "Bearer declared", "X-Other": "o"}
    entries = {"mcpServers": {"a": {"url": "https://a.example.com/mcp", "headers": headers}}}
    (tmp_path / "own.json").write_text(json.dumps(entries))
    text = f"include: [own.json]\nupstreams: {{a: {{credential: {credential}}}}}"
    (upstream,) = load(tmp_path, text).upstreams
    assert upstream.headers == kept
