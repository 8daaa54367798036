"""A changed gateway.yaml or gateway.lock is applied while the gateway runs."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from upstream_servers import TEXT_RESULT, RawUpstream, json_response

from gateway_service.catalogue.definition_changes import approve
from gateway_service.catalogue.definitions import DefinitionKind
from gateway_service.catalogue.lock_file import ApprovedUpstream, Lock, write_lock

pytestmark = pytest.mark.anyio

FIND: dict[str, Any] = {"name": "find", "description": "Find a customer.", "inputSchema": {"type": "object"}}
CHANGED: dict[str, Any] = {**FIND, "inputSchema": {"type": "object", "required": ["id"]}}
SEND: dict[str, Any] = {"name": "send", "description": "Send a message.", "inputSchema": {"type": "object"}}

Start = Callable[..., Awaitable[Any]]


class SlowUpstream(RawUpstream):
    """An upstream whose calls wait until the test allows their answers."""

    def __init__(self, tools: list[Any]) -> None:
        super().__init__(self._answer_later, tools)
        self.may_answer = asyncio.Event()

    async def _answer_later(self, request: Any, writer: asyncio.StreamWriter) -> None:
        await self.may_answer.wait()
        writer.write(json_response(request, TEXT_RESULT))


@pytest.fixture
async def upstream() -> AsyncIterator[SlowUpstream]:
    async with SlowUpstream([FIND, SEND]) as running:
        running.may_answer.set()
        yield running


def declare(folder: Path, upstreams: dict[str, Any]) -> None:
    (folder / "gateway.yaml").write_text(yaml.safe_dump({"upstreams": upstreams}))


def pin(folder: Path, *definitions: dict[str, Any]) -> None:
    tools = {each["name"]: approve(DefinitionKind.TOOL, each) for each in definitions}
    approved = ApprovedUpstream(definitions={DefinitionKind.TOOL: tools})
    write_lock(folder / "gateway.lock", Lock().with_upstream("crm", approved))


async def wait_for_reload(gateway: Any, count: int = 1) -> list[str]:
    """The reasons of the events, once the files were applied that many times after the start."""
    while True:
        applied = [event["reason"] for event in gateway.events("declaration_applied")]
        if len(applied) == count + 1:
            await wait_for_configuration(gateway, applied[-1])
            return applied
        await asyncio.sleep(0.02)


async def wait_for_configuration(gateway: Any, reason: str) -> None:
    """Waits until what an event announces is in use."""
    digest = reason.split(";", maxsplit=1)[0].rsplit(" ", 1)[1]
    lock = reason.rsplit(" ", 1)[1]
    while True:
        check = (await gateway.http.get(f"{gateway.url}/readyz")).json()["checks"]["configuration"]
        if check["ok"] and f"gateway.yaml {digest}" in check["note"] and f"gateway.lock {lock}" in check["note"]:
            return
        await asyncio.sleep(0.02)


async def wait_for_problem(gateway: Any) -> str:
    while True:
        check = (await gateway.http.get(f"{gateway.url}/readyz")).json()["checks"]["configuration"]
        if not check["ok"]:
            return check["note"]
        await asyncio.sleep(0.02)


async def test_changed_rules_apply_to_the_next_call(
    start_gateway: Start, upstream: SlowUpstream, tmp_path: Path
) -> None:
    gateway = await start_gateway({"crm": {"url": upstream.url}})
    await gateway.wait_until_listed("crm")
    assert await gateway.tool_names() == ["crm_find", "crm_send"]
    declare(tmp_path, {"crm": {"url": upstream.url, "tools": {"find": {"scope": "mcp.crm"}}}})
    before, after = await wait_for_reload(gateway)
    assert before.startswith("gateway.yaml ")
    assert after.split(" -> ")[0] == before.split(";")[0]
    assert await gateway.tool_names() == ["crm_find"]
    assert (await gateway.call("crm_find")).status == 403
    assert (await gateway.call("find", upstream="crm")).status == 403
    assert (await gateway.call("crm_send")).error["message"].startswith("Unknown tool")
    assert upstream.calls == 0


async def test_upstreams_are_added_and_removed(start_gateway: Start, upstream: SlowUpstream, tmp_path: Path) -> None:
    gateway = await start_gateway({"crm": {"url": upstream.url}})
    await gateway.wait_until_listed("crm")
    assert (await gateway.call("find", upstream="other")).status == 401
    declare(tmp_path, {"other": {"url": upstream.url}})
    await wait_for_reload(gateway)
    await gateway.wait_until_listed("other")
    assert (await gateway.call("find", upstream="other")).text == "done"
    assert (await gateway.call("other_find")).text == "done"
    assert (await gateway.call("crm_find")).error["message"].startswith("Unknown tool")
    assert (await gateway.call("find", upstream="crm")).status == 401
    main = gateway.token()
    assert (await gateway.call("find", upstream="crm", token=main)).status == 404
    metrics = (await gateway.http.get(f"{gateway.url}/readyz")).json()["checks"]
    assert [name for name in metrics if name.startswith("upstream:")] == ["upstream:other"]


async def test_a_call_in_progress_ends_with_the_files_it_began_with(
    start_gateway: Start, upstream: SlowUpstream, tmp_path: Path
) -> None:
    gateway = await start_gateway({"crm": {"url": upstream.url}})
    await gateway.wait_until_listed("crm")
    upstream.may_answer.clear()
    calling = asyncio.create_task(gateway.call("crm_find"))
    await upstream.wait_for_calls()
    declare(tmp_path, {"other": {"url": upstream.url}})
    await wait_for_reload(gateway)
    upstream.may_answer.set()
    assert (await calling).text == "done"
    assert [event["tool_name"] for event in gateway.events()] == ["crm_find"]


async def test_an_approval_applies_at_once(start_gateway: Start, upstream: SlowUpstream, tmp_path: Path) -> None:
    pin(tmp_path, FIND)
    upstream.tools = [CHANGED, SEND]
    gateway = await start_gateway({"crm": {"url": upstream.url}}, settings={"refresh_seconds": 3600})
    await gateway.wait_until_listed("crm")
    assert (await gateway.call("crm_find")).text.startswith("tool_definition_changed: ")
    requests = len(upstream.requests)
    pin(tmp_path, CHANGED, SEND)
    await upstream.stop()  # what it has offered last is known
    await wait_for_reload(gateway)
    assert await gateway.tool_names() == ["crm_find", "crm_send"]
    await upstream.start()
    assert (await gateway.call("crm_find")).text == "done"
    assert len(upstream.requests) > requests


async def test_a_change_of_rules_does_not_forget_what_an_upstream_has_changed(
    start_gateway: Start, upstream: SlowUpstream, tmp_path: Path
) -> None:
    pin(tmp_path, FIND)
    upstream.tools = [CHANGED]
    gateway = await start_gateway({"crm": {"url": upstream.url}}, settings={"refresh_seconds": 3600})
    await gateway.wait_until_listed("crm")
    await upstream.stop()
    declare(tmp_path, {"crm": {"url": upstream.url, "policy": "mask"}})
    await wait_for_reload(gateway)
    assert (await gateway.call("crm_find")).text.startswith("tool_definition_changed: ")


async def test_a_lock_that_disappears_does_not_open_what_was_not_approved(
    start_gateway: Start, upstream: SlowUpstream, tmp_path: Path
) -> None:
    pin(tmp_path, FIND)
    gateway = await start_gateway({"crm": {"url": upstream.url}})
    await gateway.wait_until_listed("crm")
    (tmp_path / "gateway.lock").unlink()
    assert "gateway.lock does not exist any more" in await wait_for_problem(gateway)
    assert await gateway.tool_names() == ["crm_find"]
    pin(tmp_path, FIND, SEND)
    await wait_for_reload(gateway)
    assert await gateway.tool_names() == ["crm_find", "crm_send"]


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("gateway.yaml", "upstreams: {crm: {url: x}}", "upstreams.crm.url: not an http or https URL"),
        ("gateway.yaml", "upstreams: {crm: {url: 'http://localhost:1/mcp', polcy: mask}}", "did you mean `policy`?"),
        ("gateway.yaml", "upstreams: {crm: {url: 'https://localhost:1/mcp', ca_file: none.pem}}", "ca_file cannot be"),
        ("gateway.lock", "{", "not JSON"),
    ],
    ids=["url", "member", "ca_file", "lock"],
)
async def test_files_with_a_problem_are_not_applied(
    start_gateway: Start, upstream: SlowUpstream, tmp_path: Path, file: str, content: str, problem: str
) -> None:
    gateway = await start_gateway({"crm": {"url": upstream.url}})
    await gateway.wait_until_listed("crm")
    declared = (tmp_path / "gateway.yaml").read_text()
    (tmp_path / file).write_text(content)
    assert problem in await wait_for_problem(gateway)
    assert (await gateway.http.get(f"{gateway.url}/readyz")).status_code == 200
    assert (await gateway.call("crm_find")).text == "done"
    (tmp_path / "gateway.lock").unlink(missing_ok=True)
    (tmp_path / "gateway.yaml").write_text(declared + "requestable_scopes: mcp.crm\n")
    await wait_for_reload(gateway)
    checks = (await gateway.http.get(f"{gateway.url}/readyz")).json()["checks"]
    assert checks["configuration"]["ok"] is True
    assert checks["configuration"]["note"].endswith("gateway.lock none, nothing is pinned")


async def test_files_are_applied_once_that_can_be_recorded(
    start_gateway: Start, upstream: SlowUpstream, tmp_path: Path
) -> None:
    gateway = await start_gateway({"crm": {"url": upstream.url}})
    await gateway.wait_until_listed("crm")
    await gateway.journal.stop()
    declare(tmp_path, {"crm": {"url": upstream.url, "tools": {"find": {"scope": "mcp.crm"}}}})
    assert "audit journal" in await wait_for_problem(gateway)
    await gateway.journal.start()
    await wait_for_reload(gateway)
    assert await gateway.tool_names() == ["crm_find"]


async def test_a_signal_applies_the_files(start_gateway: Start, upstream: SlowUpstream, tmp_path: Path) -> None:
    gateway = await start_gateway({"crm": {"url": upstream.url}})
    file = tmp_path / "gateway.yaml"
    before = file.stat()
    content = file.read_text()
    file.write_text(content.replace("crm", "abc"))  # the same size, and below the same modification time
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.kill(os.getpid(), signal.SIGHUP)
    await wait_for_reload(gateway)
    assert [*(await gateway.http.get(f"{gateway.url}/readyz")).json()["checks"]][-1] == "upstream:abc"
