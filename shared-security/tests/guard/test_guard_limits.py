"""Sizes, times, rates, browsers and proxies: what reaches the application at all."""

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
    """Sends bytes that no client library would, and reads until the server has answered or hung up."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return answer


async def test_a_body_over_the_limit_is_refused_as_announced_and_as_counted(guard):
    guarded = await guard(policy=GuardPolicy(max_body_bytes=1000))
    headers = guarded.bearer()

    async def chunks():
        for _ in range(11):
            yield b"x" * 100

    announced = await guarded.http.post(guarded.url, content=b"x" * 1001, headers=headers)
    counted = await guarded.http.post(guarded.url, content=chunks(), headers=headers)
    fits = await guarded.http.post(guarded.url, content=b"x" * 1000, headers=headers)
    assert [answer.status_code for answer in (announced, counted, fits)] == [413, 413, 200]


async def test_an_announced_size_is_judged_before_anything_of_the_body_is_there(guard):
    guarded = await guard(policy=GuardPolicy(max_body_bytes=1000, body_deadline_seconds=5))
    for length in ("1001", "9" * 40):
        head = f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nAuthorization: Bearer "
        answer = await raw_exchange(guarded.url, f"{head}{guarded.issuer.token()}\r\n\r\n".encode())
        # The HTTP server itself has no name for a number of forty digits.
        assert answer.splitlines()[0].split()[1] == (b"413" if length == "1001" else b"400")


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "POST"])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_is_bounded_whatever_the_method(guard, method, announced):
    async def chunks(count: int):
        for _ in range(count):
            yield b"x" * 100

    guarded = await guard(policy=GuardPolicy(max_body_bytes=1000))
    for count, status in ((10, 200), (11, 413)):
        content = b"x" * 100 * count if announced else chunks(count)
        answer = await guarded.http.request(method, guarded.url, content=content, headers=guarded.bearer())
        assert answer.status_code == status
        assert status == 413 or answer.content == b"x" * 1000


async def test_an_open_path_has_the_limit_too(guard):
    guarded = await guard(policy=GuardPolicy(max_body_bytes=10))
    assert (await guarded.http.post(f"{guarded.url}/livez", content=b"x" * 11)).status_code == 413
    assert (await guarded.http.post(f"{guarded.url}/livez", content=b"x" * 10)).status_code == 200


async def test_spaces_around_a_header_are_no_part_of_it(guard):
    """RFC 9110 section 5.5; not every server that runs the application takes them away."""

    async def tell(scope, receive, send):
        headers = [(b"x-came", b"<" + dict(scope["headers"])[b"mcp-name"] + b">")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    guarded = await guard(tell)
    head = f"GET / HTTP/1.1\r\nHost: localhost \r\nMcp-Name:  a b\t \r\nAuthorization: Bearer {guarded.issuer.token()}"
    assert b"x-came: <a b>" in (await raw_exchange(guarded.url, f"{head} \r\n\r\n".encode())).splitlines()


async def test_a_body_that_drips_is_refused_in_time(guard):
    guarded = await guard(policy=GuardPolicy(body_deadline_seconds=0.05))
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nAuthorization: Bearer {guarded.issuer.token()}"
    )
    answer = await raw_exchange(guarded.url, f"{head}\r\n\r\n{{".encode())
    assert b" 408 " in answer.splitlines()[0]


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
    answer = await guarded.http.get(guarded.url, headers=guarded.bearer() | {"x-long": "x" * 4096})
    assert answer.status_code == 431


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
async def test_the_host_must_be_ours(guard, host, status):
    guarded = await guard(policy=GuardPolicy(allowed_hosts=("extra.example", "Docker.example:8082")))
    assert (await guarded.http.get(guarded.url, headers=guarded.bearer() | {"host": host})).status_code == status


async def test_probes_may_come_by_any_host(guard):
    guarded = await guard()
    assert (await guarded.http.get(f"{guarded.url}/readyz", headers={"host": "10.0.0.7"})).status_code == 200


async def test_two_hosts_are_no_host(guard):
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
async def test_a_page_may_call_from_an_allowed_origin(guard, origin, status):
    guarded = await guard(policy=GuardPolicy(allowed_origins=("https://inspector.example",)))
    answer = await guarded.http.get(guarded.url, headers=guarded.bearer() | {"origin": origin})
    assert answer.status_code == status
    assert answer.headers.get("access-control-allow-origin") == (origin if status == 200 else None)


async def test_a_page_can_ask_first_and_read_the_challenge(guard):
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


async def test_two_origins_are_no_origin(guard):
    guarded = await guard()
    twice = [("origin", "http://localhost:6274")] * 2 + list(guarded.bearer().items())
    assert (await guarded.http.get(guarded.url, headers=twice)).status_code == 400


async def test_an_application_with_cors_of_its_own_keeps_it(guard):
    async def app(scope, receive, send):
        headers = [(b"access-control-allow-origin", b"https://own.example")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    guarded = await guard(app)
    answer = await guarded.http.get(guarded.url, headers=guarded.bearer() | {"origin": "http://localhost:6274"})
    assert answer.headers.get_list("access-control-allow-origin") == ["https://own.example"]


@pytest.mark.parametrize("place", ["", "/mcp"])
@pytest.mark.parametrize("document", ["oauth-authorization-server", "openid-configuration"])
async def test_other_well_known_documents_are_absent_and_not_forbidden(guard, place, document):
    guarded = await guard()
    answer = await guarded.http.get(f"{guarded.url}{place}/.well-known/{document}")
    assert answer.status_code == 404
    assert "oauth-protected-resource" in answer.json()["hint"]


async def test_a_caller_has_a_share_of_the_minute(guard):
    guarded = await guard(rates=RequestRates(2, clock=lambda: 1_800_000_015.0))
    statuses = [(await guarded.http.get(guarded.url, headers=guarded.bearer(jti=str(n)))).status_code for n in range(3)]
    assert statuses == [200, 200, 429]
    refused = await guarded.http.get(guarded.url, headers=guarded.bearer())
    assert refused.headers["retry-after"] == "45"
    assert (await guarded.http.get(guarded.url, headers=guarded.bearer(sub="u_other"))).status_code == 200


async def test_the_next_minute_is_a_new_share():
    now = [119.5]
    rates = RequestRates(1, clock=lambda: now[0])
    assert [rates.take("issuer", "u_one") for _ in range(2)] == [None, 1]
    assert rates.take("another issuer", "u_one") is None
    now[0] = 120.0
    assert [rates.take("issuer", "u_one") for _ in range(2)] == [None, 60]


async def test_counts_leave_redis_when_their_minute_is_over(redis):
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


async def test_replicas_share_the_count_and_count_alone_without_redis(redis):
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


async def test_a_minute_of_many_callers_is_shared_whole(redis):
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
async def test_a_declared_proxy_is_believed_from_the_right(guard, forwarded, source):
    guarded = await guard(policy=GuardPolicy(trusted_proxies=[ip_network("127.0.0.0/8")]))
    answer = await guarded.http.get(guarded.url, headers=guarded.bearer() | {"x-forwarded-for": forwarded})
    assert answer.headers["x-caller"].split()[1] == source


@pytest.mark.parametrize(("trusted", "source"), [([ip_network("127.0.0.0/8")], "203.0.113.7"), ([], "127.0.0.1")])
async def test_an_application_on_an_open_path_sees_who_asks_too(guard, trusted, source):
    async def tell(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["client"][0].encode()})

    guarded = await guard(tell, policy=GuardPolicy(trusted_proxies=trusted))
    answer = await guarded.http.get(f"{guarded.url}/livez", headers={"x-forwarded-for": "203.0.113.7"})
    assert answer.text == source


async def test_nobody_else_is_believed(guard):
    guarded = await guard()
    answer = await guarded.http.get(guarded.url, headers=guarded.bearer() | {"x-forwarded-for": "203.0.113.7"})
    assert answer.headers["x-caller"].split()[1] == "127.0.0.1"


async def test_strangers_cannot_fill_the_trail(guard, open_one, settings: SecuritySettings):
    guarded = await guard(journal=await open_one(), clock=lambda: 60.0)
    for _ in range(130):
        assert (await guarded.http.get(guarded.url)).status_code == 401
    lines = (settings.audit_dir / "tests" / "0" / "security_audit.log").read_text("utf-8").splitlines()
    refusals = [json.loads(line)["reason"] for line in lines if "access_refused" in line]
    assert refusals == ["missing_token"] * 119 + ["rest_of_minute_unrecorded"]


def request_from(address: str) -> RequestContext:
    return RequestContext(RequestHeaders([]), address, "0" * 32)


def unrecorded(settings: SecuritySettings) -> int:
    """How many refusals the trail says that it does not have."""
    journal = settings.audit_dir / "tests" / "0" / "security_audit.log"
    lines = map(json.loads, journal.read_text("utf-8").splitlines())
    told = [line["reason"] for line in lines if line["action_taken"] == "refused_unrecorded"]
    return sum(int(reason.removesuffix("_more")) for reason in told)


async def test_what_is_not_recorded_one_by_one_is_counted_on_record(guard, open_one, settings: SecuritySettings):
    guarded = await guard(journal=await open_one(), clock=lambda: 59.9)
    for _ in range(130):
        await guarded.http.get(guarded.url)
    async with asyncio.timeout(20):
        while unrecorded(settings) < 10:  # noqa: ASYNC110 - the guard tells by itself
            await asyncio.sleep(0.02)
    assert unrecorded(settings) == 10


async def test_an_ipv6_network_has_the_bound_of_one_machine(open_one, settings: SecuritySettings):
    audit = RefusalAudit(await open_one(), clock=lambda: 60.0)
    for number in range(130):
        address = f"2001:db8:1:1::{number:x}"
        await audit.record(MissingToken("none"), token=None, request=request_from(address))
    await audit.stop()
    assert unrecorded(settings) == 10


async def test_a_stop_does_not_lose_the_count(open_one, settings: SecuritySettings):
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
