"""docs/audit.md lists exactly what is audited: every event type that the code writes, and no other."""

import ast
from pathlib import Path

from security_common.audit.reading.alerts import ALERT_EVENT_TYPE
from security_common.audit.segment_retention import REMOVAL_EVENT_TYPE

ROOT = Path(__file__).parents[3]
WRITTEN_BY = ("auth-service/src", "mcp-resource-service/src", "shared-security/src")
NAMED = {"ALERT_EVENT_TYPE": ALERT_EVENT_TYPE, "REMOVAL_EVENT_TYPE": REMOVAL_EVENT_TYPE}


def written() -> set[str]:
    """The value of every `event_type=` in the product."""
    found = set[str]()
    for folder in WRITTEN_BY:
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            values = [
                node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "event_type"
            ]
            found |= {value.value for value in values if isinstance(value, ast.Constant) and value.value}
            found |= {NAMED[value.id] for value in values if isinstance(value, ast.Name) and value.id in NAMED}
    return found


def documented() -> set[str]:
    text = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    table = text.partition("## What is audited")[2].partition("Not audited:")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in cell.split("`")[1::2]}


def test_the_page_lists_what_the_code_writes():
    assert documented() == written()
