"""Upstreams that are programs: many calls over one process, and what a program that breaks the protocol gets."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from program_upstreams import ERAS, WORDS, program, wait_until
from upstream_servers import EMAIL, PHONE

from gateway_service.declaration import ProgramDeclaration, ToolRule, UpstreamDeclaration
from gateway_service.upstreams import HttpConnections, Notification, Upstream, UpstreamCall
from gateway_service.upstreams.errors import UpstreamPaused
from gateway_service.upstreams.restart_pauses import RestartPauses
from security_common.tool_policy.policy import PIIPolicy

pytestmark = pytest.mark.anyio

RULE = ToolRule(arguments=PIIPolicy.OBSERVE, result=PIIPolicy.OBSERVE)
# Short only where the program answers too late: on a slow machine a correct answer could take longer.
SHORT, LONG = {"timeout": "2s", "longest": "5s"}, {"timeout": "60s", "longest": "60s"}

BROKEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "text on its standard output": ("not_json", {}, "upstream_protocol"),
    "another id": ("answer_another", {}, "upstream_protocol"),
    "too many notifications": ("notify", {"count": 2000}, "upstream_protocol"),
    "a line without an end": ("long_line", {"size": 200_000}, "upstream_protocol"),
    "a long line": ("echo", {"text": "x" * 70_000}, "upstream_protocol"),
    "an unfinished line": ("long_line", {"size": 10}, "upstream_timeout"),
    "no answer": ("slow", {"seconds": 600}, "upstream_timeout"),
    "progress for ever": ("progress", {"steps": 10_000, "seconds": 0.5}, "upstream_timeout"),
    "killed": ("crash", {}, "upstream_unavailable"),
}


async def until(gateway: Any, is_reached: Callable[[Any], Any], *call: Any, **options: Any) -> Any:
    """Repeats a call until its answer is the expected one, and returns that."""
    while True:
        answer = await gateway.call(*call, **options)
        if is_reached(answer):
            return answer
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_program_that_breaks_the_protocol_is_refused_and_started_again(
    start_gateway: Callable[..., Awaitable[Any]], kind: str
) -> None:
    tool, arguments, reason = BROKEN[kind]
    limits = SHORT if reason == "upstream_timeout" else LONG
    gateway = await start_gateway({"crm": program(result_limit="64KiB", **limits)})
    await gateway.wait_until_listed("crm")
    answer = await gateway.call(f"crm_{tool}", arguments)
    assert (answer.status, answer.result["isError"]) == (200, True)
    assert answer.text.startswith(f"{reason}: crm ")
    assert WORDS not in str(answer.message)
    (recorded,) = gateway.events()
    assert (recorded["outcome"], recorded["reason"], recorded["tool_name"]) == ("failure", reason, f"crm_{tool}")
    assert WORDS not in str(recorded)
    await until(gateway, lambda answer: answer.text == "again", "crm_echo", {"text": "again"})


async def test_a_second_answer_ends_the_program_and_not_the_call(start_gateway: Callable[..., Awaitable[Any]]) -> None:
    gateway = await start_gateway({"crm": program()})
    await gateway.wait_until_listed("crm")
    before = (await gateway.call("crm_count")).text.split()[-1]
    assert (await gateway.call("crm_answer_again")).text == "first"
    await until(gateway, lambda answer: " calls of " in answer.text and not answer.text.endswith(before), "crm_count")


@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize("era", [*ERAS, "silent"])
async def test_clients_of_both_kinds_of_versions_call_programs_of_both(
    start_gateway: Callable[..., Awaitable[Any]], era: str, *, stateless: bool
) -> None:
    gateway = await start_gateway({"crm": program(era=era)})
    await gateway.wait_until_listed("crm")
    answer = await gateway.call("crm_echo", {"text": "hello"}, stateless=stateless)
    assert answer.text == "hello"
    assert answer.result.get("resultType") == ("complete" if stateless else None)


@pytest.mark.parametrize("era", ERAS)
async def test_many_calls_of_one_caller_use_one_process(start_gateway: Callable[..., Awaitable[Any]], era: str) -> None:
    gateway = await start_gateway({"crm": program(era=era)})
    await gateway.wait_until_listed("crm")
    texts = [f"text {number}" for number in range(40)]
    answers = await asyncio.gather(*[gateway.call("crm_echo", {"text": text}) for text in texts])
    assert [answer.text for answer in answers] == texts
    assert (await gateway.call("crm_count")).text.startswith("41 calls")


async def test_two_callers_never_share_a_process(start_gateway: Callable[..., Awaitable[Any]]) -> None:
    gateway = await start_gateway({"crm": program()})
    await gateway.wait_until_listed("crm")
    answers = [await gateway.call("crm_count", token=gateway.token(sub=sub)) for sub in ("u_1", "u_2", "u_1", "u_2")]
    counts, processes = zip(*(answer.text.split(" calls of ") for answer in answers), strict=True)
    assert counts == ("1", "1", "2", "2")
    assert processes[0] == processes[2] != processes[1] == processes[3]


async def test_a_shared_program_serves_all_callers(start_gateway: Callable[..., Awaitable[Any]]) -> None:
    gateway = await start_gateway({"crm": program(run={"instances": "shared"})})
    await gateway.wait_until_listed("crm")
    answers = [await gateway.call("crm_count", token=gateway.token(sub=sub)) for sub in ("u_1", "u_2")]
    assert [answer.text.split()[0] for answer in answers] == ["1", "2"]
    assert len({answer.text.split()[-1] for answer in answers}) == 1


async def test_more_callers_than_instances_are_refused_while_all_are_busy(
    start_gateway: Callable[..., Awaitable[Any]], tmp_path: Path
) -> None:
    gateway = await start_gateway({"crm": program(run={"most": 1}, timeout="60s")})
    await gateway.wait_until_listed("crm")
    begun = tmp_path / "begun"
    slow = {"seconds": 600, "note": str(begun)}
    running = asyncio.create_task(gateway.call("crm_slow", slow, token=gateway.token(sub="u_1")))
    await wait_until(begun.exists)
    other = gateway.token(sub="u_2")
    refused = await gateway.call("crm_echo", token=other)
    assert refused.text.startswith("upstream_busy: crm has too many callers at present")
    assert gateway.events()[-1]["reason"] == "upstream_busy"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await until(gateway, lambda answer: answer.text == "now", "crm_echo", {"text": "now"}, token=other)


async def test_an_error_of_a_program_keeps_its_place_and_not_its_personal_data(
    start_gateway: Callable[..., Awaitable[Any]],
) -> None:
    gateway = await start_gateway({"crm": program(policy="mask")})
    await gateway.wait_until_listed("crm")
    answer = await gateway.call("crm_fail")
    assert answer.error["code"] == -32603  # the program's own code is reserved
    assert PHONE not in str(answer.message)
    assert EMAIL not in str(answer.message)
    assert gateway.events()[-1]["reason"] == "upstream_error"


async def test_an_abandoned_call_is_cancelled_and_its_late_answer_ignored(
    start_gateway: Callable[..., Awaitable[Any]],
) -> None:
    gateway = await start_gateway({"crm": program(timeout="1s", era="handshake")})
    await gateway.wait_until_listed("crm")
    process = (await gateway.call("crm_count")).text.split()[-1]
    assert (await gateway.call("crm_slow", {"seconds": 600})).text.startswith("upstream_timeout")
    assert (await gateway.call("crm_slow")).text == "cancelled: 1"
    assert (await gateway.call("crm_count")).text.split()[-1] == process


@pytest.mark.parametrize(
    ("method", "expected"),
    [("ping", "result"), ("roots/list", "error"), ("elicitation/create", "error"), ("sampling/createMessage", "error")],
)
async def test_a_program_may_ask_whether_the_client_is_there_and_nothing_else(
    start_gateway: Callable[..., Awaitable[Any]], method: str, expected: str
) -> None:
    gateway = await start_gateway({"crm": program(era="handshake")})
    await gateway.wait_until_listed("crm")
    answer = json.loads((await gateway.call("crm_ask", {"method": method})).text)
    assert answer[expected] is not None
    if expected == "error":
        assert answer["error"]["code"] == -32601


async def test_progress_reaches_its_call_only_and_log_messages_only_a_single_one(tmp_path: Path) -> None:
    members = program()
    declaration = ProgramDeclaration(command=(members["command"], *members["args"]), folder=tmp_path)
    received: dict[str, list[str]] = {"a": [], "b": []}

    def keep(name: str) -> Callable[[Notification], Awaitable[None]]:
        async def receive(notification: Notification) -> None:
            received[name].append(notification.method.removeprefix("notifications/"))

        return receive

    def call(name: str, tool: str, **arguments: Any) -> UpstreamCall:
        params = {"name": tool, "arguments": arguments}
        return UpstreamCall(method="tools/call", params=params, owner="u", on_notification=keep(name))

    async with HttpConnections() as connections:
        upstream = Upstream(UpstreamDeclaration(name="crm", program=declaration, default_rule=RULE), connections)
        changed: list[str] = []
        upstream.watch_list_changes(changed.append)
        await upstream.call(call("a", "progress", steps=3))
        await upstream.call(call("a", "notify", count=2))
        assert received == {"a": ["progress"] * 3 + ["message"] * 2, "b": []}
        slow = asyncio.create_task(upstream.call(call("b", "slow", seconds=600)))
        await asyncio.sleep(0)
        assert upstream.breaker.in_flight == 1
        await upstream.call(call("a", "progress", steps=1))
        await upstream.call(call("a", "notify", count=2))  # which may be for the other call as well
        assert received == {"a": ["progress"] * 3 + ["message"] * 2 + ["progress"], "b": []}
        slow.cancel()
        await upstream.call(call("a", "change_list"))
        assert changed == ["notifications/tools/list_changed"]
        await upstream.close()


def test_a_program_that_ends_again_and_again_is_started_later_and_later() -> None:
    now = 100.0
    pauses = RestartPauses("crm", clock=lambda: now)
    waited: list[float] = []
    for _ in range(10):
        pauses.count("a")
        pauses.require_allowed("b")
        began = now
        while True:
            try:
                pauses.require_allowed("a")
                break
            except UpstreamPaused:
                now += 0.5
        waited.append(now - began)
    assert waited == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    now += 121
    pauses.count("a")
    pauses.require_allowed("a")
