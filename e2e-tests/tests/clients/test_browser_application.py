"""An application without a server of its own, in Chromium, as the Inspector's web client is: it knows where the MCP
server is, and all it asks from the first refusal on crosses origins.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

pytestmark = pytest.mark.clients

CLIENTS = Path(__file__).resolve().parents[2] / "clients"
FILES = {
    "/oauth4webapi.js": ("text/javascript", CLIENTS / "node_modules/oauth4webapi/build/index.js"),
    "/": ("text/html", CLIENTS / "browser_application.html"),
    "/callback": ("text/html", CLIENTS / "browser_application.html"),
}

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "page", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind, path = FILES.get(self.path.partition("?")[0], ("text/plain", None))
        self.send_response(200 if path else 404)
        self.send_header("content-type", kind)
        self.end_headers()
        self.wfile.write(path.read_bytes() if path else b"")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def application():
    """Its URL: a different origin and a different site than those of issuer and resource."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def use(address, account, context):
    """The report of the application after a user has signed in and allowed it."""
    page = context.new_page()
    page.goto(address)
    page.fill("#username", account[0])
    page.fill("#password", account[1])
    page.click("button[value=sign_in]")
    page.click("button[value=allow]")
    return page.wait_for_function("window.found").json_value()


def test_an_application_in_the_browser(services, person, application):
    params = {"name": "test_pii_detection", "arguments": {"text": "hong@example.com"}, "_meta": META}
    given = {
        "application": None if services.is_demo else {"client_id": services.desktop},
        "mcp": f"{services.mcp_url}/mcp",
        "call": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
    }
    address = f"{application}/#{quote(json.dumps(given))}"
    found = person.chromium.do(use, address, services.account, person.context).result()
    assert found.get("scope") == "offline_access mcp.access", found
    assert "h***@example.com" in found["result"]["structuredContent"]["masked_text"]
