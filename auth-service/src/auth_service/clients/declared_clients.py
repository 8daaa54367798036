"""Declared clients: makes the `Client` that an entry of auth.yaml describes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from auth_service.clients.client import Client, ClientOrigin, ExchangeRule, StoredSecret
from auth_service.clients.client_metadata import PRIVATE_MEMBERS, check_jwks_uri, check_key_count
from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.redirect_uris import check_redirect_uri
from auth_service.declaration import DeclarationInvalid, DeclaredClient, DeclaredExchange
from auth_service.errors import InvalidClientMetadata, InvalidRedirectUri
from auth_service.protocol import SECRET_METHODS, AuthMethod
from security_common.secret_files import read_secret_file

__all__ = ["make_client"]


def make_client(declared: DeclaredClient, secrets: ClientSecrets) -> Client:
    """The client with its secret and keys read from their files. Raises `DeclarationInvalid` naming the client."""
    try:
        for uri in (*declared.redirect_uris, *declared.post_logout_redirect_uris):
            check_redirect_uri(uri)
        if declared.jwks_uri is not None:
            check_jwks_uri(declared.jwks_uri)
        signing_keys = _read_keys(declared)
    except (InvalidClientMetadata, InvalidRedirectUri) as error:
        raise DeclarationInvalid(f"client {declared.client_id}: {error.description}") from error
    return Client(
        client_id=declared.client_id,
        name=declared.name or declared.client_id,
        origin=ClientOrigin.DECLARED,
        auth_methods=declared.auth_methods or _default_methods(declared),
        grant_types=declared.grant_types,
        scopes=frozenset(declared.scopes),
        default_scopes=declared.scopes[:1] if declared.default_scopes is None else declared.default_scopes,
        secret=_read_secret(declared, secrets),
        secret_expires_at_seconds=declared.secret_expires_at.timestamp() if declared.secret_expires_at else None,
        redirect_uris=declared.redirect_uris,
        post_logout_redirect_uris=declared.post_logout_redirect_uris,
        resources=declared.resources,
        extra_audiences=declared.extra_audiences,
        exchange_rules=tuple(map(_make_rule, declared.may_exchange)),
        signing_keys=signing_keys,
        signing_keys_uri=declared.jwks_uri,
    )


def _default_methods(declared: DeclaredClient) -> frozenset[AuthMethod]:
    """The methods that the client has credentials for; none for a client without a secret, keys and workloads.

    A client that has only workloads is not public, and has no key with which it could sign an assertion itself.
    """
    methods: set[AuthMethod] = set()
    if declared.secret_file:
        methods |= SECRET_METHODS
    if declared.jwks_file or declared.jwks_uri or declared.workloads:
        methods.add(AuthMethod.PRIVATE_KEY_JWT)
    return frozenset(methods or {AuthMethod.NONE})


def _make_rule(declared: DeclaredExchange) -> ExchangeRule:
    return ExchangeRule(
        sources=declared.sources,
        target=declared.target,
        scopes=declared.scopes,
        lifetime_seconds=declared.lifetime_seconds,
    )


def _read_secret(declared: DeclaredClient, secrets: ClientSecrets) -> StoredSecret | None:
    if declared.secret_file is None:
        return None
    return secrets.hash(_read_file(declared, declared.secret_file, "secret_file"))


def _read_keys(declared: DeclaredClient) -> Mapping[str, Any] | None:
    if declared.jwks_file is None:
        return None
    text = _read_file(declared, declared.jwks_file, "jwks_file")
    try:
        document = json.loads(text)
        keys = cast("list[dict[str, Any]]", document.get("keys", [document]))
        has_private_key = any(PRIVATE_MEMBERS & key.keys() for key in keys)
    except (ValueError, AttributeError, TypeError) as error:
        raise DeclarationInvalid(
            f"client {declared.client_id}: jwks_file is not a JWK or JWK Set",
            hint="it must contain a public JWK (RFC 7517), or a JWK Set with the member `keys`",
        ) from error
    if has_private_key:
        raise DeclarationInvalid(
            f"client {declared.client_id}: jwks_file contains a private key",
            hint="give only the public key; the private key stays with the client",
        )
    check_key_count(keys)
    return {"keys": keys}


def _read_file(declared: DeclaredClient, path: Path, member: str) -> str:
    return read_secret_file(
        path,
        setting=f"client {declared.client_id}: {member}",
        error=DeclarationInvalid,
        hint="correct the path in AUTH_CONFIG, or the file: UTF-8 text, readable by the service",
    )
