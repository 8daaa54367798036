"""The sign-in session of a browser, stored by the server in `security_common.service.sessions`."""

from dataclasses import dataclass, field

from redis.asyncio import Redis
from starlette.requests import Request

from auth_service.http.responses import Header
from auth_service.protocol import Clock, RandomBytes
from security_common.cookies import parse_cookies
from security_common.service import ServiceCookies, SessionStore

__all__ = ["Browser", "ListedSession", "Session", "Sessions", "cookies_of", "delete_sessions"]

_KEY_PREFIX = "auth:session:"
_OF_ACCOUNT = "auth:account-sessions:"
_COOKIE = "session"
_CHOOSE_ACCOUNT = "choose_account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who signed in, when (seconds since the epoch) and how (`amr` values, RFC 8176).

    `provider` is the identity provider, None for a password; `authenticated_at_seconds` is when the user authenticated
    there, if the provider says so. `provider_session` is the session there (`sid`), if the provider names it.
    `interaction_id` is the authorization request for which the user signed in there.
    """

    subject: str
    signed_in_at_seconds: float
    methods: tuple[str, ...]
    provider: str | None = None
    authenticated_at_seconds: float | None = None
    provider_session: str | None = None
    interaction_id: str | None = None

    @property
    def last_authenticated_at_seconds(self) -> float | None:
        """When the user last proved who they are: `auth_time` (OpenID Connect Core section 2).

        None if the identity provider does not say it: the session there may be days old.
        """
        if self.provider is None:
            return self.signed_in_at_seconds
        if self.authenticated_at_seconds is None:
            return None
        return min(self.authenticated_at_seconds, self.signed_in_at_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """A browser and its sign-in. `secret` is the session id of its cookie; both are empty before the first sign-in."""

    secret: str = field(default="", repr=False)
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A session of an account. `stored_id` identifies it, and is not its id in the cookie."""

    stored_id: str
    session: Session


class Sessions:
    """Reads, begins and ends sessions. Raises `redis.exceptions.RedisError` if Redis is not available.

    `auth:account-sessions:<sub>` has the sessions of an account by the time of their end.
    """

    def __init__(
        self, redis: Redis, *, cookies: ServiceCookies, lifetime_seconds: int, clock: Clock, random_bytes: RandomBytes
    ) -> None:
        self._redis = redis
        self._store = SessionStore(redis, Session, key_prefix=_KEY_PREFIX, random_bytes=random_bytes)
        self._cookies = cookies
        self._lifetime_seconds = lifetime_seconds
        self._clock = clock

    async def read(self, request: Request) -> Browser:
        """The browser that sent the request, with its session if it has one."""
        secret = self._cookies.read(cookies_of(request), _COOKIE) or ""
        return Browser(secret=secret, session=await self._store.load(secret))

    async def sign_in(
        self,
        browser: Browser,
        subject: str,
        methods: tuple[str, ...],
        *,
        provider: str | None = None,
        authenticated_at_seconds: float | None = None,
        provider_session: str | None = None,
        interaction_id: str | None = None,
    ) -> Browser:
        """A new session under a new id, so that an id planted in the browser before is useless (session fixation)."""
        await self.sign_out(browser)
        session = Session(
            subject=subject,
            signed_in_at_seconds=self._clock(),
            methods=methods,
            provider=provider,
            authenticated_at_seconds=authenticated_at_seconds,
            provider_session=provider_session,
            interaction_id=interaction_id,
        )
        secret = await self._store.begin(session, lifetime_seconds=self._lifetime_seconds)
        key, now = _OF_ACCOUNT + subject, self._clock()
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zadd(key, {self._store.stored_id(secret): now + self._lifetime_seconds})
            pipe.zremrangebyscore(key, 0, now)
            pipe.expire(key, self._lifetime_seconds)
            await pipe.execute()
        return Browser(secret=secret, session=session)

    async def all(self, subject: str) -> list[ListedSession]:
        """The sessions of an account, newest first."""
        found: list[ListedSession] = []
        for stored_id in await self._redis.zrevrangebyscore(_OF_ACCOUNT + subject, "+inf", self._clock()):
            session = await self._store.load_stored(str(stored_id))
            if session is not None and session.subject == subject:
                found.append(ListedSession(str(stored_id), session))
        return found

    async def end(self, subject: str, stored_id: str) -> bool:
        """Ends a session of this account; False if the account has no such session."""
        if not await self._redis.zrem(_OF_ACCOUNT + subject, stored_id):
            return False
        await self._store.end_stored(stored_id)
        return True

    def is_of(self, browser: Browser, listed: ListedSession) -> bool:
        """Whether this is the session of the browser."""
        return self._store.stored_id(browser.secret) == listed.stored_id

    async def sign_out(self, browser: Browser) -> None:
        if browser.secret:
            await self._store.end(browser.secret)

    def cookie(self, browser: Browser) -> Header:
        """The header that sets the session cookie. It ends with the browser; the session itself after its lifetime."""
        return self._cookies.set_header(_COOKIE, browser.secret)

    def signed_out_cookies(self, browser: Browser) -> tuple[Header, ...]:
        """The headers after a sign-out.

        The session at an identity provider goes on, so the next sign-in there asks which account to use.
        """
        expired = self._cookies.delete_header(_COOKIE)
        if browser.session is None or browser.session.provider is None:
            return (expired,)
        return expired, self._cookies.set_header(_CHOOSE_ACCOUNT, "1")

    def must_choose_account(self, request: Request) -> bool:
        """Whether the browser was signed out, and its next sign-in at a provider must not be silent."""
        return self._cookies.read(cookies_of(request), _CHOOSE_ACCOUNT) is not None

    def signed_in_cookies(self, browser: Browser) -> tuple[Header, ...]:
        """The headers after a sign-in at a provider."""
        return self.cookie(browser), self._cookies.delete_header(_CHOOSE_ACCOUNT)


def cookies_of(request: Request) -> dict[str, str]:
    """The cookies by name. Starlette's own parser lets a malformed cookie hide others, see `parse_cookies`."""
    return parse_cookies(request.headers.getlist("cookie"))


async def delete_sessions(redis: Redis, subject: str) -> None:
    """Deletes every session of an account, and their list. Raises `redis.exceptions.RedisError`."""
    key = _OF_ACCOUNT + subject
    stored_ids = await redis.zrange(key, 0, -1)
    await redis.delete(*(f"{_KEY_PREFIX}{stored_id}" for stored_id in stored_ids), key)
