"""Can an agent finish its tasks without seeing personal data? Twenty tasks of three calls, by three policies.

    python benchmarks/blind_tasks.py

A scripted agent calls the tools of a FastMCP server: it reads about a person, acts, and files a report. It takes what
it needs from earlier results, as a model would copy it: members of records, cells of a table, words of a text. A task
has succeeded if the tool that acts received the right values in clear and the report names what the agent saw.
Everything that the client receives is searched for the clear values. All people are invented.
"""

import asyncio
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from fastmcp import Client, FastMCP

from security_common.fastmcp import secure_server
from security_common.tool_policy import secure_tool

Policy = Literal["observe", "mask", "tokenize"]
POLICIES: tuple[Policy, ...] = ("observe", "mask", "tokenize")

PEOPLE = {
    "p_hong": (
        "홍길동",
        "010-2345-6781",
        "gildong.hong@example.com",
        "서울특별시 강남구 테헤란로 152",
        "110-234-567890",
    ),
    "p_kim": (
        "김영희",
        "010-8765-4322",
        "younghee@example.com",
        "부산광역시 해운대구 센텀중앙로 79",
        "123-456789-01-012",
    ),
    "p_lee": ("이철수", "010-5555-1233", "cs.lee@example.com", "대전광역시 유성구 대학로 99", "302-1234-5678-91"),
    "p_smith": ("Alice Smith", "+1-202-555-0143", "alice@example.com", "1600 Main Street, Springfield, IL 62701", ""),
    "p_park": (
        "박민수",
        "02-1234-5678",
        "minsu.park@example.com",
        "경기도 성남시 분당구 판교역로 235",
        "1002-123-456789",
    ),
}
FIELDS = ("name", "phone", "email", "address", "bank_account")
IDS = list(PEOPLE)
VALUES = [value for person in PEOPLE.values() for value in person if value]


def person(person_id: str) -> dict[str, str]:
    return dict(zip(FIELDS, PEOPLE[person_id], strict=True))


def ticket(person_id: str) -> str:
    who = person(person_id)
    return f"문의 접수\n고객명: {who['name']}\n연락처: {who['phone']}\n이메일: {who['email']}\n내용: 배송이 늦습니다."


def orders() -> str:
    rows = [
        f"ORD-{number},{person(each)['name']},{person(each)['phone']},{number}00" for number, each in enumerate(IDS)
    ]
    return "\n".join(["주문번호,이름,전화번호,금액", *rows])


@dataclass
class Desk:
    """A server whose tools have one policy, and what these tools have received."""

    policy: Policy
    effects: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])
    server: FastMCP[Any] = field(default_factory=lambda: FastMCP("desk"))

    def __post_init__(self) -> None:
        self._add_reading_tools()
        self._add_acting_tools()
        secure_server(self.server)

    def _tool(self, *reveal: str) -> Callable[[Callable[..., Any]], Any]:
        kinds = reveal if self.policy == "tokenize" else ()
        secured = secure_tool(pii_policy=self.policy, reveal=kinds, log_access=False)
        return lambda function: self.server.tool(secured(function))

    def _add_reading_tools(self) -> None:
        @self._tool()
        async def look_up(person_id: str) -> dict[str, str]:
            return person(person_id)

        @self._tool()
        async def read_ticket(person_id: str) -> str:
            return ticket(person_id)

        @self._tool()
        async def list_orders() -> str:
            return orders()

        @self._tool()
        async def file_report(text: str) -> str:
            return f"filed: {text}"

    def _add_acting_tools(self) -> None:
        @self._tool("PHONE", "PERSON")
        async def send_message(to: str, text: str) -> str:
            self.effects.append((to, text))
            return f"sent to {to}"

        @self._tool("EMAIL", "PERSON")
        async def send_email(to: str, text: str) -> str:
            self.effects.append((to, text))
            return f"mailed to {to}: {text}"

        @self._tool("ADDRESS", "PERSON")
        async def ship_parcel(to: str, text: str) -> dict[str, str]:
            self.effects.append((to, text))
            return {"address": to, "name": text}

        @self._tool("BANK_ACCOUNT", "PERSON")
        async def refund(to: str, text: str) -> dict[str, str]:
            self.effects.append((to, text))
            return {"bank_account": to, "name": text}


@dataclass(frozen=True)
class Task:
    """Read with one tool, act with another, file a report. `find` takes recipient and name from what was read."""

    person_id: str
    read: tuple[str, dict[str, str]]
    act: str
    recipient: str
    find: Callable[[Any], tuple[str, str]]

    def expected_effect(self) -> tuple[str, str]:
        who = person(self.person_id)
        return who[self.recipient], f"{who['name']}"


def from_record(recipient: str) -> Callable[[Any], tuple[str, str]]:
    return lambda record: (record[recipient], record["name"])


def from_ticket(text: str) -> tuple[str, str]:
    lines = dict(re.findall(r"^(\S+): (.*)$", text, re.MULTILINE))
    return lines["연락처"], lines["고객명"]


def from_orders(order: str) -> Callable[[Any], tuple[str, str]]:
    def find(table: str) -> tuple[str, str]:
        cells = next(line.split(",") for line in table.splitlines() if line.startswith(f"{order},"))
        return cells[2], cells[1]

    return find


def tasks() -> list[Task]:
    by_record = [("send_message", "phone", 5), ("send_email", "email", 4), ("ship_parcel", "address", 2)]
    listed = [
        Task(each, ("look_up", {"person_id": each}), act, recipient, from_record(recipient))
        for act, recipient, number in [*by_record, ("refund", "bank_account", 3)]
        for each in IDS[:number]
    ]
    listed += [
        Task(each, ("read_ticket", {"person_id": each}), "send_message", "phone", from_ticket) for each in IDS[:3]
    ]
    listed += [
        Task(each, ("list_orders", {}), "send_message", "phone", from_orders(f"ORD-{number}"))
        for number, each in enumerate(IDS[:3])
    ]
    return listed


@dataclass
class Score:
    succeeded: int = 0
    played: int = 0
    clear_values: int = 0


async def play(desk: Desk, task: Task, score: Score) -> None:
    """Plays one task. A call that fails ends the task."""
    score.played += 1
    desk.effects.clear()
    async with Client(desk.server) as client:

        async def call(tool: str, arguments: dict[str, str]) -> Any:
            result: Any = await client.call_tool(tool, arguments, raise_on_error=False)
            received = json.dumps([block.text for block in result.content], ensure_ascii=False)
            received += json.dumps(result.structured_content, ensure_ascii=False)
            score.clear_values += sum(value in received for value in VALUES)
            return None if result.is_error else result.data

        found = await call(*task.read)
        if found is None:
            return
        recipient, name = task.find(found)
        done = await call(task.act, {"to": recipient, "text": name})
        report = await call("file_report", {"text": f"{task.act}: {name}, {recipient}"})
    is_right = desk.effects == [task.expected_effect()]
    score.succeeded += done is not None and is_right and report is not None and recipient in report and name in report


def measure(policy: Policy) -> Score:
    """The score of all tasks under one policy."""
    desk, score = Desk(policy), Score()

    async def play_all() -> None:
        for task in tasks():
            await play(desk, task, score)

    asyncio.run(play_all())
    return score


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.environ["SECURITY_AUDIT_DIR"] = directory
        print("| policy | tasks that succeed | clear values that reach the client |\n|---|---|---|")
        for policy in POLICIES:
            score = measure(policy)
            print(f"| `{policy}` | {score.succeeded} of {score.played} | {score.clear_values} |")


if __name__ == "__main__":
    main()
