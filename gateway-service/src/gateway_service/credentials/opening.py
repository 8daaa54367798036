"""Makes the credential that the declaration of an upstream asks for."""

import httpx2

from gateway_service.credentials.credential import Credential
from gateway_service.credentials.exchanged_tokens import ExchangedTokenCredential
from gateway_service.credentials.own_tokens import OwnTokenCredential
from gateway_service.credentials.secret_header import SecretHeaderCredential
from gateway_service.credentials.token_client import TokenClient
from gateway_service.declaration import ClientCredentials, SecretHeader, TokenExchange, UpstreamDeclaration
from security_common.tokens import TrustedIssuer

__all__ = ["CredentialOpener"]


class CredentialOpener:
    """Opens credentials with one HTTP client. `own_issuer` is the issuer whose tokens the gateway accepts."""

    def __init__(self, own_issuer: TrustedIssuer, http: httpx2.AsyncClient) -> None:
        self._own_issuer = own_issuer
        self._http = http

    def open(self, upstream: UpstreamDeclaration) -> Credential | None:
        """The credential, or None if the upstream gets none. Nothing is read or requested yet."""
        declared = upstream.credential
        match declared:
            case None:
                return None
            case SecretHeader():
                return SecretHeaderCredential(declared)
            case ClientCredentials():
                issuer = self._own_issuer if declared.issuer is None else _foreign_issuer(declared.issuer)
                client = TokenClient(upstream.name, issuer, declared.client, self._http)
                return OwnTokenCredential(client, declared.target)
            case TokenExchange():
                client = TokenClient(upstream.name, self._own_issuer, declared.client, self._http)
                return ExchangedTokenCredential(client, declared.target)


def _foreign_issuer(url: str) -> TrustedIssuer:
    """An issuer that only issues tokens to the gateway; none of its tokens are accepted."""
    return TrustedIssuer(url, (), setting="credential.client_credentials.issuer")
