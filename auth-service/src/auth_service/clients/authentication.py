"""How a client proves who it is (RFC 6749 section 2.3): credentials are found first, then judged."""

import binascii
from base64 import b64decode
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from auth_service.clients.model import Client, ClientDirectory
from auth_service.clients.secrets import SecretKeeper
from auth_service.errors import InvalidClient, InvalidRequest
from auth_service.http.forms import Form
from auth_service.http.messages import HttpRequest
from auth_service.vocabulary import AuthMethod

__all__ = ["CLIENT_PARAMETERS", "ClientAuthenticator", "Credentials", "find_credentials"]

CLIENT_PARAMETERS = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})

# One text for every failure: the answer must not tell an unknown client from a wrong secret.
_REFUSAL = "client authentication failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request offers as proof; `proof` is the secret or the assertion."""

    client_id: str
    method: AuthMethod
    proof: str = field(default="", repr=False)


def find_credentials(request: HttpRequest, form: Form) -> Credentials:
    """The one way the request authenticates. Raises `InvalidRequest` for two ways, `InvalidClient` for none."""
    authorizations = request.headers("authorization")
    ways = [bool(authorizations), "client_secret" in form, "client_assertion" in form]
    if sum(ways) > 1 or len(authorizations) > 1:
        raise InvalidRequest("authenticate in one way only (RFC 6749 section 2.3)")
    if authorizations:
        credentials = _read_basic(authorizations[0])
        if form.get("client_id") not in {None, credentials.client_id}:
            raise InvalidRequest("client_id differs from the one in the Authorization header")
        return credentials
    client_id = form.get("client_id")
    if client_id is None:
        raise InvalidClient(_REFUSAL)
    if "client_secret" in form:
        secret = form.get("client_secret") or ""
        return Credentials(client_id=client_id, method=AuthMethod.CLIENT_SECRET_POST, proof=secret)
    return Credentials(client_id=client_id, method=AuthMethod.NONE)


class ClientAuthenticator:
    """Finds the client that a request is from and checks its proof."""

    def __init__(self, directory: ClientDirectory, secrets: SecretKeeper) -> None:
        self._directory = directory
        self._secrets = secrets

    async def authenticate(self, request: HttpRequest, form: Form) -> Client:
        """The client. Raises `InvalidClient`, with the same words whatever was wrong, or `InvalidRequest`."""
        credentials = find_credentials(request, form)
        client = await self._directory.find(credentials.client_id) if _is_printable(credentials.client_id) else None
        proven = self._check_proof(client, credentials)
        if client is None or not proven or credentials.method not in client.auth_methods:
            raise InvalidClient(_REFUSAL)
        return client

    def _check_proof(self, client: Client | None, credentials: Credentials) -> bool:
        if credentials.method is AuthMethod.NONE:
            return True
        return self._secrets.matches(client, credentials.proof)


def _read_basic(header: str) -> Credentials:
    """RFC 6749 section 2.3.1: both halves are form-encoded before they are joined and base64-encoded."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient(_REFUSAL)
    try:
        name, colon, secret = b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        client_id, proof = unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidClient(_REFUSAL) from error
    if not colon or not client_id:
        raise InvalidClient(_REFUSAL)
    return Credentials(client_id=client_id, method=AuthMethod.CLIENT_SECRET_BASIC, proof=proof)


def _is_printable(client_id: str) -> bool:
    return client_id.isprintable() and len(client_id) <= 2048
