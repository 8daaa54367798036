"""Which definitions of an upstream are offered, under which names."""

import json
import sys
from typing import Any

import pytest

from gateway_service.catalogue import Catalogue
from gateway_service.catalogue.definitions import OfferedDefinitions
from gateway_service.declaration import GatewayDeclaration, ToolRule, UpstreamDeclaration
from security_common.pii import PIIConfiguration
from security_common.tool_policy.policy import PIIPolicy

OBSERVE = ToolRule(arguments=PIIPolicy.OBSERVE, result=PIIPolicy.OBSERVE)
MASK = ToolRule(arguments=PIIPolicy.MASK, result=PIIPolicy.MASK)


def upstream(name: str, tools: dict[str, ToolRule] | None = None) -> UpstreamDeclaration:
    return UpstreamDeclaration(name=name, url="http://localhost:1/mcp", tools=tools, default_rule=OBSERVE)


def update(found: Catalogue, upstream: str, definitions: list[Any]) -> None:
    found.update(upstream, OfferedDefinitions(tools=definitions))


def catalogue(*upstreams: UpstreamDeclaration) -> Catalogue:
    return Catalogue(GatewayDeclaration(upstreams=upstreams), PIIConfiguration(), is_local=True)


def definition(name: str, **members: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, **members}


def listed(found: Catalogue, address: str = "") -> list[dict[str, Any]]:
    return json.loads(b"[%b]" % found.addresses[address].encoded_definitions((), None))


def names(found: Catalogue, address: str = "") -> list[str]:
    return [each["name"] for each in listed(found, address)]


def test_tools_are_listed_in_the_same_order_whatever_the_upstream_sends() -> None:
    found = catalogue(upstream("b"), upstream("a"))
    update(found, "b", [definition("z"), definition("y")])
    update(found, "a", [definition("x")])
    assert names(found) == ["a_x", "b_y", "b_z"]
    update(found, "b", [definition("y"), definition("z")])
    assert names(found) == ["a_x", "b_y", "b_z"]


@pytest.mark.parametrize(
    ("name", "is_exposed"), [("a" * 62, True), ("a" * 63, False), ("a.b", False), ("a-b_C", True), ("a_b", True)]
)
def test_a_name_that_clients_would_refuse_is_only_at_its_own_address(name: str, is_exposed: bool) -> None:
    found = catalogue(upstream("u"))
    update(found, "u", [definition(name)])
    assert names(found) == ([f"u_{name}"] if is_exposed else [])
    assert names(found, "u") == [name]
    assert [notice.startswith(f"{name} is not at") for notice in found.notices("u")] == [True] * (not is_exposed)


def test_two_tools_with_one_name_are_both_left_out() -> None:
    renamed = ToolRule(arguments=PIIPolicy.MASK, result=PIIPolicy.MASK, exposed_name="find")
    found = catalogue(upstream("u", {"search": renamed, "*": MASK}))
    update(found, "u", [definition("search"), definition("find"), definition("other")])
    assert names(found) == ["u_other"]
    assert names(found, "u") == ["find", "other", "search"]
    assert [notice.split(" is not")[0] for notice in found.notices("u")] == ["find", "search"]
    update(found, "u", [definition("twice"), definition("twice"), definition("find")])
    assert names(found, "u") == ["find"]


def test_a_renamed_tool_keeps_the_rule_of_its_own_name() -> None:
    renamed = ToolRule(arguments=PIIPolicy.MASK, result=PIIPolicy.MASK, exposed_name="find", scopes=frozenset({"s"}))
    found = catalogue(upstream("u", {"search": renamed}))
    update(found, "u", [definition("search"), definition("find")])
    tool = found.addresses[""].tools["u_find"]
    assert (tool.name, tool.rule) == ("search", renamed)
    assert found.addresses[""].tool_scopes == {"u_find": {"s"}}
    assert names(found, "u") == ["search"]


@pytest.mark.parametrize(
    "members",
    [
        {"inputSchema": None},
        {"inputSchema": []},
        {"outputSchema": "x"},
        {"description": 1},
        {"execution": {"taskSupport": "required"}},
        {"description": "x" * 300_000},
        {"inputSchema": {"properties": {"a": {"$ref": "https://example.com/schema"}}}},
        {"outputSchema": {"items": [{"$ref": "file:///etc/passwd"}]}},
        {"inputSchema": {"items": {"$dynamicRef": "https://example.com/schema#a"}}},
        {"inputSchema": {"$ref": "#/$defs/a", "$recursiveRef": "https://example.com/schema"}},
        {"inputSchema": {"properties": {"a": {"type": "number", "x-mcp-header": "A"}}}},
    ],
    ids=lambda members: str(members)[:40],
)
def test_a_definition_that_breaks_a_rule_is_left_out(members: dict[str, Any]) -> None:
    found = catalogue(upstream("u"))
    update(found, "u", [{**definition("bad"), **members}, definition("good")])
    assert names(found, "u") == ["good"]
    assert found.notices("u")[0].startswith("bad is left out: ")


@pytest.mark.parametrize("entry", [None, 1, [], {}, {"name": 1}, {"name": ""}, {"name": "a b"}, {"name": "a" * 129}])
def test_what_is_not_a_definition_is_left_out(entry: Any) -> None:
    found = catalogue(upstream("u"))
    update(found, "u", [entry, definition("good")])
    assert names(found, "u") == ["good"]
    assert found.notices("u")[0].startswith("a tool is left out: ")


def test_local_references_and_members_of_other_features_are_kept_or_dropped() -> None:
    found = catalogue(upstream("u"))
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}}
    members = {"inputSchema": schema, "execution": {"taskSupport": "optional"}, "_meta": {"x": 1}, "title": "T"}
    update(found, "u", [{**definition("t"), **members}])
    assert listed(found, "u") == [{"name": "t", "title": "T", "inputSchema": schema}]


def test_the_output_schema_has_no_rule_that_a_masked_value_can_break() -> None:
    schema = {"type": "object", "properties": {"phone": {"type": "string", "pattern": "^010", "maxLength": 13}}}
    loosened = {"type": "object", "properties": {"phone": {"type": "string"}}}
    for rule, expected in ((MASK, loosened), (OBSERVE, schema)):
        found = catalogue(upstream("u", {"t": rule}))
        update(found, "u", [definition("t", outputSchema=schema)])
        assert [each["outputSchema"] for each in listed(found)] == [expected]


def test_a_rule_that_applies_to_no_tool_is_reported() -> None:
    found = catalogue(upstream("u", {"find": MASK, "fnd": MASK, "x_*": MASK}))
    update(found, "u", [definition("find")])
    assert found.notices("u") == ("the rule fnd applies to no tool", "the rule x_* applies to no tool")


def test_named_tools_can_be_called_before_the_upstream_was_reached() -> None:
    found = catalogue(upstream("u", {"find": MASK, "x_*": MASK}))
    assert list(found.addresses[""].tools) == ["u_find"]
    assert names(found) == []
    update(found, "u", [definition("other")])
    assert list(found.addresses[""].tools) == []


def test_a_list_of_many_tools_encodes_no_definition_again() -> None:
    found = catalogue(*(upstream(name) for name in "abcde"))
    properties = {f"field_{number}": {"type": "string", "description": "x" * 40} for number in range(20)}
    for name in "abcde":
        schema = {"type": "object", "properties": properties}
        update(found, name, [definition(f"t{number}", inputSchema=schema) for number in range(100)])
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        text = found.addresses[""].encoded_definitions((), frozenset({"s"}))
    finally:
        sys.setprofile(None)
    assert len(json.loads(b"[%b]" % text)) == 500
    assert calls < 500 * 5


def test_the_table_of_the_guard_stays_the_same_object() -> None:
    scoped = ToolRule(arguments=PIIPolicy.MASK, result=PIIPolicy.MASK, scopes=frozenset({"s"}))
    found = catalogue(upstream("u", {"a*": scoped}))
    table = found.addresses[""].tool_scopes
    for name in ("ab", "ac"):
        update(found, "u", [definition(name)])
        assert found.addresses[""].tool_scopes is table
        assert table == {f"u_{name}": {"s"}}
