"""A browser at one of the pages, and the authorization request it is there for."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urlencode

from auth_service.authorize.answers import see_other
from auth_service.authorize.client_lookup import look_up_client
from auth_service.authorize.errors import NotYours, RequestFinished, RequestGone
from auth_service.authorize.interactions import Interaction, Interactions
from auth_service.authorize.missing import Step
from auth_service.authorize.request import AuthorizationRequest
from auth_service.authorize.request_cookies import RequestCookies, hash_binding, is_bound
from auth_service.clients.client import Client
from auth_service.clients.client_directory import ClientDirectory
from auth_service.http.forms import Form
from auth_service.http.messages import Answer, HttpRequest
from auth_service.web.errors import WayOn
from auth_service.web.sessions import Browser, Sessions

__all__ = ["RESUME", "Visit", "Visits"]

# The parameter of our pages that carries the query of the authorization request, for a page that comes back too late.
RESUME = "resume"

# A longer query is not carried: addresses and forms would grow with it.
_LONGEST_QUERY = 4096
_QUERY_CHARACTERS = "&=+%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """`secret` is the request's cookie; `browser` says who is signed in there."""

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
        """What a form carries to come back to this visit."""
        return _fields(self.interaction_id, self.interaction)

    def address(self, step: Step) -> str:
        return _address(step, self.interaction_id, self.interaction)

    def finished(self) -> RequestFinished:
        """The error for a page that is opened again after its request was answered."""
        return RequestFinished(
            "the request is finished", way_on=restart(self.interaction.query), ui_locales=self.request.ui_locales
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """Begins visits and finds them again. Raises `RedisError` when Redis is away."""

    interactions: Interactions
    cookies: RequestCookies
    sessions: Sessions
    directory: ClientDirectory

    async def begin(self, request: AuthorizationRequest, step: Step, http: HttpRequest) -> Answer:
        """Sends the browser to the page of `step`, with the cookie of a new request."""
        secret = self.cookies.new_secret()
        interaction_id, interaction = await self.interactions.start(
            request, binding=hash_binding(secret), query=_carried_query(http.query_string)
        )
        headers = self.cookies.give(interaction_id, secret, http)
        return see_other(_address(step, interaction_id, interaction), *headers)

    async def find(self, form: Form, http: HttpRequest) -> Visit:
        """The visit that a page's form or address names.

        Raises `RequestGone`, `NotYours` and what `look_up_client` raises: pages that lead on where a request is known.
        """
        interaction_id, query = form.get("request") or "", form.get(RESUME) or ""
        way_on, ui_locales = restart(query), _locales(query)
        interaction = await self.interactions.find(interaction_id)
        if interaction is None:
            raise RequestGone("the request was left for too long", way_on=way_on, ui_locales=ui_locales)
        secret = self.cookies.read(interaction_id, http)
        if secret is None or not is_bound(secret, interaction.binding):
            raise NotYours("the request was begun by another browser", way_on=way_on, ui_locales=ui_locales)
        client = await look_up_client(
            interaction.request.client_id,
            self.directory,
            source_address=http.source_address,
            ui_locales=interaction.request.ui_locales,
        )
        return Visit(
            interaction_id=interaction_id,
            interaction=interaction,
            secret=secret,
            browser=await self.sessions.read(http),
            client=client,
        )


def restart(query: str) -> WayOn | None:
    """The same authorization request once more, judged anew; None when it is not known.

    The query comes back from the browser. It leads to our own endpoint and nowhere else, and any site could send the
    browser there with the same query.
    """
    if not query or len(query) > _LONGEST_QUERY:
        return None
    return WayOn("way_on.start_again", f"/oauth2/authorize?{quote(query, safe=_QUERY_CHARACTERS)}")


def _carried_query(raw: bytes) -> str:
    return raw.decode("ascii") if raw.isascii() and len(raw) <= _LONGEST_QUERY else ""


def _locales(query: str) -> str | None:
    return next(iter(parse_qs(query).get("ui_locales", ())), None)


def _fields(interaction_id: str, interaction: Interaction) -> dict[str, str]:
    resume = {RESUME: interaction.query} if interaction.query else {}
    return {"request": interaction_id, **resume}


def _address(step: Step, interaction_id: str, interaction: Interaction) -> str:
    return f"/oauth2/{step}?{urlencode(_fields(interaction_id, interaction))}"
