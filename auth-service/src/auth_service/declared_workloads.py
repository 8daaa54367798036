"""`workload_issuers` of the declaration (auth.yaml), and the workloads of clients: CI jobs and pods without a secret.

A workload proves who it is with a JWT that its platform signs (RFC 7523). A preset (`kind`) fills in what is the same
for everyone who uses one platform; docs/workloads.md describes them.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from auth_service.declared_providers import ClaimCondition, Declared, check_provider_id, check_provider_url

__all__ = ["DeclaredWorkload", "DeclaredWorkloadIssuer", "WorkloadIssuerKind", "check_workloads", "describe_weaknesses"]

_GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
# Claims of GitHub with a number that is never used again. Names of repositories and organizations can be taken over.
_GITHUB_IDS = frozenset({"repository_id", "repository_owner_id", "enterprise_id"})
# Claims of GitHub that distinguish a protected branch or environment from a pull request.
_GITHUB_PLACES = frozenset({"ref", "environment", "job_workflow_ref", "workflow_ref"})


class WorkloadIssuerKind(StrEnum):
    """The presets. OIDC: any issuer that publishes OpenID Connect metadata, without assumptions."""

    GITHUB = "github"
    KUBERNETES = "kubernetes"
    OIDC = "oidc"


class _Preset(NamedTuple):
    """`single_use`: each token has an id and is accepted once. Kubernetes sends one token until it expires."""

    single_use: bool
    max_lifetime_seconds: int


_PRESETS = MappingProxyType(
    {
        WorkloadIssuerKind.GITHUB: _Preset(single_use=True, max_lifetime_seconds=900),
        WorkloadIssuerKind.KUBERNETES: _Preset(single_use=False, max_lifetime_seconds=7200),
        WorkloadIssuerKind.OIDC: _Preset(single_use=True, max_lifetime_seconds=3600),
    }
)


class DeclaredWorkloadIssuer(Declared):
    """A platform that signs the tokens of its workloads."""

    id: str = Field(description="Its short name: lower-case letters, digits and hyphens.")
    kind: WorkloadIssuerKind = Field(
        default=WorkloadIssuerKind.OIDC, description="The preset: github, kubernetes or oidc."
    )
    issuer: str | None = Field(
        default=None, description="The claim iss of its tokens, exactly. github needs none, except GitHub Enterprise."
    )
    audience: str | None = Field(
        default=None,
        min_length=1,
        max_length=300,
        description="The claim aud that its tokens must have; left out: the issuer or token endpoint of this service.",
    )
    jwks_file: Path | None = Field(
        default=None, description="File with its JWK Set; left out: fetched from the address in its metadata."
    )
    ca_file: Path | None = Field(default=None, description="File with the CA certificates of the issuer (PEM).")
    single_use: bool | None = Field(
        default=None,
        description="Whether each token is accepted once, by its jti. Left out: true, except for kubernetes.",
    )
    max_lifetime_seconds: int | None = Field(
        default=None,
        ge=60,
        le=86400,
        description="The longest lifetime of a token (exp - iat), in seconds. Left out: 900 for github, 7200 for"
        " kubernetes, else 3600.",
    )

    @field_validator("id")
    @classmethod
    def _check_id(cls, value: str) -> str:
        return check_provider_id(value)

    @field_validator("issuer")
    @classmethod
    def _check_issuer(cls, value: str | None) -> str | None:
        if value is not None:
            check_provider_url(value)
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.issuer is None and self.kind is not WorkloadIssuerKind.GITHUB:
            raise ValueError(f"kind {self.kind} needs issuer")
        if self.jwks_file is not None and self.ca_file is not None:
            raise ValueError("write jwks_file or ca_file, not both: with jwks_file nothing is fetched")
        return self

    @property
    def resolved_issuer(self) -> str:
        """The issuer that tokens name."""
        return self.issuer if self.issuer is not None else _GITHUB_ISSUER

    @property
    def accepts_once(self) -> bool:
        """Whether each token is accepted once."""
        return _PRESETS[self.kind].single_use if self.single_use is None else self.single_use

    @property
    def longest_lifetime_seconds(self) -> int:
        """The longest lifetime of a token."""
        return self.max_lifetime_seconds or _PRESETS[self.kind].max_lifetime_seconds


class DeclaredWorkload(Declared):
    """Workloads that act as a client: those whose tokens are from this issuer and have all these claims."""

    issuer: str = Field(description="The id of the workload issuer.")
    when: Mapping[str, str] = Field(
        min_length=1, description="Claims with their values, which are compared exactly. All must be true."
    )

    @field_validator("when")
    @classmethod
    def _check_when(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for claim, expected in value.items():
            is_usable = 0 < len(claim) <= 200 and bool(expected.strip()) and len(expected) <= 400
            if not is_usable:
                raise ValueError("a condition needs the name of a claim and a value, of at most 200 and 400 characters")
            if "*" in expected:
                raise ValueError(f"{claim}: values are compared exactly, and * is not a wildcard: use another claim")
        return value

    @property
    def conditions(self) -> tuple[ClaimCondition, ...]:
        """The conditions, which must all be true."""
        return tuple(ClaimCondition(claim=claim, has=value) for claim, value in self.when.items())


def check_workloads(
    issuers: Sequence[DeclaredWorkloadIssuer], workloads: Mapping[str, Sequence[DeclaredWorkload]]
) -> None:
    """Raises ValueError if an id or issuer appears twice, an issuer is not declared, or a token could be two clients'.

    `workloads` are those of each client, by its id.
    """
    ids = [issuer.id for issuer in issuers]
    names = [issuer.resolved_issuer for issuer in issuers]
    if len(set(ids)) != len(ids):
        raise ValueError("a workload issuer's id appears twice")
    if len(set(names)) != len(names):
        raise ValueError("two workload issuers have the same issuer")
    for client_id, declared in workloads.items():
        unknown = [workload.issuer for workload in declared if workload.issuer not in ids]
        if unknown:
            raise ValueError(f"client {client_id}: no workload issuer has the id {unknown[0]}")
    for (one, first), (other, second) in combinations(workloads.items(), 2):
        if any(_can_both_match(a, b) for a in first for b in second):
            raise ValueError(
                f"a workload could be {one} as well as {other}: give both a condition on the same claim, with"
                " different values"
            )


def _can_both_match(one: DeclaredWorkload, other: DeclaredWorkload) -> bool:
    """Whether a token can satisfy both: it cannot if a claim would need two values."""
    is_same_issuer = one.issuer == other.issuer
    return is_same_issuer and all(other.when.get(claim, value) == value for claim, value in one.when.items())


def describe_weaknesses(issuer: DeclaredWorkloadIssuer, workload: DeclaredWorkload) -> Iterator[tuple[str, str]]:
    """What makes the conditions of a workload weaker than they look, each with a correction."""
    if issuer.kind is not WorkloadIssuerKind.GITHUB:
        return
    claims = workload.when.keys()
    if not claims & _GITHUB_IDS:
        yield (
            "its conditions are names, which others can take after a renaming or deletion",
            "add repository_id, which `gh api repos/OWNER/NAME --jq .id` prints",
        )
    subject = workload.when.get("sub", "")
    names_place = bool(claims & _GITHUB_PLACES) or ":ref:" in subject or ":environment:" in subject
    if not names_place or subject.endswith(":pull_request"):
        yield (
            "it includes jobs of pull requests, so everyone who may open one in the repository acts as the client",
            "add ref, for example refs/heads/main, or environment",
        )
