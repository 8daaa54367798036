"""Looks up the client of a request for a person at a browser: every failure is a page that gives the right advice."""

from auth_service.authorize.errors import ClientDocumentUnreachable, ClientRefused, ClientUnknown
from auth_service.clients.client import Client
from auth_service.clients.client_directory import ClientDirectory
from auth_service.errors import ClientDocumentUnavailable, InvalidClient

__all__ = ["look_up_client"]


async def look_up_client(
    client_id: str, directory: ClientDirectory, *, source_address: str, ui_locales: str | None = None
) -> Client:
    """The client.

    Raises `ClientUnknown` where the app has to register again, `ClientDocumentUnreachable` where this server cannot
    fetch the app's metadata document, `ClientRefused` where it does not accept the app.
    """
    try:
        client = await directory.find(client_id, source_address=source_address)
    except ClientDocumentUnavailable as error:
        detail = f"document.{error.problem}"
        raise ClientDocumentUnreachable(error.description, detail=detail, ui_locales=ui_locales) from error
    except InvalidClient as error:
        raise ClientRefused(error.description, ui_locales=ui_locales) from error
    if client is None:
        raise ClientUnknown("client_id is not known to this server", ui_locales=ui_locales)
    return client
