"""One call of every tool, in an order that works for any MCP client. The client tests compare clients with it."""

from collections.abc import Sequence
from typing import Any

from local_stack.demo_scenario import expect

__all__ = ["RECORD", "SECRET_TEXT", "Calls", "call_every_tool", "every_call"]

SECRET_TEXT = "고객 이메일: customer@company.com"  # noqa: S105 - a record's content, not a secret of ours
# A placeholder for the record id that store_sensitive_data returns.
RECORD = "$record"
DEMO_TOOLS = frozenset({"create_test_token", "send_message"})
Calls = Sequence[tuple[str, dict[str, Any]]]


def every_call(record_id: str = RECORD, *, demo: bool = True) -> Calls:
    """Tools and arguments. The last call needs mcp.decrypt: a client with fewer scopes has to step up."""
    calls: Calls = [
        ("get_server_status", {}),
        ("create_test_token", {}),
        ("get_user_info", {"person_id": "p_hong"}),
        ("send_message", {"to": "010-1234-5678", "text": "Good morning"}),
        ("store_sensitive_data", {"data": SECRET_TEXT, "field": "customer_email"}),
        ("high_security_operation", {"operation_data": "rotate the keys"}),
        ("test_pii_detection", {"text": SECRET_TEXT}),
        ("test_encryption", {"text": "plain"}),
        ("get_security_audit_log", {"limit": 5}),
        ("generate_security_report", {}),
        ("simulate_data_breach_detection", {"scenario": "all"}),
        ("read_sensitive_data", {"record_id": record_id}),
    ]
    return [call for call in calls if demo or call[0] not in DEMO_TOOLS]


async def call_every_tool(session: Any, calls: Calls) -> dict[str, Any]:
    """Lists the tools and calls each of them. `session` is FastMCP's client or the Python SDK's.

    Returns the structured result of each tool.
    """
    listed = await session.list_tools()
    listed_names = {tool.name for tool in getattr(listed, "tools", listed)}
    results: dict[str, Any] = {}
    for name, arguments in calls:
        values = {
            key: results["store_sensitive_data"]["record_id"] if value == RECORD else value
            for key, value in arguments.items()
        }
        result = await session.call_tool(name, values)
        expect(not result.is_error, (name, result.content))
        results[name] = result.structured_content
    expect(listed_names == set(results), listed_names ^ set(results))
    expect(results["read_sensitive_data"]["data"] == SECRET_TEXT, "the stored text was not returned")
    return results
