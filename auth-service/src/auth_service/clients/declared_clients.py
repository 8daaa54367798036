"""Declared clients: what auth.yaml says about a client, made into the model every room knows."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from auth_service.clients.client import Client, ClientOrigin, StoredSecret
from auth_service.clients.client_metadata import PRIVATE_MEMBERS
from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.redirect_uris import check_redirect_uri
from auth_service.declaration import DeclarationInvalid, DeclaredClient
from auth_service.errors import InvalidRedirectUri
from auth_service.protocol import AuthMethod
from security_common.secret_files import read_secret_file

__all__ = ["make_client"]


def make_client(declared: DeclaredClient, secrets: ClientSecrets) -> Client:
    """The declared client, its secret read and sealed. Raises `DeclarationInvalid` naming the client."""
    try:
        for uri in declared.redirect_uris:
            check_redirect_uri(uri)
    except InvalidRedirectUri as error:
        raise DeclarationInvalid(f"client {declared.client_id}: {error.description}") from error
    return Client(
        client_id=declared.client_id,
        name=declared.name or declared.client_id,
        origin=ClientOrigin.DECLARED,
        auth_methods=declared.auth_methods or _methods_of(declared),
        grant_types=declared.grant_types,
        scopes=frozenset(declared.scopes),
        default_scopes=declared.scopes[:1] if declared.default_scopes is None else declared.default_scopes,
        secret=_read_secret(declared, secrets),
        redirect_uris=declared.redirect_uris,
        post_logout_redirect_uris=declared.post_logout_redirect_uris,
        resources=declared.resources,
        extra_audiences=declared.extra_audiences,
        signing_keys=_read_keys(declared),
        signing_keys_uri=declared.jwks_uri,
    )


def _methods_of(declared: DeclaredClient) -> frozenset[AuthMethod]:
    methods: set[AuthMethod] = set()
    if declared.secret_file:
        methods |= {AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST}
    if declared.jwks_file or declared.jwks_uri:
        methods.add(AuthMethod.PRIVATE_KEY_JWT)
    return frozenset(methods or {AuthMethod.NONE})


def _read_secret(declared: DeclaredClient, secrets: ClientSecrets) -> StoredSecret | None:
    if declared.secret_file is None:
        return None
    return secrets.seal(_read(declared, declared.secret_file, "secret_file"))


def _read_keys(declared: DeclaredClient) -> Mapping[str, Any] | None:
    if declared.jwks_file is None:
        return None
    text = _read(declared, declared.jwks_file, "jwks_file")
    try:
        found = json.loads(text)
        keys = cast("list[dict[str, Any]]", found.get("keys", [found]))
        holds_private_key = any(PRIVATE_MEMBERS & key.keys() for key in keys)
    except (ValueError, AttributeError, TypeError) as error:
        hint = "it holds a public JWK (RFC 7517), or a JWK Set with the member `keys`"
        raise DeclarationInvalid(
            f"client {declared.client_id}: jwks_file is not a JWK or JWK Set", hint=hint
        ) from error
    if holds_private_key:
        hint = "give the public half only; the private key stays with the client"
        raise DeclarationInvalid(f"client {declared.client_id}: jwks_file holds a private key", hint=hint)
    return {"keys": keys}


def _read(declared: DeclaredClient, path: Path, member: str) -> str:
    setting = f"client {declared.client_id}: {member}"
    hint = "correct the path in AUTH_CONFIG, or the file: UTF-8 text, readable by the service"
    return read_secret_file(path, setting=setting, error=DeclarationInvalid, hint=hint)
