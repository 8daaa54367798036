"""A visit: a browser at one of the pages, and the authorization request that the page is about."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from auth_service.authorize.authorization_request import AuthorizationRequest
from auth_service.authorize.interaction_policy import Step
from auth_service.authorize.interactions import Interaction, InteractionCookies, Interactions
from auth_service.authorize.page_errors import (
    ClientDocumentUnreachable,
    ClientRefused,
    ClientUnknown,
    OtherBrowser,
    RequestExpired,
    RequestFinished,
)
from auth_service.clients.client import Client
from auth_service.clients.client_directory import ClientDirectory
from auth_service.errors import ClientDocumentUnavailable, InvalidClient
from auth_service.http.dependencies import context_of
from auth_service.http.forms import Form
from auth_service.http.parameters import Parameter
from auth_service.http.responses import see_other
from auth_service.paths import AUTHORIZATION_PATH
from auth_service.web.error_pages import NextStep
from auth_service.web.sessions import Browser, Sessions

__all__ = ["VISIT_PARAMETERS", "Visit", "Visits", "find_client"]

# The parameter of the pages that contains the query of the authorization request, for a page that is sent too late.
_RESUME = "resume"

VISIT_PARAMETERS = (
    Parameter("request", "The id of the authorization request that waits for the user.", required=True),
    Parameter(_RESUME, "The query of that request, so that it can be started again after it has expired."),
)

# A longer query is not carried along, because addresses and forms would grow with it.
_MAX_QUERY_LENGTH = 4096
_QUERY_CHARACTERS = "&=+%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """`secret` is the cookie of the interaction; `browser` has the session of the browser."""

    interaction_id: str
    interaction: Interaction
    secret: str = field(repr=False)
    browser: Browser
    client: Client

    @property
    def request(self) -> AuthorizationRequest:
        return self.interaction.request

    @property
    def hidden_fields(self) -> dict[str, str]:
        """The fields that a form needs so that its POST request finds this visit."""
        return _fields(self.interaction_id, self.interaction)

    def address(self, step: Step) -> str:
        return _address(step, self.interaction_id, self.interaction)

    def finished_error(self) -> RequestFinished:
        """The error for a page that is opened again after its request was answered."""
        return RequestFinished(
            "the request is finished", next_step=_restart(self.interaction.query), ui_locales=self.request.ui_locales
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """Begins visits and finds them again. Raises `RedisError` if Redis is not available."""

    interactions: Interactions
    cookies: InteractionCookies
    sessions: Sessions
    directory: ClientDirectory

    async def begin(self, request: AuthorizationRequest, step: Step, http: Request) -> Response:
        """Redirects the browser to the page of `step`, with the cookie of a new interaction."""
        secret = self.cookies.new_secret()
        interaction_id, interaction = await self.interactions.start(
            request, secret=secret, query=_query_to_resume(http.scope["query_string"])
        )
        headers = self.cookies.set(interaction_id, secret, http)
        return see_other(_address(step, interaction_id, interaction), *headers)

    async def find(self, form: Form, http: Request) -> Visit:
        """The visit that the form or the address of a page names.

        Raises `RequestExpired`, `OtherBrowser` and the errors of `find_client`. Their pages have a button that starts
        the request again, if the request is known.
        """
        return await self.find_by_id(form.get("request") or "", form.get(_RESUME) or "", http)

    async def find_by_id(self, interaction_id: str, query: str, http: Request) -> Visit:
        """The visit of this authorization request; `query` is its query, if it is known. Raises the same errors."""
        next_step, ui_locales = _restart(query), _ui_locales(query)
        interaction = await self.interactions.find(interaction_id)
        if interaction is None:
            raise RequestExpired("the request has expired", next_step=next_step, ui_locales=ui_locales)
        secret = self.cookies.read(interaction_id, http)
        if secret is None or not interaction.is_bound_to(secret):
            raise OtherBrowser("another browser began the request", next_step=next_step, ui_locales=ui_locales)
        client = await find_client(
            interaction.request.client_id,
            self.directory,
            source_address=context_of(http).source_address,
            ui_locales=interaction.request.ui_locales,
        )
        return Visit(
            interaction_id=interaction_id,
            interaction=interaction,
            secret=secret,
            browser=await self.sessions.read(http),
            client=client,
        )


async def find_client(
    client_id: str, directory: ClientDirectory, *, source_address: str, ui_locales: str | None = None
) -> Client:
    """The client of a request in a browser. Every failure is a page with the advice that fits.

    Raises `ClientUnknown` if the app has to register again, `ClientDocumentUnreachable` if this server cannot fetch the
    app's client id metadata document, `ClientRefused` if it does not accept the app.
    """
    try:
        client = await directory.find(client_id, source_address=source_address)
    except ClientDocumentUnavailable as error:
        raise ClientDocumentUnreachable(
            error.description, detail=f"document.{error.problem}", ui_locales=ui_locales
        ) from error
    except InvalidClient as error:
        raise ClientRefused(error.description, ui_locales=ui_locales) from error
    if client is None:
        raise ClientUnknown("client_id is not known to this server", ui_locales=ui_locales)
    return client


def _restart(query: str) -> NextStep | None:
    """A button that sends the same authorization request again, to be checked again; None if it is not known.

    The query is sent by the browser. It leads to this server's own endpoint and nowhere else, and any site could send
    the browser there with the same query.
    """
    if not query or len(query) > _MAX_QUERY_LENGTH:
        return None
    return NextStep("next_step.start_again", f"{AUTHORIZATION_PATH}?{quote(query, safe=_QUERY_CHARACTERS)}")


def _query_to_resume(raw: bytes) -> str:
    return raw.decode("ascii") if raw.isascii() and len(raw) <= _MAX_QUERY_LENGTH else ""


def _ui_locales(query: str) -> str | None:
    return next(iter(parse_qs(query).get("ui_locales", ())), None)


def _fields(interaction_id: str, interaction: Interaction) -> dict[str, str]:
    resume = {_RESUME: interaction.query} if interaction.query else {}
    return {"request": interaction_id, **resume}


def _address(step: Step, interaction_id: str, interaction: Interaction) -> str:
    return f"/oauth2/{step}?{urlencode(_fields(interaction_id, interaction))}"
