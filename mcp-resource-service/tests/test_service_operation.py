"""The running service: health, outages, a wrong issuer, shutdown, and the commands."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from local_stack.command_server import run_command
from local_stack.demo_scenario import ServicesApi, mcp_request
from local_stack.loopback_issuer import METADATA_PATH, LoopbackIssuer, http_answer
from local_stack.ports import free_ports
from local_stack.stack import AUTH, MCP, REDIS

METRICS_PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def command(stack, *arguments, stdin=""):
    """Runs `mcp-resource-service` with the settings of a stack."""
    return run_command(MCP, *arguments, environment=stack._mcp_settings(), given=stdin)


def eventually(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_health_reports_every_check(api):
    assert api.get("/livez").json() == {"status": "alive"}
    ready = api.get("/readyz").json()
    assert ready["status"] == "ready"
    assert set(ready["checks"]) == {"process", "keys", "journal", "redis", "redis_identity"}
    assert all(check == {"ok": True, "note": ""} for check in ready["checks"].values())


def test_unknown_paths_require_a_token(api):
    assert api.get("/nowhere").status_code == 401
    assert api.get("/nowhere", api.token).status_code == 404


def test_a_trailing_slash_is_never_redirected(api):
    """/mcp/ is served like /mcp. A redirect would lead to the URL of the Host header, outside the TLS of a proxy."""
    headers, body = mcp_request(api.token, "2026-07-28", "tools/list", {})
    response = api.http.post(f"{api.mcp_url}/mcp/", headers=headers, content=body)
    assert response.status_code == 200
    assert response.json()["result"]["tools"]
    assert api.get("/.well-known/oauth-protected-resource/mcp/").json()["resource"] == f"{api.mcp_url}/mcp"
    assert api.get("/audit/").content == api.get("/audit").content
    for path in ("/hello/", "/mcp//", "/audit//", "/audit/events/"):
        response = api.get(path, api.token)
        assert response.status_code == 404, path
        assert "location" not in response.headers


@pytest.mark.parametrize(
    "path",
    [
        "/favicon.ico",
        "/apple-touch-icon.png",
        "/apple-touch-icon-120x120-precomposed.png",
        "/robots.txt",
        "/sitemap.xml",
        "/.well-known/appspecific/com.chrome.devtools.json",
    ],
)
def test_automatic_requests_of_browsers_are_not_recorded_as_refused(api, stack, path):
    before = refusals_of(stack)
    response = api.http.get(f"{api.mcp_url}{path}")
    assert response.status_code == (200 if path == "/favicon.ico" else 404)
    assert "www-authenticate" not in response.headers
    assert api.http.get(f"{api.mcp_url}/no-such-page").status_code == 401
    assert refusals_of(stack) == before + 1


def test_both_services_have_an_icon(api):
    for url in (api.mcp_url, api.auth_url):
        icon = api.http.get(f"{url}/favicon.ico")
        assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml")
        assert icon.text.startswith("<svg")
        assert "max-age" in icon.headers["cache-control"]


def refusals_of(stack) -> int:
    log = stack.audit_dir / "mcp-resource-service" / "0" / "security_audit.log"
    return sum('"access_refused"' in line for line in log.read_text().splitlines())


def test_without_redis_tokens_are_accepted_and_storing_answers_503(own_stack):
    with httpx2.Client(timeout=20) as http:
        api = ServicesApi(own_stack.auth_url, own_stack.mcp_url, http)
        token = api.token
        own_stack.kill(REDIS)
        assert api.get("/hello", token).status_code == 200
        call = {"name": "store_sensitive_data", "arguments": {"data": "x"}}
        refused = api.post_mcp(token, "2026-07-28", "tools/call", call)
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        assert "temporarily_unavailable" in refused.text
        ready = api.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["checks"]["redis"]["ok"] is False
        own_stack.start_one(REDIS)
        eventually(lambda: api.post_mcp(token, "2026-07-28", "tools/call", call).status_code == 200)


def test_a_wrong_issuer_is_reported_with_the_name_of_the_variable(stack):
    (port,) = free_ports(1)
    settings = stack._mcp_settings() | {
        "MCP_PORT": str(port),
        "MCP_ISSUER": f"http://127.0.0.1:{stack.ports.auth}",
        "SECURITY_AUDIT_DIR": str(stack.state / "wrong-issuer-audit"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "mcp_resource_service.cli", "serve"], env=settings, stderr=subprocess.DEVNULL
    )
    try:
        with httpx2.Client() as http:
            eventually(lambda: "MCP_ISSUER" in keys_note(http, port))
            assert http.get(f"http://localhost:{port}/readyz").status_code == 503
            assert http.get(f"http://localhost:{port}/livez").status_code == 200
    finally:
        process.terminate()
        process.wait()


def test_an_unreachable_trusted_issuer_is_reported_and_does_not_affect_other_issuers(stack, api):
    (port,) = free_ports(1)
    unreachable = {"preset": "auth0", "issuer": "http://localhost:1/", "audience": "api://mcp"}
    settings = stack._mcp_settings() | {
        "MCP_PORT": str(port),
        "MCP_TRUSTED_ISSUERS": json.dumps([unreachable]),
        "SECURITY_AUDIT_DIR": str(stack.state / "trusted-issuer-audit"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "mcp_resource_service.cli", "serve"], env=settings, stderr=subprocess.DEVNULL
    )
    try:
        with httpx2.Client() as http:
            eventually(lambda: "http://localhost:1/" in keys_note(http, port))
            eventually(lambda: is_ok(http, f"http://localhost:{port}/readyz"))
            authorization = {"Authorization": f"Bearer {api.token}"}
            response = http.get(
                f"http://localhost:{port}/hello", headers={"Host": urlsplit(stack.mcp_url).netloc, **authorization}
            )
            assert response.status_code == 200
    finally:
        process.terminate()
        process.wait()


def keys_note(http, port):
    try:
        return http.get(f"http://localhost:{port}/readyz").json()["checks"]["keys"]["note"]
    except httpx2.HTTPError:
        return ""


def test_a_taken_port_is_reported_with_the_name_of_the_variable(stack):
    completed = command(stack, "serve")
    assert completed.returncode == 1
    assert f"error: cannot listen on 127.0.0.1:{stack.ports.mcp}" in completed.stderr
    assert "hint: stop the process that listens there, or set MCP_PORT" in completed.stderr


def test_sigterm_stops_the_service_within_five_seconds(own_stack):
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "mcp_resource_service.cli", "--version"], check=True)
    machine_seconds = time.monotonic() - began  # what a machine that is slow or busy takes longer for
    own_stack.children[MCP]._process.send_signal(signal.SIGTERM)
    own_stack.children[MCP]._process.wait(timeout=5 + machine_seconds)


def test_a_request_in_progress_is_answered_before_the_service_exits(own_stack):
    redis_pid = own_stack.children[REDIS].pid
    service = own_stack.children[MCP]._process
    with httpx2.Client(timeout=20) as http, ThreadPoolExecutor(1) as thread:
        api = ServicesApi(own_stack.auth_url, own_stack.mcp_url, http)
        arguments = api.token, "2026-07-28", "tools/call", {"name": "generate_security_report"}
        os.kill(redis_pid, signal.SIGSTOP)  # the report now waits for Redis
        try:
            response = thread.submit(api.post_mcp, *arguments)
            with pytest.raises(TimeoutError):
                response.result(timeout=0.3)
            service.send_signal(signal.SIGTERM)
            eventually(lambda: is_refused(own_stack.ports.mcp))
            assert service.poll() is None
        finally:
            os.kill(redis_pid, signal.SIGCONT)
        assert "figures" in response.result(timeout=60).text
        service.wait(timeout=60)


def is_refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


def test_imported_people_are_found_by_the_printed_id(stack, api):
    csv = "name,email,phone,department,position\n성춘향,chunhyang@example.com,010-9876-5432,홍보팀,사원\n"
    completed = command(stack, "user", "import", "-", "--json", stdin=csv)
    assert completed.returncode == 0, completed.stderr
    (person_id,) = json.loads(completed.stdout)["imported"]
    again = command(stack, "user", "import", "-", stdin=csv)
    assert again.stdout.split() == [person_id]
    person = api.call("get_user_info", {"person_id": person_id})
    assert (person["email"], person["department"]) == ("c***@example.com", "홍보팀")


def test_an_import_is_recorded_with_its_operator_and_no_personal_data(stack):
    csv = "name,email\n이몽룡,mongryong@example.com\n변학도,hakdo@example.com\n"
    assert command(stack, "user", "import", "-", stdin=csv).returncode == 0
    journals = (stack.audit_dir / "mcp-resource-service").glob("*/security_audit.log")
    lines = [line for journal in journals for line in journal.read_text("utf-8").splitlines()]
    (event,) = (json.loads(line) for line in lines if '"2_people"' in line)
    assert (event["event_type"], event["action_taken"]) == ("operator_change", "people_imported")
    assert event["source_address"].partition("@")[2] == socket.gethostname()
    assert "이몽룡" not in "".join(lines)


def test_an_invalid_import_stores_no_person_and_names_the_line(stack):
    completed = command(stack, "user", "import", "-", stdin="name,email\n성춘향,\n")
    assert completed.returncode == 1
    assert completed.stderr.startswith("error: line 2 has no email")


def test_doctor_reports_no_problem_of_a_healthy_service(stack):
    completed = command(stack, "doctor", "--json")
    assert completed.returncode == 0, completed.stdout
    assert all(result["ok"] for result in json.loads(completed.stdout))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "name,email\n성춘향,c@example.com\n".encode("cp949"),
            "error: the file is not UTF-8\nhint: save it as `CSV UTF-8`",
        ),
        (b'name,email\n"' + b"x" * 200_000, "error: the text after line 1 is not valid CSV\nhint: "),
        (b'{"name": "x"\n', "error: line 1 is not a JSON object"),
    ],
)
def test_an_unreadable_import_file_is_reported_without_a_traceback(stack, tmp_path, content, message):
    (tmp_path / "people").write_bytes(content)
    completed = command(stack, "user", "import", str(tmp_path / "people"))
    assert completed.returncode == 1
    assert completed.stderr.startswith(message)
    assert "Traceback" not in completed.stderr


@pytest.mark.parametrize(
    ("variable", "value", "hint"),
    [
        ("MCP_ISSUER", "http://localhost:9", "MCP_ISSUER"),
        ("MCP_TRUSTED_ISSUERS", '[{"issuer": "http://localhost:9", "audience": "x"}]', "MCP_TRUSTED_ISSUERS"),
        ("MCP_REDIS_URL", "redis://mcp@127.0.0.1:9/0", "MCP_REDIS_URL"),
        ("SECURITY_ENCRYPTION_KEY_FILE", "/nowhere/keyring", "security-common keys generate"),
    ],
)
def test_doctor_names_the_setting_to_correct(stack, variable, value, hint):
    settings = stack._mcp_settings() | {variable: value}
    completed = run_command(MCP, "doctor", environment=settings)
    assert completed.returncode == 1
    lines = iter(completed.stdout.splitlines())
    assert any(line.startswith("FAIL") and hint in next(lines) for line in lines), completed.stdout


@pytest.mark.anyio
@pytest.mark.parametrize(("seconds", "label"), [(0, "ok  "), (-120, "FAIL"), (120, "FAIL")])
async def test_doctor_compares_the_clock_with_each_issuer(stack, seconds, label):
    async def response(_, writer):
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        writer.write(http_answer(json.dumps(issuer.metadata()).encode(), date=date))

    async with LoopbackIssuer(now=time.time) as issuer:
        issuer.answers[METADATA_PATH] = response
        trusted = json.dumps([{"issuer": issuer.url, "audience": "x"}])
        settings = stack._mcp_settings() | {"MCP_TRUSTED_ISSUERS": trusted}
        completed = await asyncio.to_thread(run_command, MCP, "doctor", environment=settings)
        lines = completed.stdout.splitlines()
    (line,) = [line for line in lines if " clock: " in line and issuer.url in line]
    direction = "behind" if seconds > 0 else "ahead of"
    assert re.fullmatch(rf"{label} clock: \d+ s (behind|ahead of) {re.escape(issuer.url)}", line)
    assert direction in line or not seconds
    assert (completed.returncode == 1) is (label == "FAIL")


def test_metrics_are_served_on_a_separate_port(stack):
    port, metrics_port = free_ports(2)
    settings = stack._mcp_settings() | {
        "MCP_PORT": str(port),
        "MCP_METRICS_PORT": str(metrics_port),
        "SECURITY_AUDIT_DIR": str(stack.state / "metrics-audit"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "mcp_resource_service.cli", "serve"], env=settings, stderr=subprocess.DEVNULL
    )
    try:
        with httpx2.Client() as http:
            eventually(lambda: is_ok(http, f"http://localhost:{port}/readyz"))
            http.get(f"http://localhost:{port}/hello")
            text = http.get(f"http://localhost:{metrics_port}/metrics").text
            assert 'mcp_request_duration_seconds_count{path="/hello",status="401"} 1.0' in text
            assert "mcp_journal_writable 1.0" in text
            issuer = f'issuer="{stack.issuer}"'
            assert f'mcp_issuer_keys_refreshes_total{{{issuer},outcome="fetched"}} 1.0' in text
            assert f"mcp_issuer_keys_throttled_total{{{issuer}}} 0.0" in text
            age = re.search(rf"mcp_issuer_keys_age_seconds{{{issuer}}} (\S+)", text)
            assert 0 <= float(age[1]) < 60
            exported = {name.removesuffix("_created") for name in re.findall(r"^# TYPE (mcp_\S+)", text, re.MULTILINE)}
            page = METRICS_PAGE.read_text().replace("<service>", "mcp")
            documented = set(re.findall(r"^\| `(mcp_[a-z_]+)`", page, re.MULTILINE))
            for name in ("process_resident_memory_bytes", "process_open_fds"):
                assert f"# TYPE {name} " in text
            assert {name.removesuffix("_total") for name in exported} == {
                name.removesuffix("_total") for name in documented
            }
            assert http.get(f"http://localhost:{port}/metrics").status_code == 401
    finally:
        process.terminate()
        process.wait()


def is_ok(http, url):
    try:
        return http.get(url).status_code == 200
    except httpx2.HTTPError:
        return False


def test_closing_the_stream_cancels_a_long_call_and_is_recorded(own_stack):
    journal = own_stack.audit_dir / "mcp-resource-service" / "0" / "security_audit.log"
    redis_pid = own_stack.children[REDIS].pid
    with httpx2.Client(timeout=20) as http:
        api = ServicesApi(own_stack.auth_url, own_stack.mcp_url, http)
        token = api.token
        os.kill(redis_pid, signal.SIGSTOP)  # the report now waits for Redis
        try:
            api.http.timeout = httpx2.Timeout(0.5)
            with pytest.raises(httpx2.ReadTimeout):
                api.post_mcp(token, "2026-07-28", "tools/call", {"name": "generate_security_report"})
            eventually(lambda: '"reason":"cancelled"' in journal.read_text())
        finally:
            os.kill(redis_pid, signal.SIGCONT)


def test_calls_with_a_valid_token_succeed_without_the_issuer(own_stack):
    with httpx2.Client(timeout=20) as http, ThreadPoolExecutor(4) as threads:
        api = ServicesApi(own_stack.auth_url, own_stack.mcp_url, http)
        tokens = [api.client.token() for _ in range(4)]
        status = {"name": "get_server_status", "arguments": {}}

        def call_on(*tokens):
            return [
                threads.submit(api.post_mcp, token, "2026-07-28", "tools/call", status)
                for token in tokens
                for _ in range(40)
            ]

        calls = call_on(*tokens[:2])
        calls[20].result()
        own_stack.kill(AUTH)
        calls += call_on(*tokens)  # two of these tokens are new to the service
        assert {call.result().status_code for call in calls} == {200}
        assert api.get("/readyz").status_code == 200
        call = {"name": "create_test_token", "arguments": {}}
        result = api.post_mcp(tokens[0], "2026-07-28", "tools/call", call).json()["result"]
        assert result["isError"]
        assert result["content"][0]["text"].startswith("issuer_unreachable: ")
