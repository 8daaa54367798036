"""Sessions of browsers in Redis, and the cookies that contain their ids."""

import asyncio
import hashlib
from dataclasses import dataclass

import pytest

from security_common.cookies import parse_cookies
from security_common.service import ServiceCookies, ServiceSettings, SessionStore, connect_redis

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    subject: str
    methods: tuple[str, ...]


ALICE = SignIn(subject="u_alice", methods=("pwd",))


@pytest.fixture
async def redis(redis_server):
    async with connect_redis(ServiceSettings(redis_url=redis_server.url)) as client:
        yield client


@pytest.fixture
def sessions(redis) -> SessionStore[SignIn]:
    return SessionStore(redis, SignIn, key_prefix="test:session:")


async def test_a_session_is_loaded_by_its_id_until_it_ends(sessions):
    session_id = await sessions.begin(ALICE, lifetime_seconds=60)
    assert await sessions.load(session_id) == ALICE
    await sessions.end(session_id)
    assert await sessions.load(session_id) is None


@pytest.mark.parametrize("session_id", [None, "", "short", "x" * 43, "x" * 44, "\ud800" * 43, "*" * 43])
async def test_an_unknown_or_malformed_id_has_no_session(sessions, session_id):
    assert await sessions.load(session_id) is None


async def test_every_session_has_its_own_id(sessions):
    ids = {await sessions.begin(ALICE, lifetime_seconds=60) for _ in range(20)}
    assert len(ids) == 20
    assert all(len(session_id) == 43 for session_id in ids)


@pytest.mark.parametrize("digest_key", [b"", b"a key of the service"])
async def test_redis_contains_a_digest_and_not_the_id(redis, digest_key):
    sessions = SessionStore(redis, SignIn, key_prefix="test:digest:", digest_key=digest_key)
    session_id = await sessions.begin(ALICE, lifetime_seconds=60)
    keys = [key async for key in redis.scan_iter("test:digest:*")]
    assert keys
    assert not any(session_id in key for key in keys)
    plain = f"test:digest:{hashlib.sha256(session_id.encode()).hexdigest()}"
    assert (plain in keys) == (not digest_key)
    await sessions.end(session_id)


async def test_a_session_expires_after_its_lifetime(redis, sessions):
    session_id = await sessions.begin(ALICE, lifetime_seconds=30)
    key = f"test:session:{hashlib.sha256(session_id.encode()).hexdigest()}"
    assert 0 < await redis.ttl(key) <= 30


async def test_only_the_first_of_several_requests_receives_the_previous_data(sessions):
    session_id = await sessions.begin(ALICE, lifetime_seconds=60)
    signed_out = SignIn(subject="", methods=())
    results = await asyncio.gather(*(sessions.replace(session_id, signed_out, lifetime_seconds=60) for _ in range(5)))
    assert results.count(ALICE) == 1
    assert results.count(signed_out) == 4
    assert await sessions.load(session_id) == signed_out


async def test_an_ended_session_is_not_replaced(sessions):
    session_id = await sessions.begin(ALICE, lifetime_seconds=60)
    await sessions.end(session_id)
    assert await sessions.replace(session_id, ALICE, lifetime_seconds=60) is None
    assert await sessions.load(session_id) is None


def test_cookies_on_https_have_the_host_prefix_and_strict_attributes():
    cookies = ServiceCookies("auth_", secure=True)
    assert cookies.set_header("session", "value") == (
        "set-cookie",
        "__Host-auth_session=value; Path=/; HttpOnly; SameSite=Lax; Secure",
    )
    assert "Max-Age=0" in cookies.delete_header("session")[1]


def test_cookies_on_http_have_neither_the_prefix_nor_the_secure_attribute():
    cookies = ServiceCookies("mcp_audit", secure=False)
    assert cookies.set_header("", "value", max_age_seconds=60) == (
        "set-cookie",
        "mcp_audit=value; Max-Age=60; Path=/; HttpOnly; SameSite=Lax",
    )


def test_the_cookies_of_a_request_are_found_by_name():
    cookies = ServiceCookies("auth_", secure=False)
    received = parse_cookies(["auth_session=a; auth_visit_1=b; other=c; auth_visit_2=d"])
    assert cookies.read(received, "session") == "a"
    assert cookies.read(received, "other") is None
    assert cookies.names(received, "visit_") == ["visit_1", "visit_2"]
