"""The account page as a client: it signs users in at the authorization endpoint, as every other client does."""

from auth_service.clients.client import Client, ClientOrigin
from auth_service.paths import ACCOUNT_PATH
from auth_service.protocol import AuthMethod, GrantType
from auth_service.scopes import Scope

__all__ = ["account_page_client"]


def account_page_client(issuer: str) -> Client:
    """The client that the page is for the authorization endpoint. It has no secret, and redeems no code."""
    return Client(
        client_id=issuer + ACCOUNT_PATH,
        name=issuer + ACCOUNT_PATH,
        origin=ClientOrigin.OWN,
        auth_methods=frozenset({AuthMethod.NONE}),
        grant_types=frozenset({GrantType.AUTHORIZATION_CODE}),
        scopes=frozenset({Scope.OPENID}),
        default_scopes=(Scope.OPENID,),
        redirect_uris=(issuer + ACCOUNT_PATH,),
    )
