"""Sessions, kept by the server: the browser holds a random value, Redis holds its hash and who signed in."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter
from redis.asyncio import Redis

from auth_service.http.messages import HttpRequest
from auth_service.vocabulary import Clock, RandomBytes

__all__ = ["Browser", "Session", "Sessions"]

_PREFIX = "auth:session:"
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who signed in, when (seconds since the epoch) and how. `former_browser` is the id the browser had before."""

    subject: str
    signed_in_at_seconds: float
    methods: tuple[str, ...]
    former_browser: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """One browser. `browser_id` is the hash of its cookie, `secret` the cookie; `session` is None until a sign-in."""

    browser_id: str
    secret: str = field(repr=False)
    session: Session | None = None

    def owns(self, browser_id: str) -> bool:
        """True for what this browser began, before its last sign-in too, when its id was another one."""
        former = self.session.former_browser if self.session else None
        return browser_id in {self.browser_id, former}


_DOCUMENT = TypeAdapter(Session)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Reads, begins and ends sessions. Raises `redis.exceptions.RedisError` when Redis is away."""

    redis: Redis
    cookie_key: bytes = field(repr=False)
    secure: bool
    lifetime_seconds: int
    clock: Clock
    random_bytes: RandomBytes

    async def read(self, request: HttpRequest) -> Browser:
        """The browser that asks; one without a cookie gets a fresh identity, which costs no write."""
        secret = request.cookies.get(self._name, "")
        if not _SECRET.fullmatch(secret):
            return self._new_browser()
        browser = Browser(browser_id=_hash(secret), secret=secret)
        document = await self.redis.get(_PREFIX + browser.browser_id)
        return replace(browser, session=_DOCUMENT.validate_json(document)) if document else browser

    async def sign_in(self, browser: Browser, subject: str, methods: tuple[str, ...]) -> Browser:
        """The same browser under a new id: one that somebody planted before the sign-in is worth nothing after."""
        await self.sign_out(browser)
        session = Session(
            subject=subject, signed_in_at_seconds=self.clock(), methods=methods, former_browser=browser.browser_id
        )
        signed_in = replace(self._new_browser(), session=session)
        key = _PREFIX + signed_in.browser_id
        await self.redis.set(key, _DOCUMENT.dump_json(session), ex=self.lifetime_seconds)
        return signed_in

    async def sign_out(self, browser: Browser) -> None:
        await self.redis.delete(_PREFIX + browser.browser_id)

    def cookie(self, browser: Browser) -> tuple[str, str]:
        """The header that gives the browser its cookie; it ends with the browser, and here after the lifetime."""
        return "set-cookie", f"{self._name}={browser.secret}; {self._attributes}"

    def expired_cookie(self) -> tuple[str, str]:
        return "set-cookie", f"{self._name}=; Max-Age=0; {self._attributes}"

    def form_key(self, browser: Browser, purpose: str) -> str:
        """What a form carries to show that this browser got it from us, and for this purpose."""
        message = f"{browser.secret}:{purpose}".encode()
        return hmac.digest(self.cookie_key, message, "sha256").hex()

    def form_key_is_right(self, browser: Browser, purpose: str, sent: str | None) -> bool:
        return hmac.compare_digest(self.form_key(browser, purpose).encode(), (sent or "").encode())

    @property
    def _name(self) -> str:
        """Ports share cookies: the name keeps the services of one host apart, the prefix keeps other hosts out."""
        return "__Host-auth_session" if self.secure else "auth_session"

    @property
    def _attributes(self) -> str:
        return "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if self.secure else "")

    def _new_browser(self) -> Browser:
        secret = urlsafe_b64encode(self.random_bytes(32)).rstrip(b"=").decode("ascii")
        return Browser(browser_id=_hash(secret), secret=secret)


def _hash(secret: str) -> str:
    """The value has 256 random bits, so a plain hash keeps it."""
    return hashlib.sha256(secret.encode()).hexdigest()
