"""Documents that clients cache: the metadata and the key set (RFC 8414 section 3, RFC 7517 section 5)."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auth_service.clients.client_assertions import ASSERTION_ALGORITHMS
from auth_service.http.messages import READ, Answer, Endpoint, HttpRequest
from auth_service.keys.signing_key_set import PublishedKeys
from auth_service.protocol import DEFAULT_SIGNING_ALGORITHM, AuthMethod

__all__ = ["KEY_SET_PATH", "key_set_endpoint", "metadata", "metadata_endpoints"]

KEY_SET_PATH = "/.well-known/jwks.json"
_METADATA_PATHS = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")

# Verifiers trust a revoked key for this long at most; a request with the entity tag of a set that has not changed is
# answered without a body. Stale keys are better than none while auth-service is away (RFC 5861).
_KEY_SET_CACHING = "public, max-age=10, stale-if-error=86400"
_METADATA_CACHING = "public, max-age=3600"
_REDUCED_METADATA_CACHING = "public, max-age=60"


def metadata(
    *,
    issuer: str,
    endpoints: Iterable[Endpoint],
    grants: Sequence[str],
    scopes: Sequence[str],
    finds_documents: bool,
    documentation_url: str,
) -> dict[str, Any]:
    """The metadata: what the composed endpoints say of themselves, with paths made absolute, and what is offered."""
    methods = [method.value for method in AuthMethod]
    addresses = {name: issuer + path for endpoint in endpoints for name, path in endpoint.metadata.items()}
    return {
        "issuer": issuer,
        **addresses,
        "jwks_uri": issuer + KEY_SET_PATH,
        "service_documentation": documentation_url,
        "scopes_supported": list(scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(grants),
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": methods[1:],
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claims_supported": ["sub", "auth_time", "name", "preferred_username", "email", "email_verified"],
        "ui_locales_supported": ["en", "ko"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "client_id_metadata_document_supported": finds_documents,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [DEFAULT_SIGNING_ALGORITHM],
    }


def metadata_endpoints(
    document: Mapping[str, Any], *, advertises_documents: Callable[[], bool] = lambda: True
) -> tuple[Endpoint, ...]:
    """Both well-known paths with the same bytes: clients try one or the other first.

    While `advertises_documents` is false, metadata documents of clients are not advertised, and for a short time only.
    """
    whole = _Served.of(document, _METADATA_CACHING)
    reduced = _Served.of({**document, "client_id_metadata_document_supported": False}, _REDUCED_METADATA_CACHING)
    handler = _serve(lambda: whole if advertises_documents() else reduced, media_type="application/json")
    return tuple(Endpoint(path=path, handler=handler, methods=READ, cross_origin=True) for path in _METADATA_PATHS)


def key_set_endpoint(published: Callable[[], PublishedKeys]) -> Endpoint:
    def current() -> _Served:
        return _Served(published().document, published().etag, _KEY_SET_CACHING)

    handler = _serve(current, media_type="application/jwk-set+json")
    return Endpoint(path=KEY_SET_PATH, handler=handler, methods=READ, cross_origin=True)


@dataclass(frozen=True, slots=True)
class _Served:
    """A document with its entity tag and what Cache-Control says of it."""

    body: bytes
    etag: str
    caching: str

    @classmethod
    def of(cls, document: Mapping[str, Any], caching: str) -> "_Served":
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', caching)


def _serve(current: Callable[[], _Served], *, media_type: str) -> Callable[[HttpRequest], Any]:
    async def answer(request: HttpRequest) -> Answer:
        served = current()
        headers = (("etag", served.etag), ("cache-control", served.caching))
        if served.etag in _entity_tags(request):
            return Answer(status=304, headers=headers)
        return Answer(body=served.body, media_type=media_type, headers=headers)

    return answer


def _entity_tags(request: HttpRequest) -> set[str]:
    """The tags of If-None-Match; a proxy may have made a strong one weak (RFC 9110 section 13.1.2)."""
    listed = ",".join(request.headers("if-none-match")).split(",")
    return {tag.strip().removeprefix("W/") for tag in listed}
