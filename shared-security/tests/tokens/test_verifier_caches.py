"""The caches of the verifier and the guard are limited in entries and bytes, expire, and contain no exceptions."""

import gc
import tracemalloc

import pytest

from local_stack.loopback_issuer import http_answer
from local_stack.wrong_answers import always, dripping, reset
from security_common.edge import RequestHeaders
from security_common.guard import ProtectedResource
from security_common.guard.origins import HostAndOriginRules
from security_common.guard.refusals import MisdirectedRequest
from security_common.guard.request_rates import MAX_CALLERS, RequestRates
from security_common.tokens import AccessToken, TokenRejected
from security_common.tokens.errors import IssuerMismatch, IssuerUnreachable, KeysUnavailable
from security_common.tokens.issuer_fetch import fetch_document
from security_common.tokens.issuer_metadata import read_metadata
from security_common.tokens.verifier import MAX_CACHED_BYTES, MAX_CACHED_TOKENS, VerifiedTokenCache

KEYS, METADATA = "/keys", "/.well-known/oauth-authorization-server"
pytestmark = pytest.mark.anyio


def make_token(number: int, *, payload: bytes, scopes: frozenset[str], key_id: str = "first") -> AccessToken:
    return AccessToken(
        issuer="https://login.example",
        subject=f"u_{number}",
        client_id=f"client-{number}",
        audience=("https://mcp.example/mcp",),
        scopes=scopes,
        expires_at_seconds=2_000_000_000.0,
        issued_at_seconds=1_800_000_000.0,
        token_id=f"id-{number}",
        key_id=key_id,
        payload=payload,
    )


@pytest.mark.parametrize(
    ("count", "payload_bytes", "scopes"),
    [(10_500, 600, 2), (1600, 12 * 1024, 2), (60, 12 * 1024, 3000)],
    ids=["usual tokens", "large tokens", "tokens of many scopes"],
)
async def test_the_memory_of_verified_tokens_is_limited(clock, count, payload_bytes, scopes):
    tokens = VerifiedTokenCache(clock)
    tracemalloc.start()
    try:
        for number in range(count):
            token = make_token(
                number, payload=bytes(payload_bytes), scopes=frozenset(f"{number}:{each}" for each in range(scopes))
            )
            tokens.put(number.to_bytes(32), token, until_seconds=clock() + 3600)
        del token
        used_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used_bytes < 1.5 * MAX_CACHED_BYTES
    kept = [number for number in range(count) if tokens.get(number.to_bytes(32)) is not None]
    assert 0 < len(kept) <= MAX_CACHED_TOKENS
    assert kept[-1] == count - 1


async def test_a_verified_token_is_removed_when_it_expires(issuer, verifier, clock):
    for number in range(50):
        await verifier.verify(issuer.token(exp=int(clock()) + 60, jti=str(number)))
    clock.now += 91
    await verifier.verify(issuer.token(jti="later"))
    assert len(verifier._cache._tokens) == 1


async def test_unknown_key_ids_are_limited_and_expire(issuer, verifier, clock):
    (keys,) = verifier.keys
    for number in range(1200):
        clock.now += 1  # so that one look in thirty is made, and remembered
        with pytest.raises(TokenRejected):
            await verifier.verify(issuer.token(header={"kid": f"{number:0512}"}))
    assert len(keys._unknown) <= 5
    assert keys._unknown.size_bytes < 5 * 600


async def test_no_exception_is_kept_after_its_request(issuer, verifier, clock, http):
    kept_by_other_tests = {id(each): each for each in find_exceptions()}
    bad = ["", "a.b.c", issuer.token(aud="x"), issuer.token(header={"kid": "unknown"}), issuer.token(key="evil")]
    for token in bad:
        with pytest.raises(TokenRejected):
            await verifier.verify(token)
    issuer.answers[KEYS] = reset
    await verifier.start()
    await clock.asleep()
    await clock.advance(30)
    assert verifier.problem
    with pytest.raises(KeysUnavailable):
        await verifier.verify(issuer.token(header={"kid": "new"}))
    assert [each for each in find_exceptions() if id(each) not in kept_by_other_tests] == []


def find_exceptions() -> list[Exception]:
    """The exceptions of the verifier that something still refers to."""
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, TokenRejected | KeysUnavailable | IssuerUnreachable)]


async def test_a_long_issuer_name_is_shortened_in_messages(issuer, verifier, http):
    issuer.answers[METADATA] = always(http_answer(b'{"issuer": "' + b"x" * 60_000 + b'"}'))
    with pytest.raises(KeysUnavailable):
        await verifier.verify(issuer.token())
    assert len(verifier.problem) < 1000
    assert "xxx..." in verifier.problem
    (keys,) = verifier.keys
    with pytest.raises(IssuerMismatch):
        await read_metadata(http, keys.issuer)


async def test_a_fetch_ends_at_its_deadline(issuer, http):
    issuer.answers[KEYS] = dripping
    with pytest.raises(IssuerUnreachable, match="took over"):
        await fetch_document(http, f"{issuer.url}{KEYS}", deadline_seconds=0.2)


def test_an_oversized_host_is_not_cached():
    origins = HostAndOriginRules(ProtectedResource("https://mcp.example/mcp", ()), hosts=(), origins=())
    for number in range(300):
        with pytest.raises(MisdirectedRequest):
            origins.require_host(RequestHeaders([(b"host", b"%d" % number + b"x" * 30_000)]))
    assert origins._is_our_host.cache_info().currsize == 0


def test_the_number_of_counted_callers_is_bounded():
    rates = RequestRates(2, clock=lambda: 60.0)
    for number in range(MAX_CALLERS + 100):
        assert rates.take("https://login.example", f"u_{number}") is None
    assert len(rates._counts) == MAX_CALLERS
    last = f"u_{MAX_CALLERS + 99}"
    assert rates.take("https://login.example", last) is None
    assert rates.take("https://login.example", last) == 60
