"""Reads the setting that declares trusted issuers: JSON, or the path of a JSON or YAML file, with a list of entries.

    - {preset: entra, issuer: https://login.microsoftonline.com/<tenant>/v2.0, audience: <client id of the API>}
    - {issuer: https://login.example.com, audience: weather-api, typ: [JWT], roles: {reader: [weather.read]}}

docs/trusted-issuers.md describes the members and what to declare for each vendor.
"""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, cast

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
)

from security_common.service.settings import check_https, check_web_url
from security_common.service.yaml_files import parse_yaml
from security_common.settings import SettingProblem
from security_common.tokens.trusted_issuer import DEFAULT_TOKEN_BYTES, MAX_TOKEN_BYTES, TrustedIssuer
from security_common.tokens.vendor_presets import PRESETS, PresetMismatch
from security_common.tokens.verification_keys import ALGORITHMS

__all__ = ["read_trusted_issuers"]

GUIDE_HINT = "docs/trusted-issuers.md describes every member and has an example for each preset"


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _with_empty_type(value: object) -> object:
    """`null` means tokens without a `typ` header."""
    listed = _as_list(value)
    if not isinstance(listed, list):
        return None
    return ["" if each is None else each for each in cast("list[object]", listed)]


def _as_scopes(value: object) -> object:
    return value.split() if isinstance(value, str) else value


def _as_values(value: object) -> object:
    return cast("object", value) if isinstance(value, list) else [value]


_Name = Annotated[StrictStr, Field(min_length=1)]
_Names = Annotated[tuple[_Name, ...], BeforeValidator(_as_list)]
_Scope = Annotated[StrictStr, Field(pattern=r"^[\x21\x23-\x5B\x5D-\x7E]+$")]  # RFC 6749 section 3.3
_ScopesByName = dict[_Name, Annotated[tuple[_Scope, ...], BeforeValidator(_as_scopes)]]
_Values = Annotated[tuple[StrictStr | StrictBool | StrictInt, ...], Field(min_length=1), BeforeValidator(_as_values)]
_Types = Annotated[tuple[StrictStr, ...], Field(min_length=1), BeforeValidator(_with_empty_type)]
_ALGORITHMS_ALLOWED = f"a list of {', '.join(ALGORITHMS)}; symmetric algorithms and none are never accepted"
_PRESETS_ALLOWED = f"one of {', '.join(PRESETS)}"


def _check_algorithm(name: str) -> str:
    if name not in ALGORITHMS:
        raise ValueError(f"must be {_ALGORITHMS_ALLOWED}")
    return name


def _check_preset(name: str) -> str:
    if name not in PRESETS:
        raise ValueError(f"must be {_PRESETS_ALLOWED}")
    return name


_Algorithms = Annotated[
    tuple[Annotated[StrictStr, AfterValidator(_check_algorithm)], ...], Field(min_length=1), BeforeValidator(_as_list)
]
_Preset = Annotated[StrictStr, AfterValidator(_check_preset)]

_CLAIM = "the name of a claim, or a list of names"
_MAPPING = 'an object that gives each name a list of scopes, such as {"reader": ["mcp.access"]}'


class _Entry(BaseModel, frozen=True, extra="forbid"):
    """One declared issuer. Members that are left out have the value of the preset, or the default for RFC 9068.

    The descriptions complete the message "<member>: must be ...".
    """

    preset: _Preset | None = Field(default=None, description=_PRESETS_ALLOWED)
    issuer: Annotated[StrictStr, AfterValidator(check_https)] = Field(description="a URL")
    audience: _Names = Field(min_length=1, description="a string, or a list of strings")
    internal_url: Annotated[StrictStr, AfterValidator(check_web_url)] | None = Field(default=None, description="a URL")
    typ: _Types = Field(default=(), description="a list of `typ` values, with null for tokens that have none")
    algorithms: _Algorithms = Field(default=(), description=_ALGORITHMS_ALLOWED)
    audience_claim: _Name = Field(default="", description="the name of a claim")
    client_claim: _Names = Field(default=(), description=_CLAIM)
    scope_claim: _Names = Field(default=(), description=_CLAIM)
    token_id_claim: _Names = Field(default=(), description=_CLAIM)
    roles_claim: _Names = Field(default=(), description=_CLAIM)
    groups_claim: _Names = Field(default=(), description=_CLAIM)
    required_claims: Annotated[tuple[_Name | tuple[_Name, ...], ...], BeforeValidator(_as_list)] = Field(
        default=(), description="a list of names of claims; a list inside it names claims of which one is enough"
    )
    claims: dict[_Name, _Values] = Field(
        default={},
        description="an object that gives names of claims their accepted values: strings, whole numbers, true or false",
    )
    forbidden_claims: _Names = Field(default=(), description=_CLAIM)
    scopes: _ScopesByName = Field(default={}, description=_MAPPING)
    roles: _ScopesByName = Field(default={}, description=_MAPPING)
    groups: _ScopesByName = Field(default={}, description=_MAPPING)
    max_token_bytes: StrictInt = Field(
        default=DEFAULT_TOKEN_BYTES,
        ge=1024,
        le=MAX_TOKEN_BYTES,
        description=f"a whole number from 1024 to {MAX_TOKEN_BYTES}",
    )


# The member of an entry and the field of `TrustedIssuer`, where they have different names.
_FIELDS = {
    "typ": "token_types",
    "client_claim": "client_claims",
    "scope_claim": "scope_claims",
    "token_id_claim": "token_id_claims",
    "roles_claim": "role_claims",
    "groups_claim": "group_claims",
    "claims": "expected_claims",
}


def read_trusted_issuers(value: object, *, setting: str) -> tuple[TrustedIssuer, ...]:
    """The declared issuers, in their order. `setting` is the name of the environment variable.

    Raises SettingProblem, a ValueError, which names the entry and the member that are wrong.
    """
    document = _parse(value) if isinstance(value, str) else value
    if not isinstance(document, list | tuple):
        raise SettingProblem("must be a list with an entry for each issuer", hint=GUIDE_HINT)
    issuers: list[TrustedIssuer] = []
    for number, entry in enumerate(cast("list[Any]", document), start=1):
        issuer = _read_entry(entry, number, setting)
        if any(issuer.issuer == each.issuer for each in issuers):
            raise SettingProblem(
                f"entry {number}: issuer: is declared twice", hint="declare each issuer once, `audience` may be a list"
            )
        issuers.append(issuer)
    return tuple(issuers)


def _parse(text: str) -> object:
    if text.lstrip().startswith(("[", "{")):
        return _parse_json(text, "must be JSON or the path of a file")
    if not text.strip():
        return []
    path = Path(text.strip())
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        hint = "set it to JSON that begins with [, or to the path of a JSON or YAML file"
        raise SettingProblem(f"the file cannot be read: {reason}", hint=hint) from None
    if path.suffix == ".json":
        return _parse_json(content, "the file is not valid JSON")
    try:
        return parse_yaml(content)
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        raise SettingProblem(f"the file is not valid YAML{place}", hint=GUIDE_HINT) from None


def _parse_json(text: str, problem: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        # Without the text: a setting can contain secrets.
        raise SettingProblem(f"{problem} (line {error.lineno}, column {error.colno})", hint=GUIDE_HINT) from None


def _read_entry(entry: object, number: int, setting: str) -> TrustedIssuer:
    if not isinstance(entry, dict):
        raise SettingProblem(f"entry {number}: must be an object with issuer and audience", hint=GUIDE_HINT)
    try:
        declared = _Entry.model_validate(entry)
        preset = _preset(declared)
    except ValidationError as failure:
        first = failure.errors(include_input=False, include_url=False)[0]
        problem, hint = _explain(cast("Mapping[str, Any]", first))
        raise SettingProblem(f"entry {number}: {problem}", hint=hint) from None
    except PresetMismatch as mismatch:
        raise SettingProblem(f"entry {number}: {mismatch.member}: {mismatch}", hint=GUIDE_HINT) from None
    members: dict[str, Any] = {
        _FIELDS.get(name, name): getattr(declared, name) for name in declared.model_fields_set if name != "preset"
    }
    return TrustedIssuer(**{**preset, **members}, setting=setting)


def _preset(entry: _Entry) -> Mapping[str, Any]:
    return PRESETS[entry.preset](entry.issuer, entry.audience) if entry.preset else {}


def _explain(error: Mapping[str, Any]) -> tuple[str, str]:
    """The problem with the entry, and a hint."""
    member = str(error["loc"][0]) if error["loc"] else ""
    known = list(_Entry.model_fields)
    if error["type"] == "missing":
        return f"{member}: is missing", "every entry needs issuer and audience"
    if error["type"] == "extra_forbidden":
        close = get_close_matches(member, known, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        return f"{member}: is not a member of an entry", f"{meant}the members are {', '.join(known)}"
    if error["type"] == "value_error":
        return f"{member}: {error['ctx']['error']}", GUIDE_HINT
    return f"{member}: must be {_Entry.model_fields[member].description}", GUIDE_HINT
