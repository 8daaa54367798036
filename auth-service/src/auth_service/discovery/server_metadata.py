"""Documents that clients cache: the server metadata and the key set (RFC 8414 section 3, RFC 7517 section 5)."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from auth_service.clients.client_assertions import ASSERTION_ALGORITHMS
from auth_service.http.application import new_router
from auth_service.http.openapi import json_result
from auth_service.keys.signing_key_set import PublishedKeys
from auth_service.paths import (
    AUTHORIZATION_PATH,
    INTROSPECTION_PATH,
    KEY_SET_PATH,
    LOGOUT_PATH,
    METADATA_PATHS,
    REGISTRATION_PATH,
    REVOCATION_PATH,
    TOKEN_PATH,
    USERINFO_PATH,
)
from auth_service.protocol import SIGNING_ALGORITHM, AuthMethod
from auth_service.web.language import Language
from security_common.edge.entity_tags import is_unmodified
from security_common.tokens.issuer_metadata import STATUS_SINCE_MEMBER

__all__ = ["make_discovery_router", "server_metadata"]

ENDPOINT_MEMBERS: Mapping[str, str] = {
    AUTHORIZATION_PATH: "authorization_endpoint",
    TOKEN_PATH: "token_endpoint",
    USERINFO_PATH: "userinfo_endpoint",
    INTROSPECTION_PATH: "introspection_endpoint",
    REVOCATION_PATH: "revocation_endpoint",
    REGISTRATION_PATH: "registration_endpoint",
    LOGOUT_PATH: "end_session_endpoint",
}
"""The member of the metadata that names each endpoint."""

# A verifier trusts a revoked key for at most ten seconds while auth-service answers. If it does not, stale keys are
# better than none (RFC 5861). A request with the entity tag of an unchanged set is answered without a body.
_KEY_SET_CACHING = "public, max-age=10, stale-if-error=86400"
_METADATA_CACHING = "public, max-age=3600"
_REDUCED_METADATA_CACHING = "public, max-age=60"


def server_metadata(
    *,
    issuer: str,
    paths: Collection[str],
    grants: Sequence[str],
    grant_profiles: Sequence[str],
    scopes: Sequence[str],
    resources: Sequence[str],
    supports_client_id_metadata: bool,
    documentation_url: str,
) -> dict[str, Any]:
    """The metadata of this server. `paths` are those that it serves: only their endpoints are advertised.

    `grant_profiles` are the kinds of assertions about users that it accepts.
    """
    methods = [method.value for method in AuthMethod]
    return {
        "issuer": issuer,
        **{member: issuer + path for path, member in ENDPOINT_MEMBERS.items() if path in paths},
        "jwks_uri": issuer + KEY_SET_PATH,
        "service_documentation": documentation_url,
        "scopes_supported": list(scopes),
        "protected_resources": list(resources),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(grants),
        **({"authorization_grant_profiles_supported": list(grant_profiles)} if grant_profiles else {}),
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": [each for each in methods if each != AuthMethod.NONE.value],
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claims_supported": ["sub", "auth_time", "name", "preferred_username", "email", "email_verified"],
        "ui_locales_supported": list(Language),
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "client_id_metadata_document_supported": supports_client_id_metadata,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [SIGNING_ALGORITHM],
    }


def make_discovery_router(
    metadata: Mapping[str, Any],
    *,
    advertises_client_id_metadata: Callable[[], bool],
    status_since: Callable[[], int | None],
    published_keys: Callable[[], PublishedKeys],
) -> APIRouter:
    """The metadata below both well-known paths, since clients try one or the other first, and the key set.

    While `advertises_client_id_metadata` returns False, the metadata says that client id metadata documents are not
    supported, and may be cached for a minute only. `status_since` is from when on every access token has a status, in
    seconds since the epoch.
    """
    router = new_router("discovery")

    @cache
    def make_document(since: int | None, *, is_complete: bool) -> _PublishedDocument:
        members = dict(metadata)
        if since is not None:
            members[STATUS_SINCE_MEMBER] = since
        if is_complete:
            return _PublishedDocument.of(members, _METADATA_CACHING)
        members["client_id_metadata_document_supported"] = False
        return _PublishedDocument.of(members, _REDUCED_METADATA_CACHING)

    async def respond_with_metadata(request: Request) -> Response:
        document = make_document(status_since(), is_complete=advertises_client_id_metadata())
        return document.respond(request, media_type="application/json")

    async def respond_with_keys(request: Request) -> Response:
        keys = published_keys()
        document = _PublishedDocument(keys.document, keys.etag, _KEY_SET_CACHING)
        return document.respond(request, media_type="application/jwk-set+json")

    for path in METADATA_PATHS:
        router.add_api_route(
            path,
            respond_with_metadata,
            operation_id=f"metadata-{path.rpartition('/')[2]}",
            summary="Metadata of this authorization server",
            responses={**json_result("RFC 8414 and OpenID Connect Discovery"), **_NOT_MODIFIED},
        )
    router.add_api_route(
        KEY_SET_PATH,
        respond_with_keys,
        operation_id="key-set",
        summary="Public keys that verify this server's tokens",
        responses={
            **json_result("JWK Set", required=("keys",), media_type="application/jwk-set+json"),
            **_NOT_MODIFIED,
        },
    )
    return router


_NOT_MODIFIED: Mapping[int | str, dict[str, Any]] = {
    304: {"description": "Unchanged since the ETag that If-None-Match contains"}
}


@dataclass(frozen=True, slots=True)
class _PublishedDocument:
    """A document with its entity tag and its Cache-Control header."""

    body: bytes
    etag: str
    caching: str

    @classmethod
    def of(cls, document: Mapping[str, Any], caching: str) -> "_PublishedDocument":
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', caching)

    def respond(self, request: Request, *, media_type: str) -> Response:
        headers = {"etag": self.etag, "cache-control": self.caching}
        if is_unmodified(request.headers.getlist("if-none-match"), self.etag):
            return Response(status_code=304, headers=headers)
        return Response(self.body, media_type=media_type, headers=headers)
