"""Published output schemas: protected results match them, and clients that validate accept the results."""

import asyncio
from datetime import date
from enum import Enum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal

import jsonschema
import pytest
import uvicorn
from fastmcp import Client as FastMCPClient
from fastmcp import FastMCP
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client
from pydantic import BaseModel, EmailStr, Field

from security_common.fastmcp import secure_server
from security_common.tool_policy import secure_tool
from security_common.tool_policy.output_schemas import SchemaLoosening

PHONE = "010-1234-5678"
CARD = 4111_1111_1111_1111


class Level(Enum):
    HIGH = "010-1234-5678"
    LOW = "low"


class Contact(BaseModel):
    email: EmailStr
    phone: Annotated[str, Field(pattern=r"^010-\d{4}-\d{4}$", min_length=13, max_length=13)]
    card_number: Annotated[int, Field(ge=4_000_000_000_000_000, le=4_999_999_999_999_999)]
    birth_date: date
    address: IPv4Address
    level: Level
    kind: Literal["person"] = "person"
    others: Annotated[list[Annotated[str, Field(pattern=r"^010-\d{4}-\d{4}$")]], Field(min_length=2)]
    by_phone: dict[Annotated[str, Field(pattern=r"^010")], int]


def contact() -> Contact:
    return Contact(
        email="hong@example.com",
        phone=PHONE,
        card_number=CARD,
        birth_date=date(1988, 1, 1),
        address=IPv4Address("203.0.113.9"),
        level=Level.HIGH,
        others=[PHONE, "010-9999-5678"],
        by_phone={PHONE: 1},
    )


def make_server(policy: Any) -> FastMCP[Any]:
    server: FastMCP[Any] = FastMCP("test")

    @server.tool
    @secure_tool(pii_policy="observe", result_policy=policy)
    async def one() -> Contact:
        return contact()

    @server.tool
    @secure_tool(pii_policy="observe", result_policy=policy)
    async def several() -> list[Contact]:
        return [contact(), contact()]

    @server.tool
    @secure_tool(pii_policy="observe", result_policy=policy)
    async def text() -> Annotated[str, Field(pattern=r"^010-\d{4}-\d{4}$")]:
        return PHONE

    @server.tool
    @secure_tool(pii_policy="observe", result_policy=policy)
    async def number() -> Annotated[int, Field(ge=10)]:
        return CARD

    secure_server(server)
    return server


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("policy", ["mask", "encrypt", "observe"])
def test_a_client_that_validates_accepts_protected_results(policy: Any, mode: Any) -> None:
    """The MCP Python client, over a real socket: it checks each structured result against the listed schema."""
    app = make_server(policy).http_app(path="/mcp", stateless_http=True)
    service = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on"))

    async def run() -> list[Any]:
        serving = asyncio.create_task(service.serve())
        while not service.started:  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.01)
        port = service.servers[0].sockets[0].getsockname()[1]
        try:
            async with Client(f"http://127.0.0.1:{port}/mcp", mode=mode) as client:
                schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
                results = [await client.call_tool(name, {}) for name in ("one", "several", "text", "number")]
        finally:
            service.should_exit = True
            await serving
        for name, result in zip(("one", "several", "text", "number"), results, strict=True):
            jsonschema.validate(result.structured_content, schemas[name])
        return results

    for result in asyncio.run(run()):
        assert not result.is_error
        shown = result.model_dump_json()
        assert (PHONE in shown or str(CARD) in shown) is (policy == "observe")


def published_schemas(policy: Any) -> dict[str, Any]:
    return list_schemas(make_server(policy))


def list_schemas(server: FastMCP[Any]) -> dict[str, Any]:
    async def use() -> dict[str, Any]:
        async with FastMCPClient(server) as client:
            return {tool.name: tool.output_schema for tool in await client.list_tools()}

    return asyncio.run(use())


def test_a_tool_that_never_changes_its_results_keeps_its_schema() -> None:
    unsecured: FastMCP[Any] = FastMCP("test")

    @unsecured.tool
    async def one() -> Contact:
        raise AssertionError

    original = list_schemas(unsecured)["one"]
    assert published_schemas("observe")["one"] == original
    assert published_schemas("mask")["one"] != original


def test_a_tool_that_withholds_results_keeps_its_schema() -> None:
    assert published_schemas("reject") == published_schemas("observe")


def test_the_structure_of_a_loosened_schema_stays() -> None:
    schema = published_schemas("mask")["one"]
    assert set(schema["required"]) == set(Contact.model_fields) - {"kind"}
    assert schema["properties"]["phone"]["type"] == "string"
    assert schema["properties"]["card_number"]["type"] == "integer"
    assert schema["properties"]["others"]["minItems"] == 2
    assert "description" not in schema or schema["description"]
    assert not {"pattern", "format", "enum", "const", "minimum", "maxLength"} & words_in(schema)


def words_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(words_in, value.values()))
    return set().union(*map(words_in, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize(
    ("schema", "masked", "encrypted"),
    [
        ({"type": "string", "format": "email", "title": "a"}, {"type": "string", "title": "a"}, None),
        ({"type": "integer", "minimum": 5}, {"type": "integer"}, {"type": ["integer", "string"]}),
        ({"type": ["number", "null"]}, {"type": ["number", "null"]}, {"type": ["number", "null", "string"]}),
        ({"enum": ["a"]}, {}, None),
        (
            {"oneOf": [{"const": "a"}, {"type": "integer"}]},
            {"anyOf": [{}, {"type": "integer"}]},
            {"anyOf": [{}, {"type": ["integer", "string"]}]},
        ),
        (
            {"oneOf": [{"const": 1}], "anyOf": [{"type": "null"}], "allOf": [True]},
            {"anyOf": [{"type": "null"}], "allOf": [True, {"anyOf": [{}]}]},
            None,
        ),
        ({"properties": {"format": {"pattern": "x"}}}, {"properties": {"format": {}}}, None),
        ({"patternProperties": {"^a": {"type": "null"}}, "additionalProperties": False}, {}, None),
        ({"additionalProperties": False}, {"additionalProperties": False}, None),
        ({"not": {"type": "null"}, "if": {}, "then": {}, "contains": {}, "uniqueItems": True}, {}, None),
        ({"$defs": {"A": {"pattern": "x"}}, "$ref": "#/$defs/A"}, {"$defs": {"A": {}}, "$ref": "#/$defs/A"}, None),
        (True, True, None),
    ],
)
def test_rules_that_a_protected_value_can_violate_are_left_out(schema: Any, masked: Any, encrypted: Any) -> None:
    assert SchemaLoosening(numbers_become_text=False).loosen(schema) == masked
    assert SchemaLoosening(numbers_become_text=True).loosen(schema) == (masked if encrypted is None else encrypted)


SCALARS = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "pattern": "^a", "minLength": 2, "format": "email"},
        {"enum": ["a", "b", 3]},
        {"const": None},
        {"type": "integer", "minimum": 3, "multipleOf": 2},
        {"type": ["number", "null"], "exclusiveMaximum": 9},
    ]
)
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner, "uniqueItems": st.booleans()})
        | st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.dictionaries(st.sampled_from("abc"), inner),
                "additionalProperties": st.booleans() | inner,
            }
        )
        | st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)})
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["a", "ab", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=6,
)


@given(schema=SCHEMAS, value=VALUES, numbers_become_text=st.booleans())
def test_a_loosened_schema_accepts_every_value_of_the_original_and_its_masked_form(
    schema: Any, value: Any, numbers_become_text: bool
) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    if not validator.is_valid(value):
        return
    loosened = SchemaLoosening(numbers_become_text).loosen(schema)
    jsonschema.validate(value, loosened)
    jsonschema.validate(masked(value, numbers_become_text=numbers_become_text), loosened)


def masked(value: Any, *, numbers_become_text: bool) -> Any:
    if isinstance(value, dict):
        return {name: masked(item, numbers_become_text=numbers_become_text) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(item, numbers_become_text=numbers_become_text) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return "enc:v1:x" if numbers_become_text else 0
    return "****"
