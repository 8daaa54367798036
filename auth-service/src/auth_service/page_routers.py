"""The routers of what people open in a browser: sign-in, consent, logout, and the style sheet of these pages."""

from collections.abc import Sequence

from fastapi import APIRouter

from auth_service.accounts.local_accounts import DEMO_ACCOUNT
from auth_service.accounts.store import AccountStore
from auth_service.authorize.account_overview import AccountOverview
from auth_service.authorize.account_page import AccountPage
from auth_service.authorize.authorization_endpoint import AuthorizationEndpoint
from auth_service.authorize.authorization_flow import AuthorizationFlow
from auth_service.authorize.consent_page import ConsentPage
from auth_service.authorize.interactions import InteractionCookies, Interactions
from auth_service.authorize.logout_endpoint import LogoutEndpoint
from auth_service.authorize.provider_sign_in import ProviderSignIn
from auth_service.authorize.repeatable_responses import RepeatableResponses
from auth_service.authorize.sign_in_page import SignInPage
from auth_service.authorize.visits import Visits
from auth_service.federation.pending_sign_ins import PendingSignIns
from auth_service.federation.people import People
from auth_service.http.rate_limits import SerialWork
from auth_service.service_parts import ServiceParts
from auth_service.web.browser_keys import BrowserKeys
from auth_service.web.pages import Pages
from auth_service.web.sessions import Sessions
from security_common.service import ServiceCookies, read_secret

__all__ = ["make_page_routers"]


def make_page_routers(parts: ServiceParts, pages: Pages) -> Sequence[APIRouter]:
    """The routers; errors of their endpoints are pages."""
    settings = parts.settings
    cookies = ServiceCookies("auth_", secure=settings.issuer.startswith("https:"))
    browser_keys = BrowserKeys(read_secret(settings.cookie_key_file, "AUTH_COOKIE_KEY_FILE"))
    sessions = Sessions(
        parts.redis,
        cookies=cookies,
        lifetime_seconds=settings.session_lifetime_seconds,
        clock=parts.clock,
        random_bytes=parts.random_bytes,
    )
    flow = AuthorizationFlow(
        issuer=settings.issuer,
        visits=Visits(
            interactions=Interactions(redis=parts.redis, clock=parts.clock, random_bytes=parts.random_bytes),
            cookies=InteractionCookies(cookies=cookies, random_bytes=parts.random_bytes),
            sessions=sessions,
            directory=parts.directory,
        ),
        accounts=parts.accounts,
        provider_check=parts.rechecks,
        provider_logouts=parts.provider_logouts,
        consents=parts.consents,
        codes=parts.codes,
        repeatable=RepeatableResponses(redis=parts.redis, browser_keys=browser_keys),
        waiting_requests=parts.make_throttle("authorization-request", settings.authorizations_per_address),
        record=parts.record,
        clock=parts.clock,
    )
    provider_sign_in = ProviderSignIn(
        flow=flow,
        sessions=sessions,
        connections=parts.connections,
        pending=PendingSignIns(redis=parts.redis, browser_keys=browser_keys, random_bytes=parts.random_bytes),
        people=People(
            identities=parts.identities,
            store=AccountStore(parts.redis),
            clock=parts.clock,
            random_bytes=parts.random_bytes,
        ),
        encryption=parts.refresh_token_encryption,
        rechecks=parts.rechecks,
        logouts=parts.provider_logouts,
        starts=parts.make_throttle("provider-sign-in", settings.authorizations_per_address),
        clock=parts.clock,
    )
    sign_in = SignInPage(
        flow=flow,
        sessions=sessions,
        browser_keys=browser_keys,
        password_sign_in=parts.password_sign_in,
        pages=pages,
        failures_by_name=parts.make_throttle("sign-in-by-name", settings.sign_in_failures_per_name),
        failures_by_address=parts.make_throttle("sign-in-by-address", settings.sign_in_failures_per_address),
        serial_work=SerialWork(),
        demo=DEMO_ACCOUNT if settings.demo else None,
        provider_sign_in=provider_sign_in,
        local=parts.declaration.sign_in.local,
    )
    consent = ConsentPage(flow=flow, browser_keys=browser_keys, resources=parts.resources, pages=pages)
    logout = LogoutEndpoint(
        flow=flow,
        sessions=sessions,
        browser_keys=browser_keys,
        verifier=parts.issued_tokens,
        pages=pages,
        connections=parts.connections,
    )
    authorization = AuthorizationEndpoint(flow=flow, resources=parts.resources, verifier=parts.issued_tokens)
    account = AccountPage(
        issuer=settings.issuer,
        flow=flow,
        sessions=sessions,
        overview=AccountOverview(
            sessions=sessions,
            consents=parts.consents,
            directory=parts.directory,
            identities=parts.identities,
            store=AccountStore(parts.redis),
            revocation=parts.grant_revocation,
            connections=parts.connections,
            redis=parts.redis,
            clock=parts.clock,
        ),
        browser_keys=browser_keys,
        pages=pages,
        random_bytes=parts.random_bytes,
    )
    routers = [page.make_router() for page in (account, authorization, sign_in, consent, logout)]
    if len(parts.connections):
        routers.append(provider_sign_in.make_router())
    return routers
