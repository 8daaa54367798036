"""The rules of the protocol, compared with those of the SDK where it has the same ones."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared import inbound

from gateway_service.wire.event_stream import EventStreamReader
from gateway_service.wire.json_rpc import Request, RpcError, is_reserved_code, read_client_message
from gateway_service.wire.parameter_headers import (
    InvalidParameterHeader,
    find_parameter_headers,
    require_equal_headers,
    write_parameter_headers,
)
from gateway_service.wire.request_headers import decode_value, encode_value
from security_common.edge import RequestHeaders

SCALARS = st.one_of(st.text(max_size=20), st.integers(-(2**60), 2**60), st.booleans(), st.none())


@given(st.text())
def test_the_value_of_a_header_can_be_read_again(text: str) -> None:
    encoded = encode_value(text)
    assert encoded.isascii()
    assert encoded.isprintable()
    assert decode_value(encoded) == text == inbound.decode_header_value(encoded)


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_header_of_the_sdk_is_read_as_it_was_meant(text: str) -> None:
    assert decode_value(inbound.encode_header_value(text)) == text


@pytest.mark.parametrize("value", ["=?base64?!?=", "=?base64?YQ?=", "=?base64?/w==?="])
def test_a_malformed_base64_header_has_no_value(value: str) -> None:
    assert decode_value(value) is None


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


SCHEMAS = [
    schema(a={"type": "string", "x-mcp-header": "Region"}),
    schema(a=schema(b={"type": "integer", "x-mcp-header": "Count"}), c={"type": "boolean", "x-mcp-header": "Flag"}),
    schema(a={"type": "string"}),
    schema(a={"type": "number", "x-mcp-header": "N"}),
    schema(a={"type": ["string"], "x-mcp-header": "N"}),
    schema(a={"type": "string", "x-mcp-header": "a b"}),
    schema(a={"type": "string", "x-mcp-header": ""}),
    schema(a={"type": "string", "x-mcp-header": 1}),
    schema(a={"type": "string", "x-mcp-header": "A"}, b={"type": "string", "x-mcp-header": "a"}),
    schema(a={"type": "array", "items": {"type": "string", "x-mcp-header": "A"}}),
    schema(a={"anyOf": [{"type": "string", "x-mcp-header": "A"}]}),
    {"type": "object", "x-mcp-header": "A"},
    {"type": "object", "$defs": {"d": {"type": "string", "x-mcp-header": "A"}}},
    schema(a={"type": "string", "default": {"x-mcp-header": "A"}}),
]


@pytest.mark.parametrize("input_schema", SCHEMAS, ids=json.dumps)
def test_the_headers_of_parameters_are_those_that_the_sdk_finds(input_schema: dict[str, Any]) -> None:
    if inbound.find_invalid_x_mcp_header(input_schema) is None:
        assert find_parameter_headers(input_schema) == inbound.x_mcp_header_map(input_schema)
    else:
        with pytest.raises(InvalidParameterHeader):
            find_parameter_headers(input_schema)


@given(SCALARS, SCALARS)
def test_written_headers_are_those_of_the_sdk_and_agree_with_the_arguments(first: Any, second: Any) -> None:
    declared = {("a",): "One", ("b", "c"): "Two"}
    arguments = {"a": first, "b": {"c": second}}
    written = write_parameter_headers(declared, arguments)
    assert written.keys() == inbound.mcp_param_headers(declared, arguments).keys()
    received = RequestHeaders([(name.lower().encode(), value.encode()) for name, value in written.items()])
    require_equal_headers(declared, arguments, received)


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"a": "x"}, []),
        ({"a": "x"}, ["y"]),
        ({"a": "x"}, ["x", "x"]),
        ({"a": "x"}, ["=?base64?!?="]),
        ({}, ["x"]),
        ({"a": None}, ["x"]),
        ({"a": True}, ["True"]),
        ({"a": ["x"]}, ["x"]),
        ({"a": 1}, ["01"]),
    ],
)
def test_a_header_that_differs_from_its_argument_is_refused(arguments: dict[str, Any], headers: list[str]) -> None:
    received = RequestHeaders([(b"mcp-param-one", value.encode()) for value in headers])
    with pytest.raises(RpcError) as raised:
        require_equal_headers({("a",): "One"}, arguments, received)
    assert raised.value.code == -32020


EVENTS = st.lists(st.text(alphabet=st.characters(blacklist_characters="\r\n"), min_size=1).map(str.encode), max_size=5)


@given(EVENTS, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.integers(1, 7))
def test_a_stream_has_the_same_events_in_chunks_of_any_size(events: list[bytes], line_end: bytes, size: int) -> None:
    lines = [b": comment", b"id: 1"]
    for data in events:
        lines += [b"event: message", b"data: " + data, b""]
    # After a carriage return, only the next byte shows that the line has ended.
    stream = line_end.join([*lines, b": end", b": end"])
    reader = EventStreamReader()
    found = [data for start in range(0, len(stream), size) for data in reader.feed(stream[start : start + size])]
    assert found == events


def test_several_lines_of_data_are_one_event() -> None:
    assert list(EventStreamReader().feed(b"\xef\xbb\xbfdata: {\ndata:}\ndata\n\n\n")) == [b"{\n}\n"]


NOT_ONE_MESSAGE = (
    b"[]",
    b"1",
    b"{}",
    b'"a"',
    b"{",
    b'{"id":1,"method":"ping"}',
    b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1}',
    b'{"jsonrpc":"2.0","id":1,"method":2}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
    b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
)


@pytest.mark.parametrize("body", NOT_ONE_MESSAGE)
def test_what_is_not_one_message_is_refused(body: bytes) -> None:
    with pytest.raises(RpcError) as raised:
        read_client_message(body)
    assert raised.value.code == -32600


@pytest.mark.parametrize(
    "message",
    [{"method": "notifications/initialized"}, {"id": 1, "result": {}}, {"id": 1, "error": {"code": 1, "message": "m"}}],
)
def test_notifications_and_responses_have_no_answer(message: dict[str, Any]) -> None:
    assert not isinstance(read_client_message(json.dumps({"jsonrpc": "2.0", **message}).encode()), Request)


@pytest.mark.parametrize("code", [-32020, -32022, -32050, -32099])
def test_codes_of_the_protocol_are_reserved(code: int) -> None:
    assert is_reserved_code(code)


@pytest.mark.parametrize("code", [-32019, -32100, -32000, -32602, 0, 1])
def test_other_codes_are_not_reserved(code: int) -> None:
    assert not is_reserved_code(code)


@given(st.text(alphabet="a:\r\n ", max_size=30), st.lists(st.integers(0, 60), max_size=5))
def test_events_are_the_same_wherever_a_stream_is_divided(text: str, places: list[int]) -> None:
    stream = f"data: x\r\n\r\n{text}data: y\n\n".encode()
    reader = EventStreamReader()
    ends = sorted({min(place, len(stream)) for place in places} | {0, len(stream)})
    parts = [stream[begin:end] for begin, end in pairwise(ends)]
    assert [each for part in parts for each in reader.feed(part)] == list(EventStreamReader().feed(stream))


def test_an_event_that_only_has_an_id_is_left_out() -> None:
    assert list(EventStreamReader().feed(b"id: 1\ndata: \n\nid: 2\ndata: {}\n\n")) == [b"{}"]
