"""Which rules are suggested for a tool, from its name, hints and schemas."""

from typing import Any

import pytest
import yaml

from gateway_service.catalogue.definitions import OfferedDefinitions
from gateway_service.catalogue.rule_suggestions import suggest_rule
from gateway_service.cli.suggest import rule_lines
from gateway_service.cli.upstream_offers import UpstreamOffer
from gateway_service.declaration import ToolRule, UpstreamDeclaration
from security_common.tool_policy.policy import PIIPolicy


def tool(name: str, *fields: str, result: dict[str, Any] | None = None, **hints: bool) -> dict[str, Any]:
    definition: dict[str, Any] = {"name": name, "inputSchema": {"properties": {field: {} for field in fields}}}
    if result is not None:
        definition["outputSchema"] = {"properties": result}
    return {**definition, "annotations": hints} if hints else definition


@pytest.mark.parametrize(
    ("definition", "scope"),
    [
        (tool("list_items"), "mcp.crm"),
        (tool("getWeather"), "mcp.crm"),
        (tool("weather", readOnlyHint=True), "mcp.crm"),
        (tool("weather"), "mcp.crm.write"),
        (tool("send_message"), "mcp.crm.write"),
        (tool("get_or_create", readOnlyHint=False), "mcp.crm.write"),
        (tool("create_item", readOnlyHint=True), "mcp.crm.write"),
        (tool("export_items"), "mcp.crm.export"),
        (tool("delete_item"), "mcp.crm.delete"),
        (tool("deleteItem", readOnlyHint=True), "mcp.crm.delete"),
        (tool("run", destructiveHint=True), "mcp.crm.delete"),
        (tool("list_items", readOnlyHint=True, destructiveHint=True), "mcp.crm"),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else value,
)
def test_the_scope_follows_from_verb_and_hints(definition: dict[str, Any], scope: str) -> None:
    assert suggest_rule("crm", definition).scope == scope


def test_fields_with_personal_data_make_a_policy() -> None:
    found = suggest_rule("crm", tool("find_customer", "customer_id", result={"phone": {}, "name": {}}))
    assert (found.policy, found.identifiers, found.subject, found.task) == (
        PIIPolicy.TOKENIZE,
        ("customer_id",),
        "customer_id",
        "view",
    )
    assert "fields with personal data: PERSON, PHONE" in found.reasons
    sending = suggest_rule("crm", tool("send_message", "email", "text", result={}))
    assert (sending.reveal, sending.task) == (("EMAIL",), "change")
    nested = {"rows": {"type": "array", "items": {"properties": {"주민등록번호": {}}}}}
    assert suggest_rule("crm", tool("list_rows", result=nested)).policy is PIIPolicy.TOKENIZE


@pytest.mark.parametrize(
    "definition",
    [
        tool("get_weather", "city", result={"temperature": {}}),
        tool("get_product", "id", result={"name": {}, "price": {}}),
        tool("list_users", result={"count": {}}),
        {"name": "odd", "inputSchema": None},
    ],
    ids=lambda value: value["name"],
)
def test_without_a_sign_of_personal_data_there_is_a_scope_only(definition: dict[str, Any]) -> None:
    found = suggest_rule("crm", definition)
    assert (found.policy, found.identifiers, found.subject, found.task) == (None, (), None, None)


def test_a_tool_about_persons_without_a_schema_of_its_result_gets_a_policy() -> None:
    found = suggest_rule("crm", tool("get_users"))
    assert found.policy is PIIPolicy.TOKENIZE
    assert found.reasons[1] == "about a user, and nothing says what a result contains"


def test_the_lines_are_yaml_with_the_names_as_they_are() -> None:
    tools = [tool("on"), tool("a.b"), tool("find_customer", "customer_id"), {"name": "not a name"}]
    rule = ToolRule(arguments=PIIPolicy.OBSERVE, result=PIIPolicy.OBSERVE)
    upstream = UpstreamDeclaration(name="crm", url="http://localhost:1/mcp", default_rule=rule)
    offer = UpstreamOffer(upstream, OfferedDefinitions(tools=tools))
    rules = yaml.safe_load("\n".join(rule_lines(offer, scope_only=False)))["tools"]
    assert list(rules) == ["a.b", "find_customer", "on"]
    assert rules["find_customer"]["identifiers"] == ["customer_id"]
    scopes = yaml.safe_load("\n".join(rule_lines(offer, scope_only=True)))["tools"]
    assert scopes["find_customer"] == {"scope": "mcp.crm"}
