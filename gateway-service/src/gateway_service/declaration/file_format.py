"""The members of gateway.yaml as they are written, and their checks."""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gateway_service.declaration.documents import DeclarationInvalid, Document
from security_common.pii import PIIKind
from security_common.tool_policy.policy import PIIPolicy
from security_common.web_urls import parse_web_url

__all__ = [
    "SOURCE_MEMBERS",
    "GatewayFile",
    "WrittenCredential",
    "WrittenDefaults",
    "WrittenExchange",
    "WrittenResourceRule",
    "WrittenRule",
    "WrittenRun",
    "WrittenUpstream",
    "check_header_name",
    "check_variable",
    "read_credential",
    "read_gateway_file",
]

SOURCE_MEMBERS = ("url", "type", "command", "args", "env", "env_files", "cwd", "credential", "ca_file")
"""The members of an upstream that say how it is reached. gateway.lock covers them."""

_DURATION = re.compile(r"([0-9]{1,6})(ms|s|m)")
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_SIZE = re.compile(r"([0-9]{1,6})(KiB|MiB|GiB)")
_SIZE_UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOST = re.compile(r"[a-z0-9.-]{1,253}(:[0-9]{1,5})?")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # scope-token of RFC 6749 section 3.3
# The gateway writes these headers itself; a declared value would replace what the protocol needs.
_OWN_HEADERS = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "cookie", "host", "traceparent"}
    | {"transfer-encoding", "upgrade"}
)


def _parse_duration(value: object) -> object:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a duration such as 500ms, 30s or 5m")
    return int(match[1]) * _DURATION_UNITS[match[2]]


def _parse_size(value: object) -> object:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a size such as 512KiB or 4MiB")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def _parse_scopes(value: object) -> object:
    names = value.split() if isinstance(value, str) else []
    if not names or not all(map(_SCOPE.fullmatch, names)):
        raise ValueError("must be a scope, or several scopes separated by spaces")
    return frozenset(names)


def _check_host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("must be a host such as accounts.example.com, in lower case, with a port if it is not 443")
    return value


def _check_url(value: str) -> str:
    parse_web_url(value)
    return value


def check_variable(name: str, value: str) -> None:
    """Raises ValueError for what cannot be an environment variable."""
    if not _VARIABLE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of an environment variable")
    if "\0" in value:
        raise ValueError(f"the value of {name} contains a null character")


def check_header_name(name: str) -> None:
    """Raises ValueError for a name that is not a header, or that the gateway writes itself."""
    lower = name.lower()
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a header")
    if lower in _OWN_HEADERS or lower.startswith("mcp-"):
        raise ValueError(f"the gateway writes the header {name} itself")


Seconds = Annotated[float, BeforeValidator(_parse_duration), Field(gt=0, le=3600)]
Bytes = Annotated[int, BeforeValidator(_parse_size), Field(gt=0, le=64 * 1024 * 1024)]
MemoryBytes = Annotated[int, BeforeValidator(_parse_size), Field(ge=16 * 1024**2, le=1024**4)]
Scopes = Annotated[frozenset[str], BeforeValidator(_parse_scopes)]
Host = Annotated[str, AfterValidator(_check_host)]
Url = Annotated[str, AfterValidator(_check_url)]
Drift = Literal["refuse", "warn"]
Task = Literal["view", "store", "change", "delete", "download"]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WrittenRule(_Written):
    """The rule of a tool or of a pattern of tools."""

    scope: Scopes = frozenset()
    policy: PIIPolicy | None = None
    arguments: PIIPolicy | None = None
    result: PIIPolicy | None = None
    identifiers: tuple[str, ...] = ()
    subject: str | None = None
    task: Task | None = None
    reveal: frozenset[PIIKind] = frozenset()
    exposed_name: str | None = Field(default=None, alias="as")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.exposed_name is not None and not _TOOL_NAME.fullmatch(self.exposed_name):
            raise ValueError("`as` must have 1 to 64 letters, digits, `_` or `-`")
        return self


class WrittenResourceRule(_Written):
    """The rule of a resource, of a template, or of a pattern of their URIs."""

    scope: Scopes = frozenset()
    policy: PIIPolicy | None = None
    task: Task | None = None


class WrittenExchange(_Written):
    """The gateway as a client of its own issuer, and the tokens that it gets there.

    Without `client_id`, the client of the settings is used.
    """

    client_id: str | None = Field(default=None, min_length=1)
    secret_file: Path | None = None
    key_file: Path | None = None
    resource: Url | None = None
    scopes: Scopes = frozenset()

    @model_validator(mode="after")
    def _check(self) -> Self:
        absent_files = [self.secret_file, self.key_file].count(None)
        if self.client_id is None and absent_files != 2:
            raise ValueError("`secret_file` and `key_file` need a `client_id`")
        if self.client_id is not None and absent_files != 1:
            raise ValueError("needs either `secret_file` or `key_file` (a private JWK)")
        return self


class WrittenClientCredentials(WrittenExchange):
    """The gateway as a client of any issuer."""

    issuer: Url | None = None
    audience: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _check_issuer(self) -> Self:
        if self.issuer is not None and self.client_id is None:
            raise ValueError("another `issuer` needs a `client_id`")
        return self


class WrittenCredential(_Written):
    """What the gateway sends to the upstream to identify itself, or its caller."""

    secret_file: Path | None = None
    header: str = "Authorization"
    scheme: str = "Bearer"
    client_credentials: WrittenClientCredentials | None = None
    exchange: WrittenExchange | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files with secrets that it names."""
        clients = [each for each in (self.client_credentials, self.exchange) if each is not None]
        named = [self.secret_file, *(file for each in clients for file in (each.secret_file, each.key_file))]
        return tuple(file for file in named if file is not None)

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_header_name(self.header)
        if self.scheme and not _HEADER_NAME.fullmatch(self.scheme):
            raise ValueError("`scheme` must be one word such as Bearer, or empty for the secret alone")
        if [self.secret_file, self.client_credentials, self.exchange].count(None) != 2:
            raise ValueError("needs one of `secret_file`, `client_credentials` and `exchange`")
        if self.secret_file is None and {"header", "scheme"} & self.model_fields_set:
            raise ValueError("`header` and `scheme` belong to `secret_file`")
        return self


class WrittenRun(_Written):
    """How a program is run."""

    instances: Literal["per-caller", "shared"] = "per-caller"
    trust: Literal["same-user"] | None = None
    most: int = Field(default=8, ge=1, le=1000)
    idle: Seconds = 600.0
    memory: MemoryBytes = 512 * 1024**2
    processes: int = Field(default=64, ge=1, le=10_000)
    files: int = Field(default=1024, ge=16, le=1_000_000)
    network: Literal["host", "none"] = "host"
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not all(path.is_absolute() for path in (*self.read, *self.write)):
            raise ValueError("`read` and `write` must be absolute paths")
        return self


class WrittenDefaults(_Written):
    """What applies to every upstream that does not say otherwise."""

    policy: PIIPolicy = PIIPolicy.OBSERVE
    timeout: Seconds = 30.0
    longest: Seconds = 300.0
    result_limit: Bytes = 4 * 1024 * 1024
    drift: Drift = "refuse"


class WrittenUpstream(_Written):
    """One upstream. Its URL, or its command, may be in an included file."""

    url: Url | None = None
    type: Literal["http", "sse", "bridge"] | None = None
    command: str | None = Field(default=None, min_length=1)
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = Field(default_factory=dict[str, str])
    env_files: Mapping[str, Path] = Field(default_factory=dict[str, Path])
    cwd: Path | None = None
    run: WrittenRun | None = None
    credential: WrittenCredential | None = None
    ca_file: Path | None = None
    policy: PIIPolicy | None = None
    timeout: Seconds | None = None
    longest: Seconds | None = None
    result_limit: Bytes | None = None
    drift: Drift | None = None
    tool_list: Literal["approved", "live"] = Field(default="approved", alias="list")
    in_flight: int = Field(default=64, ge=1, le=10_000)
    tools: Mapping[str, WrittenRule] | None = None
    prompts: Mapping[str, WrittenRule] = Field(default_factory=dict[str, WrittenRule])
    resources: Mapping[str, WrittenResourceRule] = Field(default_factory=dict[str, WrittenResourceRule])
    input_requests: frozenset[Literal["form", "sampling", "roots"]] = frozenset({"form"})
    input_url_hosts: frozenset[Host] = frozenset()

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, value in (*self.env.items(), *((name, "") for name in self.env_files)):
            check_variable(name, value)
        for place, rules in (("tools", self.tools or {}), ("prompts", self.prompts)):
            for name, rule in rules.items():
                if "*" in name and rule.exposed_name is not None:
                    raise ValueError(f"{place}.{name}: `as` needs the name of one tool or prompt, not a pattern")
        return self


class GatewayFile(_Written):
    """gateway.yaml as a whole."""

    include: tuple[Path, ...] = ()
    secret_folders: tuple[Path, ...] = ()
    defaults: WrittenDefaults = WrittenDefaults()
    requestable_scopes: Scopes | None = None
    upstreams: Mapping[str, WrittenUpstream] = Field(default_factory=dict[str, WrittenUpstream])


def read_gateway_file(document: Document) -> GatewayFile:
    """The checked members of gateway.yaml. Raises `DeclarationInvalid` for the first problem."""
    try:
        return GatewayFile.model_validate(document.members)
    except ValidationError as failure:
        raise _first_problem(document, [], failure) from None


def read_credential(document: Document, place: Sequence[str], members: Any) -> WrittenCredential:
    """The credential at a place of another file. Raises `DeclarationInvalid` for the first problem."""
    try:
        return WrittenCredential.model_validate(members)
    except ValidationError as failure:
        raise _first_problem(document, place, failure) from None


def _first_problem(document: Document, prefix: Sequence[str], failure: ValidationError) -> DeclarationInvalid:
    first = failure.errors(include_url=False, include_input=False)[0]
    place = [*prefix, *(step for step in first["loc"] if step != "[key]")]
    if first["type"] == "extra_forbidden":
        return document.problem(place, "there is no such member", hint=_similar_members(str(place[-1])))
    problem = first["msg"].removeprefix("Value error, ")
    return document.problem(place, problem, hint="docs/gateway.md describes every member of gateway.yaml")


def _similar_members(name: str) -> str:
    models: Sequence[type[BaseModel]] = (
        GatewayFile, WrittenDefaults, WrittenUpstream, WrittenRun, WrittenCredential, WrittenClientCredentials,
        WrittenRule, WrittenResourceRule,
    )  # fmt: skip
    known = {field.alias or member for model in models for member, field in _fields_of(model).items()}
    similar = difflib.get_close_matches(name, sorted(known), n=1)
    return f"did you mean `{similar[0]}`?" if similar else "docs/gateway.md describes every member of gateway.yaml"


def _fields_of(model: type[BaseModel]) -> Mapping[str, Any]:
    return model.model_fields
