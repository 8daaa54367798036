"""A workload issuer as the service uses it: its keys, from a file or over the network."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from joserfc import jwk, jwt

from auth_service.declaration import DeclarationInvalid
from auth_service.declared_workloads import DeclaredWorkloadIssuer
from auth_service.federation.cached_document import CachedDocument
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from auth_service.federation.provider_http import ProviderHttp
from auth_service.federation.provider_keys import KeyNotFound, read_keys, verify_signature
from auth_service.protocol import Clock
from security_common.secret_files import read_secret_file
from security_common.web_urls import is_loopback_url, parse_web_url

__all__ = ["WorkloadIssuer", "load_workload_issuers"]

_KEY_RETRY_SECONDS = 30.0
_UNREADABLE_HINT = (
    "if the address is not reachable from here, as in most clusters, write its key set into a file and name it in"
    " jwks_file; if only the certificate is unknown, name ca_file"
)


class WorkloadIssuer:
    """The keys of one issuer. Methods raise `ProviderFailure` if they are not available.

    Keys over the network are kept for an hour, and used for a day while the issuer does not answer.
    """

    def __init__(
        self, declared: DeclaredWorkloadIssuer, *, file_keys: tuple[jwk.Key, ...] | None, clock: Clock
    ) -> None:
        self.declared = declared
        self._file_keys = file_keys
        self._http = ProviderHttp(declared.ca_file)
        self._keys = CachedDocument(self._fetch_keys, provider_id=declared.id, name="workload keys", clock=clock)

    @property
    def metadata_url(self) -> str:
        """Where the issuer publishes the address of its keys (OpenID Connect Discovery section 4.1)."""
        return f"{self.declared.resolved_issuer.removesuffix('/')}/.well-known/openid-configuration"

    async def verify(self, token: str) -> jwt.Token:
        """The header and claims of a token that the issuer signed.

        An unknown key id causes one fetch of the keys, at most every 30 seconds.
        """
        if self._file_keys is not None:
            return verify_signature(token, self._file_keys)
        try:
            return verify_signature(token, await self._keys.read())
        except KeyNotFound:
            return verify_signature(token, await self._keys.read(max_age_seconds=_KEY_RETRY_SECONDS))

    async def count_keys(self) -> int:
        """How many keys are available, for the doctor."""
        return len(self._file_keys if self._file_keys is not None else await self._keys.read())

    async def close(self) -> None:
        await self._http.close()

    async def _fetch_keys(self) -> tuple[jwk.Key, ...]:
        try:
            metadata = await self._http.get_json(self.metadata_url)
            return read_keys(await self._http.get_json(self._read_address(metadata)))
        except ProviderFailure as failure:
            if failure.hint and failure.problem is not ProviderProblem.UNREACHABLE:
                raise
            raise ProviderFailure(failure.problem, failure.description, hint=_UNREADABLE_HINT) from failure

    def _read_address(self, metadata: Mapping[str, Any]) -> str:
        """The address of the keys: https, or on this machine if the issuer is there."""
        issuer, named = self.declared.resolved_issuer, metadata.get("issuer")
        if named != issuer:
            raise ProviderFailure(
                ProviderProblem.MISCONFIGURED,
                f"the metadata at {self.metadata_url} does not name the issuer {issuer!r}",
                hint="write `issuer` in auth.yaml exactly as the claim iss of the tokens",
            )
        address: Any = metadata.get("jwks_uri")
        try:
            scheme = parse_web_url(address if isinstance(address, str) else "").scheme
        except ValueError as error:
            raise ProviderFailure(ProviderProblem.MISCONFIGURED, "the metadata has no valid jwks_uri") from error
        is_here = is_loopback_url(address)
        if (is_here and not is_loopback_url(issuer)) or (scheme != "https" and not is_here):
            raise ProviderFailure(
                ProviderProblem.MISCONFIGURED, "jwks_uri of the metadata is not https, or on this machine"
            )
        return cast("str", address)


def load_workload_issuers(
    declared: Iterable[DeclaredWorkloadIssuer], *, issuer: str, clock: Clock
) -> dict[str, WorkloadIssuer]:
    """The issuers by their `iss`. `issuer` is that of this service.

    Raises `DeclarationInvalid` if a file cannot be used, or this service is named as the issuer.
    """
    loaded: dict[str, WorkloadIssuer] = {}
    for each in declared:
        if each.resolved_issuer == issuer:
            raise DeclarationInvalid(
                f"workload issuer {each.id}: this service does not accept its own tokens as those of workloads",
                hint="name the platform that signs the tokens of the workloads",
            )
        if each.ca_file is not None:
            _read(each, each.ca_file, "ca_file")
        keys = _read_file_keys(each, each.jwks_file) if each.jwks_file is not None else None
        loaded[each.resolved_issuer] = WorkloadIssuer(each, file_keys=keys, clock=clock)
    return loaded


def _read_file_keys(declared: DeclaredWorkloadIssuer, path: Path) -> tuple[jwk.Key, ...]:
    hint = "write the JWK Set of the issuer into it, for example with `kubectl get --raw /openid/v1/jwks`"
    try:
        document: Any = json.loads(_read(declared, path, "jwks_file"))
    except ValueError as error:
        raise DeclarationInvalid(f"workload issuer {declared.id}: jwks_file is not JSON", hint=hint) from error
    try:
        return read_keys(cast("Mapping[str, Any]", document) if isinstance(document, dict) else {})
    except ProviderFailure as failure:
        raise DeclarationInvalid(
            f"workload issuer {declared.id}: jwks_file has no usable public key", hint=hint
        ) from failure


def _read(declared: DeclaredWorkloadIssuer, path: Path, member: str) -> str:
    return read_secret_file(
        path,
        setting=f"workload issuer {declared.id}: {member}",
        error=DeclarationInvalid,
        hint="correct the path in AUTH_CONFIG, or the file: UTF-8 text, readable by the service",
    )
