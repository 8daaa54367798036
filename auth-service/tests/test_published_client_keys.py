"""Clients with a `jwks_uri`, as ChatGPT has: keys are fetched, cached, renewed, kept while the host is unavailable."""

import json
import secrets
import time
from collections.abc import Generator
from typing import Any

import httpx2
import pytest
from document_host import Clock, DocumentHost, answer, serve_documents
from joserfc import jws
from joserfc.jwk import ECKey
from running_auth import Service, StartService
from signing_in import CALLBACK, Person, Request, redeem

from auth_service.clients.client_metadata import MAX_KEYS

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time())


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Generator[DocumentHost]:
    with serve_documents(tmp_path_factory.mktemp("host")) as running:
        yield running


@pytest.fixture
def service(start_service: StartService, host: DocumentHost, clock: Clock) -> Service:
    return start_service(parts={"fetcher": host.fetcher(), "clock": clock}, trusted_proxies="127.0.0.1")


class Application:
    """A client with a metadata document and a published key set."""

    def __init__(self, host: DocumentHost, service: Service, clock: Clock, **members: Any) -> None:
        self.host, self.service, self.clock = host, service, clock
        name = secrets.token_hex(4)
        self.keys_path = f"/{name}-keys.json"
        described = {"client_name": "Connector", "redirect_uris": [CALLBACK], "jwks_uri": host.url(self.keys_path)}
        self.client_id = host.publish(f"/{name}.json", {**described, **members})
        self.key = self.publish_new_key()

    def publish_new_key(self) -> ECKey:
        self.key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(4)})
        keys = {"keys": [self.key.as_dict(private=False)]}
        self.host.pages[self.keys_path] = answer(json.dumps(keys).encode(), media_type="application/jwk-set+json")
        return self.key

    def proof(self, key: ECKey | None = None, *, token_id: str | None = None) -> dict[str, str]:
        now, signer = int(self.clock.now), key or self.key
        claims = {"iss": self.client_id, "sub": self.client_id, "aud": self.service.issuer, "iat": now, "exp": now + 60}
        payload = json.dumps(claims | {"jti": token_id or secrets.token_hex(8)})
        signed = jws.serialize_compact({"alg": "ES256", "kid": signer.kid}, payload, signer)
        return {"client_assertion": signed, "client_assertion_type": ASSERTION_TYPE}

    def revoke(self, key: ECKey | None = None) -> int:
        """The status of a request with this proof; each comes from another address."""
        source = {"x-forwarded-for": ".".join(str(byte) for byte in secrets.token_bytes(4))}
        form = {"token": "x", **self.proof(key)}
        return self.service.http.post("/oauth2/revoke", data=form, headers=source).status_code

    @property
    def fetches(self) -> int:
        return self.host.visits.count(self.keys_path)


@pytest.fixture
def application(host: DocumentHost, service: Service, clock: Clock) -> Application:
    return Application(host, service, clock, token_endpoint_auth_method="private_key_jwt")


def code_for(client_id: str, service: Service) -> tuple[Request, str]:
    person, request = Person(f"http://127.0.0.1:{service.settings.port}"), Request(client_id)
    try:
        return request, person.grant(request)["code"]
    finally:
        person.http.close()


def proven(service: Service, request: Request, code: str, **proof: str) -> httpx2.Response:
    return redeem(service.http, request, code, **proof)


def test_a_client_authenticates_with_a_published_key(service: Service, application: Application) -> None:
    request, code = code_for(application.client_id, service)
    assert proven(service, request, code).json()["error"] == "invalid_client", "without a proof"
    assert proven(service, request, code, **application.proof()).status_code == 200


def test_chatgpt_may_authenticate_with_or_without_keys(host: DocumentHost, service: Service, clock: Clock) -> None:
    methods = {"token_endpoint_auth_methods_supported": ["none", "private_key_jwt"]}
    application = Application(host, service, clock, **methods)
    for proof in (application.proof(), {}):
        request, code = code_for(application.client_id, service)
        assert proven(service, request, code, **proof).status_code == 200


def test_a_key_set_is_fetched_once_while_it_is_fresh(application: Application, clock: Clock) -> None:
    assert [application.revoke() for _ in range(3)] == [200] * 3
    assert application.fetches == 1
    clock.now += 301
    assert application.revoke() == 200
    assert application.fetches == 2


def test_a_new_key_is_found_and_unknown_keys_cause_one_fetch_in_half_a_minute(
    application: Application, clock: Clock
) -> None:
    unknown_key = ECKey.generate_key("P-256", {"kid": "unknown_key"})
    assert application.revoke() == 200
    clock.now += 31
    assert [application.revoke(unknown_key) for _ in range(5)] == [401] * 5
    assert application.fetches == 2
    former = application.key
    application.publish_new_key()
    clock.now += 31
    assert (application.revoke(), application.revoke(former)) == (200, 401)
    assert application.fetches == 3


def test_known_keys_stay_in_use_while_their_host_is_unavailable(application: Application, clock: Clock) -> None:
    assert application.revoke() == 200
    application.host.pages[application.keys_path] = answer(b"", status="503 Service Unavailable")
    clock.now += 301
    assert [application.revoke() for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"keys": 7}', b'{"keys": [7]}', b'{"keys": [{}]}', b"[" * 20_000])
def test_an_invalid_key_set_verifies_nothing(application: Application, body: bytes) -> None:
    application.host.pages[application.keys_path] = answer(body)
    assert application.revoke() == 401


def test_a_token_id_that_is_not_a_string_is_refused(application: Application) -> None:
    form = {"token": "x", **application.proof(token_id="\ud800")}
    answer = application.service.http.post("/oauth2/revoke", data=form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_only_the_first_keys_of_a_large_set_are_read(application: Application) -> None:
    """Each key that is imported blocks the event loop."""
    many = [ECKey.generate_key("P-256").as_dict(private=False) for _ in range(MAX_KEYS)]
    own = application.key.as_dict(private=False)
    for keys, status in (([*many[1:], own], 200), ([*many, own], 401)):
        application.host.pages[application.keys_path] = answer(json.dumps({"keys": keys}).encode())
        application.clock.now += 3600
        assert application.revoke() == status
