"""The composition of what people open in a browser: sign-in, consent, logout and their style sheet."""

from auth_service.accounts.local_accounts import DEMO_ACCOUNT
from auth_service.authorize.consent import ConsentPage
from auth_service.authorize.endpoint import AuthorizationEndpoint
from auth_service.authorize.flow import Flow
from auth_service.authorize.interactions import Interactions
from auth_service.authorize.logout import LogoutEndpoint
from auth_service.authorize.repeatable_answers import RepeatableAnswers
from auth_service.authorize.request_cookies import RequestCookies
from auth_service.authorize.sign_in import SignInPage
from auth_service.authorize.visits import Visits
from auth_service.core import Core, People, make_throttle
from auth_service.http.messages import Endpoint
from auth_service.http.turns import Turns
from auth_service.web.cookies import Cookies
from auth_service.web.errors import error_pages
from auth_service.web.form_keys import FormKeys
from auth_service.web.pages import Pages, icon_endpoint, style_endpoint
from auth_service.web.sessions import Sessions
from security_common.service import read_secret

__all__ = ["browser_endpoints"]


def browser_endpoints(core: Core, people: People) -> tuple[Endpoint, ...]:
    """The endpoints; their errors are pages."""
    settings = core.settings
    pages = Pages(issuer=settings.issuer)
    word_error = error_pages(pages)
    cookies = Cookies(settings.issuer.startswith("https:"))
    form_keys = FormKeys(read_secret(settings.cookie_key_file, "AUTH_COOKIE_KEY_FILE"))
    sessions = Sessions(
        redis=core.redis,
        cookies=cookies,
        lifetime_seconds=settings.session_lifetime_seconds,
        clock=core.clock,
        random_bytes=core.random_bytes,
    )
    flow = Flow(
        issuer=settings.issuer,
        visits=Visits(
            interactions=Interactions(redis=core.redis, clock=core.clock, random_bytes=core.random_bytes),
            cookies=RequestCookies(cookies=cookies, random_bytes=core.random_bytes),
            sessions=sessions,
            directory=core.directory,
        ),
        accounts=people.accounts,
        consents=people.consents,
        codes=people.codes,
        repeatable=RepeatableAnswers(redis=core.redis, form_keys=form_keys),
        begun=make_throttle(core, "begun", settings.authorizations_per_address),
        record=core.record,
        clock=core.clock,
    )
    sign_in = SignInPage(
        flow=flow,
        sessions=sessions,
        form_keys=form_keys,
        sign_in=people.accounts,
        pages=pages,
        names=make_throttle(core, "password", settings.sign_in_failures_per_name),
        addresses=make_throttle(core, "passwords", settings.sign_in_failures_per_address),
        turns=Turns(),
        demo=DEMO_ACCOUNT if settings.demo else None,
        word_error=word_error,
    )
    return (
        AuthorizationEndpoint(
            flow=flow, resources=core.resources, tokens=people.reader, word_error=word_error
        ).endpoint,
        sign_in.endpoint,
        ConsentPage(
            flow=flow, form_keys=form_keys, resources=core.resources, pages=pages, word_error=word_error
        ).endpoint,
        LogoutEndpoint(
            flow=flow, sessions=sessions, form_keys=form_keys, tokens=people.reader, pages=pages, word_error=word_error
        ).endpoint,
        style_endpoint(),
        icon_endpoint(),
    )
