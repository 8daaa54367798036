"""Failures and changes of an issuer: in each of twelve situations, valid tokens must still be accepted."""

import asyncio
import gzip
import hmac
import json
import math

import pytest

from local_stack.loopback_issuer import LoopbackIssuer, compact, http_answer, signing_key
from local_stack.wrong_answers import WRONG_ANSWERS, always, dripping, hanging, reset
from security_common.tokens import KeysUnavailable, TokenRejected, TrustedIssuer

pytestmark = pytest.mark.anyio
KEYS, METADATA = "/keys", "/.well-known/oauth-authorization-server"
HOUR = 3600.0


async def test_1_keys_are_loaded_when_an_issuer_that_was_down_at_start_is_up(issuer, verifier, clock):
    await issuer.stop()
    await verifier.start()
    await clock.asleep()
    assert not verifier.ready
    with pytest.raises(KeysUnavailable) as unavailable:
        await verifier.verify(issuer.token())
    assert unavailable.value.retry_after_seconds > 0
    with pytest.raises(TokenRejected):
        await verifier.verify("no.token.this")
    await issuer.start()
    await clock.advance(30)
    assert verifier.ready
    assert verifier.problem == ""
    await verifier.verify(issuer.token())


async def test_2_and_item_154_known_keys_stay_in_use_during_an_outage_of_a_day(issuer, verifier, clock):
    await verifier.verify(issuer.token())
    await issuer.stop()
    await verifier.start()
    await clock.asleep()
    for _ in range(23):
        await clock.advance(HOUR)
        await verifier.verify(issuer.token(jti=str(clock())))
    assert verifier.ready
    assert "MCP_ISSUER" in verifier.problem
    with pytest.raises(KeysUnavailable):
        await verifier.verify(issuer.token(header={"kid": "new"}))
    remembered = issuer.token(exp=clock() + 10 * HOUR)
    await verifier.verify(remembered)
    await clock.advance(HOUR)
    assert not verifier.ready
    with pytest.raises(KeysUnavailable):
        await verifier.verify(remembered)


async def test_3_and_item_155_many_unknown_keys_cause_two_fetches(issuer, verifier):
    await verifier.verify(issuer.token())
    at_once = asyncio.Semaphore(32)

    async def verify_one(number: int) -> str:
        async with at_once:
            with pytest.raises(TokenRejected) as rejected:
                await verifier.verify(issuer.token(header={"kid": f"unknown-{number}"}))
            return rejected.value.reason

    assert set(await asyncio.gather(*map(verify_one, range(400)))) == {"unknown_key"}
    assert issuer.requests[KEYS] <= 1 + 2
    await verifier.verify(issuer.token(jti="another"))


async def test_3_an_unknown_key_is_not_fetched_again_for_a_minute(issuer, verifier, clock):
    for seconds, fetches in ((0, 1), (31, 1), (30, 2)):
        clock.now += seconds
        with pytest.raises(TokenRejected):
            await verifier.verify(issuer.token(header={"kid": "unknown"}))
        assert issuer.requests[KEYS] == fetches


async def test_4_an_invalid_signature_causes_no_fetch(issuer, verifier):
    await verifier.verify(issuer.token())
    asked = issuer.requests.total()
    with pytest.raises(TokenRejected) as rejected:
        await verifier.verify(issuer.token(key="evil", header={"kid": "first"}))
    assert rejected.value.reason == "bad_signature"
    assert issuer.requests.total() == asked


async def test_5_a_new_key_is_accepted_at_once(issuer, verifier):
    await verifier.verify(issuer.token())
    issuer.keys["second"] = signing_key("second")
    await verifier.verify(issuer.token(key="second"))


async def test_5_many_unknown_keys_delay_a_new_key_by_at_most_half_a_minute(issuer, verifier, clock):
    for number in range(3):
        with pytest.raises(TokenRejected):
            await verifier.verify(issuer.token(header={"kid": f"unknown-{number}"}))
    issuer.keys["second"] = signing_key("second")
    with pytest.raises(TokenRejected):
        await verifier.verify(issuer.token(key="second"))
    clock.now += 30
    await verifier.verify(issuer.token(key="second"))


@pytest.mark.parametrize("answer", [hanging, dripping])
async def test_6_a_slow_issuer_does_not_delay_tokens_with_a_known_key(issuer, make_verifier, answer):
    verifier = make_verifier(fetch_deadline_seconds=1.0)
    await verifier.verify(issuer.token())
    issuer.answers[KEYS] = answer
    unknown_key_request = asyncio.create_task(verifier.verify(issuer.token(header={"kid": "unknown"})))
    await issuer.wait_for_requests(KEYS, 2)
    await verifier.verify(issuer.token(jti="meanwhile"))
    assert not unknown_key_request.done()
    with pytest.raises(KeysUnavailable):
        async with asyncio.timeout(60):
            await unknown_key_request


@pytest.mark.parametrize("name", WRONG_ANSWERS)
async def test_7_an_invalid_key_set_does_not_replace_the_known_keys(issuer, make_verifier, clock, name):
    verifier = make_verifier(fetch_deadline_seconds=0.3)
    await verifier.start()
    await clock.asleep()
    issuer.answers[KEYS] = WRONG_ANSWERS[name]
    await clock.advance(300)
    assert verifier.problem
    assert verifier.ready
    await verifier.verify(issuer.token())
    del issuer.answers[KEYS]
    await clock.advance(30)
    assert verifier.problem == ""


@pytest.mark.parametrize("name", [name for name in WRONG_ANSWERS if name != "drip"])
async def test_7_invalid_metadata_does_not_replace_the_known_keys(issuer, verifier, clock, name):
    await verifier.start()
    await clock.asleep()
    issuer.answers |= {KEYS: reset, METADATA: WRONG_ANSWERS[name]}
    await clock.advance(300)
    await clock.advance(30)
    assert verifier.problem
    await verifier.verify(issuer.token())
    issuer.answers.clear()
    await clock.advance(30)
    assert verifier.problem == ""


@pytest.mark.parametrize("uri", ["http://[", "", 7, None, "//elsewhere", "file:///etc/passwd", "http://\ud800"])
async def test_7_an_invalid_jwks_uri_does_not_replace_the_known_keys(issuer, verifier, clock, uri):
    await verifier.start()
    await clock.asleep()
    document = json.dumps(issuer.metadata() | {"jwks_uri": uri}).encode()
    issuer.answers |= {KEYS: reset, METADATA: always(http_answer(document))}
    await clock.advance(300)
    await clock.advance(30)
    assert verifier.problem
    await verifier.verify(issuer.token())


async def test_7_a_compressed_key_set_is_not_decompressed(issuer, verifier, clock):
    await verifier.start()
    await clock.asleep()
    bomb = gzip.compress(b" " * 200_000_000, compresslevel=1)
    issuer.answers[KEYS] = always(http_answer(bomb[:60_000], content_encoding="gzip"))
    await clock.advance(300)
    assert "compressed" in verifier.problem
    await verifier.verify(issuer.token())


async def test_8_unusable_keys_are_ignored(issuer, verifier):
    usable = signing_key("first").as_dict(private=False, kid="first")
    odd = [
        {"kty": "oct", "kid": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"},
        usable | {"kid": "enc", "use": "enc"},
        usable | {"kid": "rs512", "alg": "RS512"},
        usable | {"kid": "broken", "n": "!!!"},
        usable | {"kid": "short", "n": "AQAB"},
        usable | {"kid": "number", "n": 5},
        usable | {"kid": "signs-only", "key_ops": ["sign"]},
        usable | {"kid": 7},
        {"kty": "new", "kid": "new"},
        {},
    ]
    body = json.dumps({"keys": [*odd, usable]}).encode()
    issuer.answers[KEYS] = always(http_answer(body))
    await verifier.verify(issuer.token())
    for jwk in odd:
        with pytest.raises(TokenRejected):
            await verifier.verify(issuer.token(header={"kid": jwk.get("kid")}))
    header = json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": "oct"}).encode()
    by_its_secret = compact(
        header,
        json.dumps(issuer.claims()).encode(),
        lambda signed: hmac.digest(b"secret-secret-secret-secret", signed, "sha256"),
    )
    with pytest.raises(TokenRejected) as rejected:
        await verifier.verify(by_its_secret)
    assert rejected.value.reason == "wrong_algorithm"


async def test_9_many_first_requests_at_once_cause_one_fetch(issuer, verifier):
    released = asyncio.Event()

    async def held(_headers, writer):
        await released.wait()
        writer.write(http_answer(json.dumps(issuer.jwks()).encode()))

    issuer.answers[KEYS] = held
    herd = [asyncio.create_task(verifier.verify(issuer.token(jti=str(number)))) for number in range(60)]
    await issuer.wait_for_requests(KEYS)
    released.set()
    assert len(await asyncio.gather(*herd)) == 60
    assert issuer.requests[KEYS] == 1


@pytest.mark.parametrize(("ahead", "verdict"), [(5, None), (600, "not_yet_valid")])
async def test_10_clocks_may_differ_by_seconds_but_not_by_minutes(issuer, verifier, clock, ahead, verdict):
    token = issuer.token(iat=int(clock()) + ahead, nbf=int(clock()) + ahead)
    if verdict is None:
        await verifier.verify(token)
        return
    with pytest.raises(TokenRejected) as rejected:
        await verifier.verify(token)
    assert rejected.value.reason == verdict


async def test_11_cached_tokens_of_a_removed_key_are_dropped(issuer, verifier, clock):
    issuer.keys["second"] = signing_key("second")
    await verifier.start()
    await clock.asleep()
    leaving, staying = issuer.token(key="second"), issuer.token()
    await verifier.verify(leaving)
    remembered = await verifier.verify(staying)
    del issuer.keys["second"]
    await clock.advance(300)
    with pytest.raises(TokenRejected):
        await verifier.verify(leaving)
    assert await verifier.verify(staying) is remembered


async def test_11_cached_tokens_of_a_key_that_was_replaced_under_its_id_are_dropped(issuer, verifier, clock):
    await verifier.start()
    await clock.asleep()
    token = issuer.token()
    await verifier.verify(token)
    issuer.keys["first"] = signing_key("other")
    await clock.advance(300)
    with pytest.raises(TokenRejected) as rejected:
        await verifier.verify(token)
    assert rejected.value.reason == "bad_signature"


async def test_12_stopping_does_not_wait_for_the_issuer(issuer, make_verifier):
    verifier = make_verifier(fetch_deadline_seconds=3600)
    issuer.answers[METADATA] = hanging
    await verifier.start()
    await issuer.wait_for_requests(METADATA)
    async with asyncio.timeout(60):
        await verifier.stop()


async def test_keys_are_fetched_ahead_of_expiry_without_a_request(issuer, verifier, clock):
    issuer.cache_control = "public, max-age=200"
    await verifier.start()
    await clock.asleep()
    await clock.advance(143)
    assert issuer.requests[KEYS] == 1
    await clock.advance(2)
    assert issuer.requests[KEYS] == 2


@pytest.mark.parametrize(("max_age", "waits"), [("0", 7), ("999999", 216), ("x", 216)])
async def test_the_cache_lifetime_of_the_issuer_is_used_within_bounds(issuer, verifier, clock, max_age, waits):
    issuer.cache_control = f"max-age={max_age}"
    await verifier.start()
    await clock.asleep()
    await clock.advance(waits - 1)
    assert issuer.requests[KEYS] == 1
    await clock.advance(2)
    assert issuer.requests[KEYS] == 2


async def test_an_unchanged_key_set_is_not_transferred_again(issuer, verifier, clock):
    asked = []

    async def with_etag(headers, writer):
        asked.append(headers.get("if-none-match"))
        if headers.get("if-none-match") == '"v1"':
            writer.write(http_answer(b"", status="304 Not Modified"))
        else:
            writer.write(http_answer(json.dumps(issuer.jwks()).encode(), etag='"v1"'))

    issuer.answers[KEYS] = with_etag
    await verifier.start()
    await clock.asleep()
    await clock.advance(300)
    assert asked == [None, '"v1"']
    assert verifier.problem == ""
    await verifier.verify(issuer.token())


async def test_refreshes_and_throttled_requests_are_counted(issuer, verifier, clock):
    (keys,) = verifier.keys
    assert math.isnan(keys.age_seconds)
    await verifier.start()
    await clock.asleep()
    for number in range(4):
        with pytest.raises(TokenRejected):
            await verifier.verify(issuer.token(header={"kid": f"unknown-{number}"}))
    assert (keys.refreshes["fetched"], keys.throttled) == (3, 2)
    issuer.answers[KEYS] = reset
    await clock.advance(300)
    assert (keys.refreshes["failed"], keys.age_seconds) == (1, 300)


async def test_the_internal_url_replaces_the_public_one(issuer, make_verifier):
    public = "http://localhost:1"
    issuer.answers[METADATA] = always(
        http_answer(json.dumps({"issuer": public, "jwks_uri": f"{public}{KEYS}"}).encode())
    )
    verifier = make_verifier(TrustedIssuer(public, issuer.audience, internal_url=issuer.url))
    await verifier.verify(issuer.token(iss=public))


async def test_keys_on_another_host_without_https_are_not_fetched(issuer, verifier):
    elsewhere = issuer.metadata() | {"jwks_uri": "http://localhost:1/keys"}
    issuer.answers[METADATA] = always(http_answer(json.dumps(elsewhere).encode()))
    with pytest.raises(KeysUnavailable):
        await verifier.verify(issuer.token())
    assert "https" in verifier.problem


async def test_the_metadata_of_an_issuer_with_a_path_is_found_as_keycloak_serves_it(issuer, make_verifier):
    realm = f"{issuer.url}/realms/one"
    document = issuer.metadata() | {"issuer": realm}
    issuer.answers["/realms/one/.well-known/openid-configuration"] = always(http_answer(json.dumps(document).encode()))
    verifier = make_verifier(TrustedIssuer(realm, issuer.audience, token_types=("JWT",)))
    await verifier.verify(issuer.token(iss=realm, header={"typ": "JWT"}))


async def test_metadata_of_another_issuer_at_the_first_url_is_ignored(issuer, make_verifier):
    realm = f"{issuer.url}/realms/one"
    document = issuer.metadata() | {"issuer": realm}
    other = always(http_answer(json.dumps(issuer.metadata()).encode()))
    issuer.answers |= {f"{METADATA}/realms/one": other, "/.well-known/openid-configuration/realms/one": other}
    verifier = make_verifier(TrustedIssuer(realm, issuer.audience))
    with pytest.raises(KeysUnavailable):
        await verifier.verify(issuer.token(iss=realm))
    assert f"names the issuer '{issuer.url}', not '{realm}'" in verifier.problem
    issuer.answers["/realms/one/.well-known/openid-configuration"] = always(http_answer(json.dumps(document).encode()))
    await verifier.verify(issuer.token(iss=realm))


@pytest.mark.parametrize("path", ["/", "/tenant/", "/tenant/v2.0"])
async def test_the_slash_at_the_end_of_an_issuer_is_not_doubled_in_its_metadata_url(clock, http, make_verifier, path):
    async with LoopbackIssuer(path=path, now=clock) as issuer:
        verifier = make_verifier(TrustedIssuer(issuer.issuer, issuer.audience))
        await verifier.verify(issuer.token())
        assert all("//" not in asked for asked in issuer.requests)
        for other in (issuer.issuer.removesuffix("/"), f"{issuer.issuer}/"):
            if other != issuer.issuer:
                with pytest.raises(TokenRejected) as rejected:
                    await verifier.verify(issuer.token(iss=other))
                assert rejected.value.reason == "unknown_issuer"


async def test_an_issuer_that_differs_by_a_slash_gets_a_hint(issuer, verifier):
    with pytest.raises(TokenRejected) as rejected:
        await verifier.verify(issuer.token(iss=f"{issuer.url}/"))
    assert "slash" in rejected.value.hint


@pytest.mark.parametrize("internal_path", ["", "/"])
async def test_the_internal_url_of_an_issuer_with_a_slash_is_used(issuer, make_verifier, internal_path):
    public = "https://tenant.eu.auth0.example/"
    document = {"issuer": public, "jwks_uri": f"{public}keys"}
    issuer.answers[METADATA] = always(http_answer(json.dumps(document).encode()))
    trusted = TrustedIssuer(public, issuer.audience, internal_url=issuer.url + internal_path)
    await make_verifier(trusted).verify(issuer.token(iss=public))
    assert issuer.requests[KEYS] == 1


async def test_keys_are_refreshed_when_the_clock_was_set_back(issuer, verifier, clock):
    await verifier.verify(issuer.token())
    clock.now -= 24 * HOUR
    issuer.keys["second"] = signing_key("second")
    await verifier.verify(issuer.token(key="second"))


async def test_without_start_keys_are_refreshed_by_requests(issuer, verifier, clock):
    token = issuer.token()
    await verifier.verify(token)
    clock.now += 300
    await verifier.verify(token)
    await issuer.wait_for_requests(KEYS, 2)
