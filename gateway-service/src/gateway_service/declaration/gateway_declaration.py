"""The declaration as frozen values: the upstreams, how each is reached, and the rules of their tools."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Self

from gateway_service.declaration.documents import DeclarationInvalid
from gateway_service.declaration.program_declaration import ProgramDeclaration
from gateway_service.declaration.rule_patterns import RulePatterns
from gateway_service.declaration.upstream_credentials import UpstreamCredential
from security_common.pii import PIIKind
from security_common.tool_policy.policy import PIIPolicy

__all__ = [
    "MAX_UPSTREAM_NAME",
    "UPSTREAM_NAME",
    "GatewayDeclaration",
    "InputRequestKind",
    "ToolRule",
    "UpstreamDeclaration",
]

MAX_UPSTREAM_NAME = 16
UPSTREAM_NAME = re.compile(rf"[a-z][a-z0-9-]{{0,{MAX_UPSTREAM_NAME - 1}}}")
"""The name has no underscore, so that `<upstream>_<tool>` belongs to one upstream only."""


class InputRequestKind(StrEnum):
    """What an input request asks for: a form or a web page for the user, a text of the client's model, its folders."""

    FORM = "form"
    URL = "url"
    SAMPLING = "sampling"
    ROOTS = "roots"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRule:
    """What applies to the tools, prompts or resources that a name or pattern matches.

    `scopes` are needed for a call, besides those of the resource. `arguments` and `result` are the policies of the two
    directions. The values of `identifiers` are passed on unchanged. `subject` is the argument that names the person
    whose data is accessed, and `task` what is done with it, both for the audit trail. The kinds in `reveal` are put
    back in the arguments under the policy `tokenize`. `exposed_name` takes the place of the tool's own name after the
    upstream's name.
    """

    scopes: frozenset[str] = frozenset()
    arguments: PIIPolicy
    result: PIIPolicy
    identifiers: tuple[str, ...] = ()
    subject: str | None = None
    task: str | None = None
    reveal: frozenset[PIIKind] = frozenset()
    exposed_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class UpstreamDeclaration:
    """One MCP server behind the gateway: behind `url`, or a `program`. With `is_sse`, the URL is that of HTTP+SSE.
    With `is_bridge`, a `gateway-service bridge` listens there, which separates callers. `source_digest` is that of all
    members that say how it is reached.

    `headers` are sent with each request and may contain secrets. `tools` has the rules by name or pattern; None if the
    file declares none, so that `default_rule` applies while gateway and issuer are on this machine. `prompts` has the
    rules of prompts, and `resources` those of resources and templates by URI or pattern; what they do not name is
    not available. `input_requests` is what the upstream may ask the client's user for, and `input_url_hosts` are the
    hosts to which it may send the user. Times are in seconds: `silent_seconds` without a byte of a response,
    `longest_seconds` for a call in all. `refuses_changes` is whether calls of a tool are refused while its definition
    differs from the approved one in more than its texts. `is_live` is whether its tools are requested for each caller,
    and not pinned.
    """

    name: str
    url: str = ""
    is_sse: bool = False
    is_bridge: bool = False
    source_digest: str = ""
    program: ProgramDeclaration | None = None
    credential: UpstreamCredential | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    ca_file: Path | None = None
    tools: Mapping[str, ToolRule] | None = None
    default_rule: ToolRule
    prompts: RulePatterns[ToolRule] = field(default_factory=lambda: RulePatterns[ToolRule]({}))
    resources: RulePatterns[ToolRule] = field(default_factory=lambda: RulePatterns[ToolRule]({}))
    input_requests: frozenset[InputRequestKind] = frozenset({InputRequestKind.FORM})
    input_url_hosts: frozenset[str] = frozenset()
    silent_seconds: float = 30.0
    longest_seconds: float = 300.0
    max_result_bytes: int = 4 * 1024 * 1024
    max_in_flight: int = 64
    refuses_changes: bool = True
    is_live: bool = False

    @property
    def location(self) -> str:
        """The URL, or the command without its arguments, which may contain secrets."""
        return self.url if self.program is None else self.program.command[0]

    @property
    def rules(self) -> tuple[ToolRule, ...]:
        """Every rule of its tools, prompts and resources; for tools, the default rule if there is no other."""
        tools = (self.default_rule,) if self.tools is None else self.tools.values()
        return *tools, *self.prompts.rules.values(), *self.resources.rules.values()

    @property
    def source(self) -> str:
        """The location as gateway.lock shows it: without the query of the URL, which may contain a secret."""
        return self.location.partition("?")[0]

    @cached_property
    def _tool_patterns(self) -> RulePatterns[ToolRule]:
        return RulePatterns(self.tools or {})

    def pattern_for(self, tool: str) -> str | None:
        """The name or pattern in `tools` that decides about a tool: its exact name first, then the longest pattern."""
        return self._tool_patterns.pattern_for(tool)

    def rule_for(self, tool: str, *, is_local: bool) -> ToolRule | None:
        """The rule for a tool of the upstream. None if no rule names the tool, which is then not available.

        `is_local` is whether gateway and issuer are on this machine: an upstream without rules has all its tools
        available then, and none otherwise.
        """
        if self.tools is None:
            return self.default_rule if is_local else None
        pattern = self.pattern_for(tool)
        return self.tools[pattern] if pattern is not None else None

    def has_connection_of(self, other: Self) -> bool:
        """Whether both are reached in the same way, so that connections, sessions and programs can be kept."""
        return self._connection == other._connection

    @property
    def _connection(self) -> tuple[object, ...]:
        return (
            self.name,
            self.url,
            self.is_sse,
            self.is_bridge,
            self.program,
            self.credential,
            dict(self.headers),
            self.ca_file,
            self.silent_seconds,
            self.longest_seconds,
            self.max_result_bytes,
            self.max_in_flight,
        )

    @property
    def exact_names(self) -> tuple[str, ...]:
        """The tools that are named without a pattern."""
        return self._tool_patterns.exact_names


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayDeclaration:
    """All upstreams. `notices` are remarks about the files for the log and the doctor, without secrets.

    `requestable_scopes` are those that a client may request for any user; a tool that needs another scope is listed
    only for a caller who has it. None: every scope may be requested. `files` are those that were read, and `digest` is
    SHA-256 over their digests, in hexadecimal.
    """

    upstreams: tuple[UpstreamDeclaration, ...]
    requestable_scopes: frozenset[str] | None = None
    notices: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    digest: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.upstreams)

    def require_trusted_programs(self, *, is_local: bool) -> None:
        """Raises `DeclarationInvalid` for a program that would run for several people, unless it is trusted for that.

        `is_local` is whether gateway and issuer are on this machine, which is taken as a gateway for one person. A
        program runs as the user of the gateway, so it may read what the gateway can read.
        """
        for each in self.upstreams:
            if each.program is not None and not each.program.is_trusted and not is_local:
                raise DeclarationInvalid(
                    f"{each.name} is a program, which runs as the user of the gateway, for every caller",
                    hint="run it in a container of its own with `gateway-service bridge` and name its URL, "
                    "or set `run: {trust: same-user}`",
                )

    def require_programs_in_one_process(self, workers: int) -> None:
        """Raises `DeclarationInvalid` for a program if several processes would each start it for the same caller."""
        for each in self.upstreams:
            if each.program is not None and workers > 1:
                raise DeclarationInvalid(
                    f"{each.name} is a program, which {workers} workers would each start for the same caller",
                    hint="set GATEWAY_WORKERS=1, or run it with `gateway-service bridge` and name its URL",
                )

    @property
    def rules(self) -> list[ToolRule]:
        """Every rule, with that of each upstream that declares none."""
        return [rule for each in self.upstreams for rule in each.rules]

    @property
    def scopes(self) -> frozenset[str]:
        """Every scope that a rule names."""
        return frozenset[str]().union(*(rule.scopes for rule in self.rules))

    @property
    def policies(self) -> frozenset[PIIPolicy]:
        """Every policy that applies to some component."""
        return frozenset(policy for rule in self.rules for policy in (rule.arguments, rule.result))
