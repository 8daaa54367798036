"""Makes the credential that the declaration of an upstream asks for."""

from typing import Self

import httpx2

from gateway_service.credentials.credential import Credential
from gateway_service.credentials.exchanged_tokens import ExchangedTokenCredential
from gateway_service.credentials.own_tokens import OwnTokenCredential
from gateway_service.credentials.secret_header import SecretHeaderCredential
from gateway_service.credentials.token_client import TokenClient
from gateway_service.declaration import (
    ClientCredentials,
    DeclarationInvalid,
    GatewayDeclaration,
    OAuthClient,
    SecretHeader,
    TokenExchange,
    UpstreamDeclaration,
)
from gateway_service.settings import GatewaySettings
from security_common.tokens import TrustedIssuer

__all__ = ["CredentialOpener"]


class CredentialOpener:
    """Opens credentials with one HTTP client.

    `own_issuer` is the issuer whose tokens the gateway accepts, and `own_client` the gateway as a client of it, if the
    settings name one.
    """

    def __init__(self, own_issuer: TrustedIssuer, own_client: OAuthClient | None, http: httpx2.AsyncClient) -> None:
        self._own_issuer = own_issuer
        self._own_client = own_client
        self._http = http

    @classmethod
    def of(cls, settings: GatewaySettings, declaration: GatewayDeclaration, http: httpx2.AsyncClient) -> Self:
        """With the issuer and the client of the settings."""
        client = None
        if settings.client_secret_file or settings.client_key_file:
            client = OAuthClient(
                client_id=settings.client_id, secret_file=settings.client_secret_file, key_file=settings.client_key_file
            )
        return cls(settings.trusted_issuer(declaration.names), client, http)

    def open(self, upstream: UpstreamDeclaration) -> Credential | None:
        """The credential, or None if the upstream gets none. Nothing is read or requested yet.

        Raises `DeclarationInvalid` if neither the declaration nor the settings name the gateway as a client.
        """
        declared = upstream.credential
        match declared:
            case None:
                return None
            case SecretHeader():
                return SecretHeaderCredential(declared)
            case ClientCredentials():
                issuer = self._own_issuer if declared.issuer is None else _foreign_issuer(declared.issuer)
                return OwnTokenCredential(self._client(upstream, issuer, declared.client), declared.target)
            case TokenExchange():
                return ExchangedTokenCredential(
                    self._client(upstream, self._own_issuer, declared.client), declared.target
                )

    def _client(self, upstream: UpstreamDeclaration, issuer: TrustedIssuer, client: OAuthClient | None) -> TokenClient:
        client = client or self._own_client
        if client is None:
            raise DeclarationInvalid(
                f"upstreams.{upstream.name}.credential: names no client_id, and the settings have no client",
                hint="set GATEWAY_CLIENT_KEY_FILE or GATEWAY_CLIENT_SECRET_FILE, or add `client_id` and `secret_file`",
            )
        return TokenClient(upstream.name, issuer, client, self._http)


def _foreign_issuer(url: str) -> TrustedIssuer:
    """An issuer that only issues tokens to the gateway; none of its tokens are accepted."""
    return TrustedIssuer(url, (), setting="credential.client_credentials.issuer")
