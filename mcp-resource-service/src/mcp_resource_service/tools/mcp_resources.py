"""The MCP resources and prompts. `secure_tool` protects them in the same way as tools.

guide://tools        which tool does what
policy://tools       personal-data policy and scopes of every tool
directory://people   ids of people for get_user_info
records://mine       the caller's stored records, without content
audit://mine         the caller's newest audit events
"""

import json
from importlib.resources import files
from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import Field

from mcp_resource_service.directory import Directory
from mcp_resource_service.records import RecordStore
from mcp_resource_service.scopes import ACCESS_SCOPE
from mcp_resource_service.tools.audit_tools import read_own_events
from mcp_resource_service.tools.caller import record_owner
from security_common.audit.event_index.searchable_trail import SearchableTrail
from security_common.tool_policy import secure_tool, secured_tool_of

__all__ = ["register"]

MAX_ENTRIES = 100
OWN_EVENTS = 20


def register(mcp: FastMCP, trail: SearchableTrail, records: RecordStore, directory: Directory) -> None:
    """Adds every resource and prompt."""
    _register_documents(mcp)
    _register_data(mcp, trail, records, directory)
    _register_prompts(mcp)


def _register_documents(mcp: FastMCP) -> None:
    @mcp.resource("guide://tools", title="Guide to the tools · 도구 안내", mime_type="text/markdown")
    @secure_tool(pii_policy="observe", log_access=False, scopes=[ACCESS_SCOPE])
    async def tool_guide() -> str:
        """Which tool does what. Read it first. 어떤 도구를 쓰면 되는지 안내합니다."""
        return _text("tool_guide.md")

    @mcp.resource("policy://tools", title="Security policy · 보안 정책", mime_type="text/markdown")
    @secure_tool(pii_policy="observe", log_access=False, scopes=[ACCESS_SCOPE])
    async def security_policy() -> str:
        """The personal-data policy and the scopes of each tool. 도구별 개인정보 정책과 필요한 권한(scope)입니다."""
        rows = [_policy_row(tool) for tool in await mcp.list_tools(run_middleware=False)]
        return _text("tool_policies.md") + "".join(rows)


def _register_data(mcp: FastMCP, trail: SearchableTrail, records: RecordStore, directory: Directory) -> None:
    @mcp.resource("directory://people", title="Directory ids · 디렉터리 식별자", mime_type="application/json")
    @secure_tool(pii_policy="mask", scopes=[ACCESS_SCOPE])
    async def directory_ids() -> str:
        """Opaque ids for get_user_info, at most 100. get_user_info에 쓸 식별자 목록입니다."""
        return json.dumps({"person_ids": await directory.ids(limit=MAX_ENTRIES)})

    @mcp.resource("records://mine", title="My records · 내 저장 데이터", mime_type="application/json")
    @secure_tool(pii_policy="mask", scopes=[ACCESS_SCOPE])
    async def my_records() -> str:
        """Your stored records without their content, newest first. 내가 저장한 데이터의 목록입니다. 내용은 없습니다."""
        summaries = await records.list_of(record_owner(), limit=MAX_ENTRIES)
        return json.dumps(
            [
                {"record_id": summary.record_id, "field": summary.field, "stored_at": summary.stored_at.isoformat()}
                for summary in summaries
            ]
        )

    @mcp.resource("audit://mine", title="My audit events · 내 감사 기록", mime_type="application/json")
    @secure_tool(pii_policy="mask", scopes=[ACCESS_SCOPE])
    async def my_trail() -> str:
        """Your own 20 newest audit events. 내 최근 감사 기록 20건입니다."""
        return json.dumps(await read_own_events(trail, limit=OWN_EVENTS), ensure_ascii=False, default=str)


def _register_prompts(mcp: FastMCP) -> None:
    @mcp.prompt(title="Review my activity · 내 활동 점검")
    @secure_tool(pii_policy="mask", log_access=False, scopes=[ACCESS_SCOPE])
    async def review_my_activity() -> str:
        """Ask for a review of your own audit events. 내 활동을 점검해 달라고 요청합니다."""
        return (
            "Read audit://mine, then call generate_security_report. Tell me in a few sentences what was done in my "
            "name, which personal data was accessed, what was refused and why, and whether anything looks unusual. "
            "Answer in the language I write in. 내 이름으로 이루어진 활동을 요약하고 이상한 점을 알려 주세요."
        )

    @mcp.prompt(title="Store it safely · 안전하게 보관")
    @secure_tool(pii_policy="mask", log_access=False, scopes=[ACCESS_SCOPE])
    async def store_safely(
        field: Annotated[str, Field(description="Short name of the data, such as customer_email. 항목의 이름.")],
    ) -> str:
        """Ask to store a text encrypted. 민감한 내용을 암호화해 보관해 달라고 요청합니다."""
        return (
            f"I will give you a text. Store it with store_sensitive_data under the field {field}, tell me the "
            "record_id, and do not repeat the text. 제가 보내는 내용을 저장하고 record_id만 알려 주세요."
        )


def _text(name: str) -> str:
    return files("mcp_resource_service.tools").joinpath(name).read_text(encoding="utf-8")


def _policy_row(tool: Any) -> str:
    tool_policy = secured_tool_of(tool.fn)
    if tool_policy is None:
        return ""
    policies = f"{tool_policy.policy} | {tool_policy.result_policy}"
    return f"| `{tool.name}` | {policies} | {tool_policy.scopes} |\n"
