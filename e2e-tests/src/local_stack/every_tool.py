"""One call of every tool, in an order that any client can play: what the client tests compare clients by."""

from typing import Any

__all__ = ["RECORD", "SECRET_TEXT", "every_call"]

SECRET_TEXT = "고객 이메일: customer@company.com"  # noqa: S105 - a record's content, not a secret of ours
RECORD = "$record"


def every_call(record_id: str = RECORD) -> list[tuple[str, dict[str, Any]]]:
    """Tool and arguments. The last one needs mcp.decrypt: a client that began with less has to step up."""
    return [
        ("get_server_status", {}),
        ("create_test_token", {}),
        ("get_user_info", {"person_id": "p_hong"}),
        ("store_sensitive_data", {"data": SECRET_TEXT, "field": "customer_email"}),
        ("high_security_operation", {"operation_data": "rotate the keys"}),
        ("test_pii_detection", {"text": SECRET_TEXT}),
        ("test_encryption", {"text": "plain"}),
        ("get_security_audit_log", {"limit": 5}),
        ("generate_security_report", {}),
        ("simulate_data_breach_detection", {"scenario": "all"}),
        ("read_sensitive_data", {"record_id": record_id}),
    ]
