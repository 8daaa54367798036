"""What users see of clients with a metadata document: its host and the redirect URI."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from running_auth import Service, StartService
from signing_in import Page, Person, Request, redeem

DOCUMENTS = Path(__file__).parent / "client_documents"


@pytest.fixture(scope="module")
def pinned(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    config = tmp_path_factory.mktemp("declaration") / "auth.yaml"
    config.write_text(f"registration: {{pinned_directory: {DOCUMENTS}}}\n")
    return start_service(config=config)


@pytest.fixture
def person(pinned: Service) -> Iterator[Person]:
    person = Person(f"http://127.0.0.1:{pinned.settings.port}")
    yield person
    person.http.close()


def read(document: str) -> dict[str, str]:
    return json.loads((DOCUMENTS / f"{document}.json").read_text())


def consent_page(person: Person, document: str, redirect_uri: str) -> httpx2.Response:
    request = Request(read(document)["client_id"], {"redirect_uri": redirect_uri, "prompt": "consent"})
    page = person.sign_in(person.open(request.path))
    assert Page(page.text).action == "/oauth2/consent"
    return page


@pytest.mark.parametrize(
    ("document", "redirect_uri", "host", "place", "warns"),
    [
        ("claude-code", "http://localhost:41234/callback", "claude.ai", "localhost:41234", True),
        ("claude", "https://claude.ai/api/mcp/auth_callback", "claude.ai", "claude.ai", False),
        ("vscode", "https://vscode.dev/redirect", "vscode.dev", "vscode.dev", False),
    ],
)
def test_the_consent_page_shows_the_host_of_the_document_and_of_the_redirect_uri(
    person: Person, document: str, redirect_uri: str, host: str, place: str, warns: bool
) -> None:
    page = consent_page(person, document, redirect_uri)
    text = Page(page.text).text
    assert f"<strong>{host}</strong>" in page.text
    assert f"<strong>{place}</strong>" in page.text
    assert ("another program there could pretend to be it" in text) == warns
    assert "has not been verified" not in text


def test_item_110_pages_load_nothing_from_other_hosts(person: Person) -> None:
    """The document has a logo on another host: the page does not show it, and its policy would not allow it."""
    assert "logo_uri" in read("vscode")
    page = consent_page(person, "vscode", "https://vscode.dev/redirect")
    assert re.findall("<img[^>]*>", page.text) == ['<img class="mark" src="/favicon.ico" alt="">']
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "; img-src 'self';" in policy, "nothing but the service's own icon"


def test_item_131_a_code_is_valid_for_the_redirect_uri_of_its_request(
    pinned: Service, person: Person, start_service: StartService, tmp_path: Path
) -> None:
    """Even if the document changes between the authorization request and the token request."""
    request = Request(read("vscode")["client_id"], {"redirect_uri": "https://vscode.dev/redirect"})
    codes = [person.grant(request)["code"] for _ in range(2)]
    changed = {**read("vscode"), "redirect_uris": ["https://insiders.vscode.dev/redirect"]}
    (tmp_path / "vscode.json").write_text(json.dumps(changed))
    (tmp_path / "auth.yaml").write_text(f"registration: {{pinned_directory: {tmp_path}}}\n")
    later = start_service(config=tmp_path / "auth.yaml", issuer=pinned.issuer)
    refused = redeem(later.http, request, codes[0], redirect_uri="https://insiders.vscode.dev/redirect")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert redeem(later.http, request, codes[1]).status_code == 200
