"""Limits on sizes, times and rates, the checks of Host and Origin, and client addresses behind proxies."""

import asyncio
import json
from ipaddress import ip_network

import pytest

from security_common.edge import RequestContext, RequestHeaders
from security_common.guard import GuardPolicy, RequestRates
from security_common.guard.refusal_audit import RefusalAudit
from security_common.guard.refusals import MissingToken
from security_common.settings import SecuritySettings

pytestmark = pytest.mark.anyio


async def raw_exchange(url: str, request: bytes) -> bytes:
    """Sends raw bytes, and returns the head of the response."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    response = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return response


async def test_a_body_over_the_limit_is_refused_by_its_length_header_and_by_its_size(guard):
    guarded = await guard(policy=GuardPolicy(max_body_bytes=1000))
    headers = guarded.bearer()

    async def chunks():
        for _ in range(11):
            yield b"x" * 100

    announced = await guarded.http.post(guarded.url, content=b"x" * 1001, headers=headers)
    counted = await guarded.http.post(guarded.url, content=chunks(), headers=headers)
    fits = await guarded.http.post(guarded.url, content=b"x" * 1000, headers=headers)
    assert [response.status_code for response in (announced, counted, fits)] == [413, 413, 200]


async def test_content_length_over_the_limit_is_refused_before_the_body_arrives(guard):
    guarded = await guard(policy=GuardPolicy(max_body_bytes=1000, body_deadline_seconds=5))
    for length in ("1001", "9" * 40):
        head = f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nAuthorization: Bearer "
        response = await raw_exchange(guarded.url, f"{head}{guarded.issuer.token()}\r\n\r\n".encode())
        # uvicorn itself refuses a number of forty digits.
        assert response.splitlines()[0].split()[1] == (b"413" if length == "1001" else b"400")


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "POST"])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_is_bounded_for_every_method(guard, method, announced):
    async def chunks(count: int):
        for _ in range(count):
            yield b"x" * 100

    guarded = await guard(policy=GuardPolicy(max_body_bytes=1000))
    for count, status in ((10, 200), (11, 413)):
        content = b"x" * 100 * count if announced else chunks(count)
        response = await guarded.http.request(method, guarded.url, content=content, headers=guarded.bearer())
        assert response.status_code == status
        assert status == 413 or response.content == b"x" * 1000


async def test_a_body_is_bounded_on_open_paths(guard):
    guarded = await guard(policy=GuardPolicy(max_body_bytes=10))
    assert (await guarded.http.post(f"{guarded.url}/livez", content=b"x" * 11)).status_code == 413
    assert (await guarded.http.post(f"{guarded.url}/livez", content=b"x" * 10)).status_code == 200


async def test_whitespace_around_a_header_value_is_removed(guard):
    """RFC 9110 section 5.5; httptools keeps the whitespace after a value."""

    async def tell(scope, receive, send):
        headers = [(b"x-came", b"<" + dict(scope["headers"])[b"mcp-name"] + b">")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    guarded = await guard(tell)
    head = f"GET / HTTP/1.1\r\nHost: localhost \r\nMcp-Name:  a b\t \r\nAuthorization: Bearer {guarded.issuer.token()}"
    assert b"x-came: <a b>" in (await raw_exchange(guarded.url, f"{head} \r\n\r\n".encode())).splitlines()


async def test_a_slow_body_is_refused_at_its_deadline(guard):
    guarded = await guard(policy=GuardPolicy(body_deadline_seconds=0.05))
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nAuthorization: Bearer {guarded.issuer.token()}"
    )
    response = await raw_exchange(guarded.url, f"{head}\r\n\r\n{{".encode())
    assert b" 408 " in response.splitlines()[0]


@pytest.mark.parametrize(("scope", "status"), [(None, b"401"), ("openid", b"403")], ids=["no token", "no scope"])
async def test_a_request_without_a_sufficient_token_is_refused_before_its_body_is_read(guard, scope, status):
    guarded = await guard(tool_scopes={"read": frozenset({"mcp.decrypt"})})
    head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n"
    if scope is not None:
        head += f"Authorization: Bearer {guarded.issuer.token(scope=scope)}\r\n"
    response = await raw_exchange(guarded.url, f"{head}\r\n{{".encode())
    assert response.split()[1] == status


async def test_headers_are_bounded(guard):
    guarded = await guard(policy=GuardPolicy(max_header_bytes=4096))
    response = await guarded.http.get(guarded.url, headers=guarded.bearer() | {"x-long": "x" * 4096})
    assert response.status_code == 431


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8082", 200),
        ("127.0.0.1", 200),
        ("[::1]:9", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("[::1].evil.example", 421),
        ("localhost@evil.example", 421),
        ("extra.example:80", 200),
        ("docker.example:8082", 200),
        ("docker.example:8083", 421),
        ("docker.example", 421),
        ("", 421),
    ],
)
async def test_only_known_hosts_are_accepted(guard, host, status):
    guarded = await guard(policy=GuardPolicy(allowed_hosts=("extra.example", "Docker.example:8082")))
    assert (await guarded.http.get(guarded.url, headers=guarded.bearer() | {"host": host})).status_code == status


async def test_health_probes_are_accepted_for_every_host(guard):
    guarded = await guard()
    assert (await guarded.http.get(f"{guarded.url}/readyz", headers={"host": "10.0.0.7"})).status_code == 200


async def test_two_host_headers_are_refused(guard):
    guarded = await guard()
    request = "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"
    assert b" 400 " in (await raw_exchange(guarded.url, request.encode())).splitlines()[0]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8082", 200),
        ("http://localhost:6274", 200),
        ("http://127.0.0.1:6274", 200),
        ("https://inspector.example", 200),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("http://[::1].evil.example", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
async def test_only_allowed_origins_are_accepted(guard, origin, status):
    guarded = await guard(policy=GuardPolicy(allowed_origins=("https://inspector.example",)))
    response = await guarded.http.get(guarded.url, headers=guarded.bearer() | {"origin": origin})
    assert response.status_code == status
    assert response.headers.get("access-control-allow-origin") == (origin if status == 200 else None)


async def test_preflight_is_answered_and_the_challenge_is_readable(guard):
    guarded = await guard()
    origin = {"origin": "http://localhost:6274"}
    ask = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,mcp-name"}
    preflight = await guarded.http.options(f"{guarded.url}/mcp", headers=origin | ask)
    assert preflight.status_code == 204
    assert "content-length" not in preflight.headers
    assert preflight.headers["access-control-allow-headers"] == "authorization,mcp-name"
    assert preflight.headers["access-control-allow-origin"] == origin["origin"]
    refused = await guarded.http.post(f"{guarded.url}/mcp", headers=origin)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == origin["origin"]
    assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]
    assert refused.headers["vary"] == "Origin"
    foreign = await guarded.http.options(f"{guarded.url}/mcp", headers=ask | {"origin": "https://evil.example"})
    assert foreign.status_code == 403


async def test_two_origin_headers_are_refused(guard):
    guarded = await guard()
    twice = [("origin", "http://localhost:6274")] * 2 + list(guarded.bearer().items())
    assert (await guarded.http.get(guarded.url, headers=twice)).status_code == 400


async def test_cors_headers_of_the_application_are_kept(guard):
    async def app(scope, receive, send):
        headers = [(b"access-control-allow-origin", b"https://own.example")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    guarded = await guard(app)
    response = await guarded.http.get(guarded.url, headers=guarded.bearer() | {"origin": "http://localhost:6274"})
    assert response.headers.get_list("access-control-allow-origin") == ["https://own.example"]


@pytest.mark.parametrize("place", ["", "/mcp"])
@pytest.mark.parametrize("document", ["oauth-authorization-server", "openid-configuration"])
async def test_other_well_known_documents_are_404_and_not_401(guard, place, document):
    guarded = await guard()
    response = await guarded.http.get(f"{guarded.url}{place}/.well-known/{document}")
    assert response.status_code == 404
    assert "oauth-protected-resource" in response.json()["hint"]


async def test_requests_over_the_limit_of_a_caller_are_refused(guard):
    guarded = await guard(rates=RequestRates(2, clock=lambda: 1_800_000_015.0))
    statuses = [(await guarded.http.get(guarded.url, headers=guarded.bearer(jti=str(n)))).status_code for n in range(3)]
    assert statuses == [200, 200, 429]
    refused = await guarded.http.get(guarded.url, headers=guarded.bearer())
    assert refused.headers["retry-after"] == "45"
    assert (await guarded.http.get(guarded.url, headers=guarded.bearer(sub="u_other"))).status_code == 200


async def test_the_limit_starts_again_in_the_next_minute():
    now = [119.5]
    rates = RequestRates(1, clock=lambda: now[0])
    assert [rates.take("issuer", "u_one") for _ in range(2)] == [None, 1]
    assert rates.take("another issuer", "u_one") is None
    now[0] = 120.0
    assert [rates.take("issuer", "u_one") for _ in range(2)] == [None, 60]


async def test_shared_counts_expire_in_redis(redis):
    rates = RequestRates(5, clock=lambda: 60.0, redis=redis, key_prefix="mcp:rates-that-leave")
    for _ in range(2):
        rates.take("issuer", "u_one")
        await rates.share()
    (key,) = [name async for name in redis.scan_iter("mcp:rates-that-leave:*")]
    assert (await redis.get(key), await redis.pttl(key) > 60_000, await redis.pttl(key) <= 120_000) == (
        b"2",
        True,
        True,
    )


async def test_replicas_share_their_counts(redis):
    here, there = (RequestRates(5, clock=lambda: 60.0, redis=redis) for _ in range(2))
    for _ in range(3):
        assert here.take("issuer", "u_one") is None
        assert there.take("issuer", "u_two") is None
    await here.share()
    assert there.take("issuer", "u_one") is None
    await there.share()
    assert there.take("issuer", "u_one") is None
    assert there.take("issuer", "u_one") == 60
    assert [name async for name in redis.scan_iter("*u_one*")] == []


async def test_counts_below_one_percent_of_the_limit_are_not_shared(redis):
    rates = RequestRates(1000, clock=lambda: 60.0, redis=redis, key_prefix="mcp:rates-of-few")
    for number in range(10):
        assert [name async for name in redis.scan_iter("mcp:rates-of-few:*")] == []
        assert rates.take("issuer", "u_one") is None, number
        await rates.share()
    (key,) = [name async for name in redis.scan_iter("mcp:rates-of-few:*")]
    assert await redis.get(key) == b"10"


async def test_counts_of_many_callers_are_shared(redis):
    here, there = (RequestRates(2, clock=lambda: 60.0, redis=redis, key_prefix="mcp:rates-of-many") for _ in range(2))
    callers = [f"u_{number}" for number in range(201)]
    for caller in callers:
        assert [here.take("issuer", caller), there.take("issuer", caller)] == [None, None]
    for replica in (here, there):
        await replica.share()
    assert {there.take("issuer", caller) for caller in callers} == {60}


@pytest.mark.parametrize(
    ("forwarded", "source"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 127.0.0.9", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("203.0.113.7:50123", "203.0.113.7"),
        ("[2001:db8::1]:50123", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("rubbish", "127.0.0.1"),
        ("127.0.0.9", "127.0.0.1"),
    ],
)
async def test_x_forwarded_for_of_a_trusted_proxy_is_read_from_the_right(guard, forwarded, source):
    guarded = await guard(policy=GuardPolicy(trusted_proxies=[ip_network("127.0.0.0/8")]))
    response = await guarded.http.get(guarded.url, headers=guarded.bearer() | {"x-forwarded-for": forwarded})
    assert response.headers["x-caller"].split()[1] == source


@pytest.mark.parametrize(("trusted", "source"), [([ip_network("127.0.0.0/8")], "203.0.113.7"), ([], "127.0.0.1")])
async def test_an_open_path_gets_the_client_address_behind_a_trusted_proxy(guard, trusted, source):
    async def tell(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["client"][0].encode()})

    guarded = await guard(tell, policy=GuardPolicy(trusted_proxies=trusted))
    response = await guarded.http.get(f"{guarded.url}/livez", headers={"x-forwarded-for": "203.0.113.7"})
    assert response.text == source


async def test_x_forwarded_for_of_other_clients_is_ignored(guard):
    guarded = await guard()
    response = await guarded.http.get(guarded.url, headers=guarded.bearer() | {"x-forwarded-for": "203.0.113.7"})
    assert response.headers["x-caller"].split()[1] == "127.0.0.1"


async def test_refusals_of_one_address_are_bounded_in_the_audit_trail(guard, open_one, settings: SecuritySettings):
    guarded = await guard(journal=await open_one(), clock=lambda: 60.0)
    for _ in range(130):
        assert (await guarded.http.get(guarded.url)).status_code == 401
    lines = (settings.audit_dir / "tests" / "0" / "security_audit.log").read_text("utf-8").splitlines()
    refusals = [json.loads(line)["reason"] for line in lines if "access_refused" in line]
    assert refusals == ["missing_token"] * 119 + ["rest_of_minute_unrecorded"]


def request_from(address: str) -> RequestContext:
    return RequestContext(RequestHeaders([]), address, "0" * 32)


def unrecorded(settings: SecuritySettings) -> int:
    """The number of refusals that the audit trail only counts."""
    journal = settings.audit_dir / "tests" / "0" / "security_audit.log"
    lines = map(json.loads, journal.read_text("utf-8").splitlines())
    counted = [line["reason"] for line in lines if line["action_taken"] == "refused_unrecorded"]
    return sum(int(reason.removesuffix("_more")) for reason in counted)


async def test_unrecorded_refusals_are_counted_in_one_event(guard, open_one, settings: SecuritySettings):
    guarded = await guard(journal=await open_one(), clock=lambda: 59.9)
    for _ in range(130):
        await guarded.http.get(guarded.url)
    async with asyncio.timeout(20):
        while unrecorded(settings) < 10:  # noqa: ASYNC110 - the event is written in the background
            await asyncio.sleep(0.02)
    assert unrecorded(settings) == 10


async def test_an_ipv6_network_has_the_bound_of_one_address(open_one, settings: SecuritySettings):
    audit = RefusalAudit(await open_one(), clock=lambda: 60.0)
    for number in range(130):
        address = f"2001:db8:1:1::{number:x}"
        await audit.record(MissingToken("none"), token=None, request=request_from(address))
    await audit.stop()
    assert unrecorded(settings) == 10


async def test_unrecorded_refusals_are_counted_at_stop(open_one, settings: SecuritySettings):
    audit = RefusalAudit(await open_one(), clock=lambda: 60.0)
    for _ in range(130):
        await audit.record(MissingToken("none"), token=None, request=request_from("192.0.2.1"))
    await audit.stop()
    assert unrecorded(settings) == 10


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (r"cut \ud83d end", r"cut \ufffd end"),
        (r"cut \uDE00", r"cut \ufffd"),
        (r"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00"),
        (r"\ud83d\u0041", r"\ufffd\u0041"),
        (r"whole \uD83D\uDE00", r"whole \uD83D\uDE00"),
        (r"a backslash: \\ud83d", r"a backslash: \\ud83d"),
        (r"both: \\\ud83d", r"both: \\\ufffd"),
        (r"\ud7ff \ue000", r"\ud7ff \ue000"),
    ],
)
async def test_half_of_a_surrogate_pair_reaches_the_tool_as_a_replacement_character(guard, sent, received):
    guarded = await guard(tool_scopes={"read": frozenset({"mcp.decrypt"})})
    body = r'{"id":7,"method":"tools/call","params":{"name":"other","arguments":{"text":"%s"}}}'
    response = await guarded.http.post(f"{guarded.url}/mcp", content=(body % sent).encode(), headers=guarded.bearer())
    assert (response.status_code, response.content) == (200, (body % received).encode())


@pytest.mark.parametrize("path", ["/livez%0a", "/mcp%0a", "/.well-known/x%0a", "/open/%00", "/x%7f"])
async def test_a_path_with_a_control_character_is_not_found_with_and_without_a_token(guard, path):
    guarded = await guard(policy=GuardPolicy(open_prefixes=("/open",)))
    for headers in ({}, guarded.bearer()):
        response = await guarded.http.post(f"{guarded.url}{path}", headers=headers, content=b"{}")
        assert (response.status_code, response.json()["error"]) == (404, "not_found")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "www-authenticate" not in response.headers
