"""What the policy has searched is what a FastMCP server sends, whatever the tool or its types do afterwards."""

import base64
import dataclasses
import json
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Annotated, Any

import mcp_types as types
import pytest
from fastmcp import Client, FastMCP
from fastmcp.tools import ToolResult
from fastmcp_calls import call_raw, with_client
from mcp.shared.exceptions import MCPError
from pydantic import (
    BaseModel,
    Field,
    PlainSerializer,
    RootModel,
    WrapSerializer,
    computed_field,
    field_serializer,
    model_serializer,
)
from typing_extensions import TypedDict

from security_common.audit import Journal
from security_common.fastmcp import secure_server
from security_common.tool_policy import policy_dependencies, secure_tool

RecordedCalls = Callable[[], list[dict[str, Any]]]
PHONE, MASKED = "010-1234-5678", "010-****-5678"
HIDDEN = 1012345678

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")


def readable(number: int) -> str:
    """A number of no kind becomes a readable telephone number."""
    digits = f"0{number}"
    return f"{digits[:3]}-{digits[3:7]}-{digits[7:]}"


class Kept(BaseModel):
    """What a tool keeps after it has returned it."""

    note: str = "nothing"


@pytest.mark.parametrize("shape", ["dict", "list", "model", "dataclass", "tool result", "content block"])
def test_a_result_cannot_change_while_its_record_is_written(
    server: FastMCP[Any], monkeypatch: pytest.MonkeyPatch, recorded_calls: RecordedCalls, journal: Journal, shape: str
) -> None:
    """A second task changes the object that the tool has returned, as soon as the call waits for the journal."""
    changes: list[Callable[[], None]] = []

    @dataclasses.dataclass
    class Record:
        note: str

    def make() -> Any:
        if shape == "list":
            items = ["nothing"]
            changes.append(lambda: items.append(PHONE))
            return items
        if shape == "model":
            model = Kept()
            changes.append(lambda: setattr(model, "note", PHONE))
            return model
        if shape == "dataclass":
            record = Record("nothing")
            changes.append(lambda: setattr(record, "note", PHONE))
            return record
        if shape == "tool result":
            result = ToolResult(content=[types.TextContent(type="text", text="nothing")], structured_content={"a": 1})
            changes.append(lambda: result.content.append(types.TextContent(type="text", text=PHONE)))
            return result
        if shape == "content block":
            block = types.TextContent(type="text", text="nothing")
            changes.append(lambda: setattr(block, "text", PHONE))
            return [block]
        members: dict[str, Any] = {"note": "nothing"}
        changes.append(lambda: members.update(note=PHONE))
        return members

    @server.tool
    @secure_tool(pii_policy="mask")
    async def look_up() -> Any:
        return make()

    secure_server(server)
    written = policy_dependencies().journal.record

    async def record(event: Any) -> None:
        for change in changes:
            change()
        await written(event)

    monkeypatch.setattr(journal, "record", record)
    sent = with_client(server, lambda client: call_raw(client, "look_up"))
    assert changes
    assert "nothing" in sent
    assert PHONE not in sent
    assert len(recorded_calls()) == 1


Plain = Annotated[int, PlainSerializer(readable, return_type=str)]
Wrapped = Annotated[int, WrapSerializer(lambda value, handler: readable(handler(value)), return_type=str)]
JsonOnly = Annotated[int, PlainSerializer(readable, return_type=str, when_used="json")]


class FieldSerialized(BaseModel):
    number: int = HIDDEN

    @field_serializer("number")
    def write(self, value: int) -> str:
        return readable(value)


class Computed(BaseModel):
    number: int = HIDDEN

    @computed_field
    @property
    def shown(self) -> str:
        return readable(self.number)


class ModelSerialized(BaseModel):
    number: int = HIDDEN

    @model_serializer
    def write(self) -> dict[str, str]:
        return {"shown": readable(self.number)}


class Nested(BaseModel):
    inner: list[Plain] = Field(default_factory=lambda: [HIDDEN])


class Aliased(BaseModel):
    number: Plain = Field(default=HIDDEN, serialization_alias="n")


class Base(BaseModel):
    """The annotation of the tool; the value is of a subclass."""


class TypedMembers(TypedDict):
    number: Plain


@dataclasses.dataclass
class Data:
    number: Plain


class Code(Enum):
    FIRST = HIDDEN


SHAPES: dict[str, tuple[Any, Any]] = {
    "plain": (Plain, HIDDEN),
    "wrapped": (Wrapped, HIDDEN),
    "json only": (JsonOnly, HIDDEN),
    "list": (list[Plain], [HIDDEN]),
    "dict": (dict[str, Plain], {"n": HIDDEN}),
    "key": (dict[Annotated[int, PlainSerializer(readable)], str], {HIDDEN: "x"}),
    "typed dict": (TypedMembers, {"number": HIDDEN}),
    "dataclass": (Data, Data(HIDDEN)),
    "field serializer": (FieldSerialized, FieldSerialized()),
    "computed field": (Computed, Computed()),
    "model serializer": (ModelSerialized, ModelSerialized()),
    "nested": (Nested, Nested()),
    "alias": (Aliased, Aliased()),
    "root model": (RootModel[Plain], RootModel[Plain](HIDDEN)),
    "optional": (Plain | None, HIDDEN),
    "enum": (Annotated[Code, PlainSerializer(lambda code: readable(code.value), return_type=str)], Code.FIRST),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_serializer_of_the_return_annotation_cannot_make_personal_data(
    server: FastMCP[Any], recorded_calls: RecordedCalls, shape: str
) -> None:
    annotation, value = SHAPES[shape]

    async def look_up() -> Any:
        return value

    look_up.__annotations__["return"] = annotation
    server.tool(secure_tool(pii_policy="mask")(look_up))
    secure_server(server)
    sent = with_client(server, lambda client: call_raw(client, "look_up"))
    assert PHONE not in sent
    assert MASKED in sent
    (event,) = recorded_calls()
    assert (event["action_taken"], event["pii_kinds"]) == ("executed_with_masking", {"PHONE": 1})


class HidingDict(dict[str, Any]):
    def items(self) -> Any:
        return {"note": "nothing"}.items()

    def __iter__(self) -> Iterator[str]:
        return iter(["note"])

    def keys(self) -> Any:
        return {"note": "nothing"}.keys()


class HidingList(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(["nothing"])


class HidingText(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "nothing"


@pytest.mark.parametrize("policy", ["mask", "encrypt", "reject"])
@pytest.mark.parametrize(
    "value", [HidingDict(phone=PHONE), HidingList([PHONE]), HidingText(PHONE), [HidingDict(a=HidingList([PHONE]))]]
)
def test_a_subclass_of_a_built_in_type_cannot_hide_its_content(server: FastMCP[Any], policy: Any, value: Any) -> None:
    @server.tool
    @secure_tool(pii_policy=policy)
    async def look_up() -> Any:
        return value

    secure_server(server)
    assert PHONE not in with_client(server, lambda client: call_raw(client, "look_up"))


@pytest.mark.parametrize("policy", ["mask", "observe"])
def test_a_clean_result_is_sent_as_fastmcp_sends_it(server: FastMCP[Any], policy: Any) -> None:
    values: dict[str, Any] = {
        "text": "서울 창고",
        "number": 1.1,
        "big": 2**70,
        "small": 1e-9,
        "nested": {"list": [1, 2.50, None, True], "json": '{"a":  1.10}'},
        "empty": [],
    }

    def register(target: FastMCP[Any], decorate: Callable[[Any], Any]) -> None:
        for name, value in values.items():

            async def give(value: Any = value) -> Any:
                return value

            target.tool(decorate(give), name=name)

        async def image() -> types.ImageContent:
            data = base64.b64encode(bytes(range(256))).decode()
            return types.ImageContent(type="image", data=data, mime_type="image/png")

        target.tool(decorate(image))

    plain_server: FastMCP[Any] = FastMCP("test")
    register(plain_server, lambda function: function)
    register(server, secure_tool(pii_policy=policy))
    secure_server(server)

    async def use(client: Client[Any]) -> list[Any]:
        return [json.loads(await call_raw(client, name)) for name in (*values, "image")]

    assert with_client(server, use) == with_client(plain_server, use)


def test_the_order_is_policy_then_record_then_answer(
    server: FastMCP[Any], monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    order: list[str] = []

    class Serialized(BaseModel):
        @model_serializer
        def write(self) -> dict[str, str]:
            order.append("serialized")
            return {"a": "b"}

    @server.tool
    @secure_tool(pii_policy="mask")
    async def look_up() -> Serialized:
        return Serialized()

    secure_server(server)
    written = journal.record

    async def record(event: Any) -> None:
        await written(event)
        order.append("recorded")

    monkeypatch.setattr(journal, "record", record)
    with_client(server, lambda client: call_raw(client, "look_up"))
    assert order[-1] == "recorded"
    assert "serialized" in order


def test_a_resource_keeps_the_address_that_the_client_sent(server: FastMCP[Any]) -> None:
    @server.resource("people://{person_id}")
    @secure_tool(pii_policy="observe", result_policy="mask")
    async def person(person_id: str) -> str:
        return f"tel {PHONE}"

    secure_server(server)
    read = with_client(server, lambda client: client.read_resource_mcp(f"people://{PHONE}"))
    assert (str(read.contents[0].uri), read.contents[0].text) == (f"people://{PHONE}", f"tel {MASKED}")


@pytest.mark.parametrize("content", [f"tel {PHONE}".encode(), bytes(range(128, 256)) + PHONE.encode()])
def test_the_bytes_of_a_resource_are_searched(server: FastMCP[Any], content: bytes) -> None:
    @server.resource("files://one", mime_type="application/octet-stream")
    @secure_tool(pii_policy="mask")
    async def file() -> bytes:
        return content

    secure_server(server)
    if content.startswith(b"tel"):
        read = with_client(server, lambda client: client.read_resource_mcp("files://one"))
        assert base64.b64decode(read.contents[0].blob) == f"tel {MASKED}".encode()
        return
    with pytest.raises(MCPError, match="unguardable_value"):
        with_client(server, lambda client: client.read_resource_mcp("files://one"))
