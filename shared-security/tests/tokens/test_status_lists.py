"""Items E151 to E157: status lists, fetched from an issuer over a real socket with a clock that the test advances."""

import asyncio
import base64
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import pytest

from local_stack.loopback_issuer import LoopbackIssuer, http_answer
from local_stack.wrong_answers import always, hanging
from security_common.tokens import KeysUnavailable, StatusPolicy, TokenRejected, TokenVerifier, TrustedIssuer
from security_common.tokens.issuer_metadata import STATUS_SINCE_MEMBER
from security_common.tokens.status_list import MAX_LIST_BYTES

pytestmark = pytest.mark.anyio
LIST = "/status/one"
TTL = 15


class StatusIssuer:
    """Serves a status list. `revoked` are its set indices; `claims` and `header` change the signed document."""

    def __init__(self, issuer: LoopbackIssuer) -> None:
        self.issuer = issuer
        self.revoked: dict[int, int] = {}
        self.bits = 1
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        issuer.answers[LIST] = self._answer

    def token(self, index: Any = 7, **changes: Any) -> str:
        """A token that was issued a minute ago: its status is not known from that any more."""
        uri = changes.pop("uri", self.issuer.url + LIST)
        changes.setdefault("iat", int(self.issuer.now()) - 60)
        return self.issuer.token(**{"status": {"status_list": {"idx": index, "uri": uri}}, **changes})

    def old_token(self) -> str:
        """A token that was issued so long ago that its status is not known without a list."""
        now = int(self.issuer.now())
        return self.token(iat=now - 1000, exp=now + 800)

    def document(self) -> bytes:
        packed = bytearray(128)
        for index, status in self.revoked.items():
            position = index * self.bits
            packed[position >> 3] |= status << (position & 7)
        now = int(self.issuer.now())
        claims = {
            "sub": self.issuer.url + LIST,
            "iat": now,
            "exp": now + 3600,
            "ttl": TTL,
            "status_list": {"bits": self.bits, "lst": encode(bytes(packed))},
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        return self.issuer.sign(json.dumps(claims).encode(), header={"typ": "statuslist+jwt", **self.header}).encode()

    async def _answer(self, received: Mapping[str, str], writer: asyncio.StreamWriter) -> None:
        assert received["accept"] == "application/statuslist+jwt"
        writer.write(http_answer(self.document(), content_type="application/statuslist+jwt"))


def encode(packed: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(packed, 9)).rstrip(b"=").decode()


@pytest.fixture
def statuses(issuer) -> StatusIssuer:
    return StatusIssuer(issuer)


async def test_a_revoked_token_is_refused_after_one_ttl_although_it_was_verified_before(statuses, verifier, clock):
    token = statuses.token()
    await verifier.verify(token)
    assert verifier.find_cached(token) is not None
    statuses.revoked[7] = 1
    clock.now += TTL
    assert verifier.find_cached(token) is None
    with pytest.raises(TokenRejected) as rejected:
        await verifier.verify(token)
    assert rejected.value.reason == "revoked"
    await verifier.verify(statuses.token(8))


async def test_all_tokens_share_one_fetch_in_a_ttl(statuses, issuer, verifier, clock):
    for _ in range(3):
        await asyncio.gather(*(verifier.verify(statuses.token(index, jti=str(index))) for index in range(50)))
        clock.now += TTL
    assert issuer.requests[LIST] == 3
    assert verifier.statuses.fetches == {"fetched": 3, "unchanged": 0, "failed": 0}


async def test_a_list_in_use_is_fetched_before_it_is_too_old_so_that_no_request_waits(
    statuses, issuer, verifier, clock
):
    token = statuses.token()
    await verifier.verify(token)
    clock.now += TTL - 1
    assert verifier.find_cached(token) is not None
    await issuer.wait_for_requests(LIST, 2)


async def test_an_unchanged_list_is_confirmed_without_a_body(statuses, issuer, verifier, clock):
    async def answer(received: Mapping[str, str], writer: asyncio.StreamWriter) -> None:
        if received.get("if-none-match") == '"one"':
            writer.write(http_answer(b"", status="304 Not Modified", etag='"one"'))
        else:
            writer.write(http_answer(statuses.document(), etag='"one"'))

    issuer.answers[LIST] = answer
    for _ in range(2):
        await verifier.verify(statuses.token())
        clock.now += TTL
    assert verifier.statuses.fetches == {"fetched": 1, "unchanged": 1, "failed": 0}


@pytest.mark.parametrize(
    ("claims", "header"),
    [
        pytest.param({"sub": "http://localhost/other"}, {}, id="E151 another sub"),
        pytest.param({"sub": None}, {}, id="E151 no sub"),
        pytest.param({"iss": "http://localhost/other"}, {}, id="E151 another issuer"),
        pytest.param({}, {"typ": "at+jwt"}, id="E151 typ of an access token"),
        pytest.param({}, {"typ": None}, id="E151 no typ"),
        pytest.param({}, {"alg": "none"}, id="E151 alg none"),
        pytest.param({}, {"kid": "unknown"}, id="E151 unknown key"),
        pytest.param({}, {"crit": ["x"]}, id="E151 critical extension"),
        pytest.param({"exp": 1}, {}, id="E151 expired"),
        pytest.param({"iat": 2**40}, {}, id="E151 from the future"),
        pytest.param({"iat": None}, {}, id="E151 without iat"),
        pytest.param({"status_list": None}, {}, id="no list"),
        pytest.param({"status_list": {"bits": 3, "lst": encode(b"\0")}}, {}, id="E157 three bits"),
        pytest.param({"status_list": {"bits": True, "lst": encode(b"\0")}}, {}, id="E157 bits as a boolean"),
        pytest.param({"status_list": {"bits": 1, "lst": "*"}}, {}, id="not base64url"),
        pytest.param({"status_list": {"bits": 1, "lst": "AAAA"}}, {}, id="not compressed"),
        pytest.param({"status_list": {"bits": 1, "lst": encode(bytes(MAX_LIST_BYTES + 1))}}, {}, id="E155 too large"),
    ],
)
async def test_a_wrong_list_is_not_used(statuses, verifier, claims, header):
    statuses.claims, statuses.header = claims, header
    with pytest.raises(KeysUnavailable):
        await verifier.verify(statuses.old_token())
    assert verifier.problem


async def test_e151_a_list_with_a_wrong_signature_is_not_used(statuses, issuer, verifier):
    issuer.answers[LIST] = always(http_answer(statuses.document()[:-8] + b"AAAAAAAA"))
    with pytest.raises(KeysUnavailable):
        await verifier.verify(statuses.old_token())


@pytest.mark.parametrize("index", [-1, "7", 7.0, True, None, 2**40, 1024, []], ids=repr)
async def test_e152_an_index_that_is_not_in_the_list_is_refused(statuses, verifier, index):
    with pytest.raises(TokenRejected) as rejected:
        await verifier.verify(statuses.token(index))
    assert rejected.value.reason == "bad_claim"


@pytest.mark.parametrize("status", [None, "x", [], {}, {"status_list": []}, {"status_list": {"idx": 1}}], ids=repr)
async def test_a_malformed_status_is_refused(statuses, verifier, status):
    token = statuses.issuer.sign(json.dumps({**statuses.issuer.claims(), "status": status}).encode())
    with pytest.raises(TokenRejected):
        await verifier.verify(token)


@pytest.mark.parametrize("uri", ["http://localhost:1/status", "{issuer}.example.com/status", "{issuer}@localhost/x"])
async def test_e153_a_list_elsewhere_is_refused_and_never_fetched(statuses, issuer, verifier, uri):
    with pytest.raises(TokenRejected):
        await verifier.verify(statuses.token(uri=uri.replace("{issuer}", issuer.url)))
    assert verifier.statuses.fetches.total() == 0


async def test_e154_the_last_list_is_used_during_an_outage_and_strict_scopes_end_after_three_ttl(
    statuses, issuer, verifier, clock
):
    token = statuses.token(scope="mcp.access mcp.decrypt")
    await verifier.verify(token)
    statuses.revoked[9] = 1
    issuer.answers[LIST] = always(http_answer(b"", status="503 Service Unavailable"))
    clock.now += 3 * TTL
    assert (await verifier.verify(token)).scopes == {"mcp.access", "mcp.decrypt"}
    clock.now += 1
    verified = await verifier.verify(token)
    assert (verified.scopes, verified.withheld_scopes) == ({"mcp.access"}, {"mcp.decrypt"})
    clock.now += 900 - 3 * TTL
    with pytest.raises(KeysUnavailable):
        await verifier.verify(token)
    issuer.answers[LIST] = statuses._answer
    clock.now += TTL
    assert (await verifier.verify(token)).withheld_scopes == frozenset()
    with pytest.raises(TokenRejected):
        await verifier.verify(statuses.token(9))


async def test_without_any_list_a_new_token_is_accepted_as_it_was_issued(statuses, issuer, verifier, clock):
    issuer.answers[LIST] = always(http_answer(b"", status="503 Service Unavailable"))
    token = statuses.token(scope="mcp.access mcp.audit", iat=clock())
    assert (await verifier.verify(token)).scopes == {"mcp.access", "mcp.audit"}
    clock.now += 3 * TTL
    assert (await verifier.verify(token)).scopes == {"mcp.access", "mcp.audit"}
    clock.now += 1
    assert (await verifier.verify(token)).scopes == {"mcp.access"}
    clock.now += 900
    with pytest.raises(KeysUnavailable):
        await verifier.verify(token)


async def test_a_token_that_was_just_issued_does_not_wait_for_the_first_list(statuses, issuer, verifier, clock):
    issuer.answers[LIST] = hanging
    token = statuses.token(iat=clock())
    await verifier.verify(token)
    await issuer.wait_for_requests(LIST)


async def test_a_token_stays_refused_during_an_outage(statuses, issuer, verifier, clock):
    statuses.revoked[7] = 1
    with pytest.raises(TokenRejected):
        await verifier.verify(statuses.token())
    await issuer.stop()
    clock.now += 60
    with pytest.raises(TokenRejected):
        await verifier.verify(statuses.token())


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
async def test_e157_only_the_status_zero_is_valid(statuses, verifier, bits):
    statuses.bits = bits
    statuses.revoked = {index: 1 << (index - 1) for index in range(1, bits + 1)}
    for index in statuses.revoked:
        with pytest.raises(TokenRejected):
            await verifier.verify(statuses.token(index))
    for index in (0, bits + 1):
        await verifier.verify(statuses.token(index))


async def test_tokens_without_a_status_need_no_list(issuer, verifier):
    token = issuer.token()
    await verifier.verify(token)
    assert verifier.find_cached(token) is not None
    assert verifier.statuses.fetches.total() == 0


async def test_e156_a_token_without_a_status_is_accepted_only_from_before_the_issuer_had_lists(
    issuer, make_verifier, clock, monkeypatch
):
    since = int(clock())
    monkeypatch.setattr(issuer, "metadata", lambda: {**LoopbackIssuer.metadata(issuer), STATUS_SINCE_MEMBER: since})
    verifier = make_verifier()
    await verifier.verify(issuer.token(iat=since - 1))
    with pytest.raises(TokenRejected) as rejected:
        await verifier.verify(issuer.token(iat=since))
    assert rejected.value.reason == "bad_claim"


async def test_a_clock_that_was_set_back_causes_a_fetch(statuses, issuer, verifier, clock):
    await verifier.verify(statuses.token(iat=clock() - 500))
    statuses.revoked[7] = 1
    clock.now -= 400
    with pytest.raises(TokenRejected):
        await verifier.verify(statuses.token(iat=clock() - 100))


async def test_the_outage_limit_and_the_strict_scopes_are_a_policy(
    statuses: StatusIssuer, issuer: LoopbackIssuer, http: httpx2.AsyncClient, clock: Callable[[], float]
) -> None:
    policy = StatusPolicy(outage_seconds=60, strict_scopes=frozenset())
    verifier = TokenVerifier([TrustedIssuer(issuer.url, issuer.audience)], http=http, clock=clock, status_policy=policy)
    token = statuses.token(scope="mcp.audit")
    await verifier.verify(token)
    await issuer.stop()
    clock.now += 60  # type: ignore[attr-defined]
    assert (await verifier.verify(token)).scopes == {"mcp.audit"}
    clock.now += 1  # type: ignore[attr-defined]
    with pytest.raises(KeysUnavailable):
        await verifier.verify(token)
    await verifier.stop()
