"""Resources and prompts: what a model may read before it calls, and ready questions for people.

They wear `secure_tool` as the tools do: masked where needed, and on record.
"""

import json
from importlib.resources import files
from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import Field
from redis.asyncio import Redis

from mcp_resource_service.directory import Directory
from mcp_resource_service.records import RecordStore
from mcp_resource_service.tools.audit_tools import read_own_trail
from mcp_resource_service.tools.caller import owner
from security_common.tool_policy import secure_tool, secured_tool_of

__all__ = ["register"]

LISTED = 100
EVENTS = 20


def register(mcp: FastMCP, redis: Redis, records: RecordStore, directory: Directory) -> None:
    """Adds every resource and prompt."""
    _register_resources(mcp, redis, records, directory)
    _register_prompts(mcp)


def _register_resources(mcp: FastMCP, redis: Redis, records: RecordStore, directory: Directory) -> None:
    @mcp.resource("guide://tools", title="Guide to the tools · 도구 안내", mime_type="text/markdown")
    @secure_tool(pii_policy="observe", log_access=False)
    async def tool_guide() -> str:
        """Which tool does what. Read it first. 어떤 도구를 쓸지 안내합니다."""
        return _text("tool_guide.md")

    @mcp.resource("policy://tools", title="Security policy · 보안 정책", mime_type="text/markdown")
    @secure_tool(pii_policy="observe", log_access=False)
    async def security_policy() -> str:
        """What each tool does about personal data, and its scopes. 도구별 개인정보 정책과 필요한 권한입니다."""
        rows = [_policy_row(tool) for tool in await mcp.list_tools(run_middleware=False)]
        return _text("tool_policies.md") + "".join(rows)

    @mcp.resource("directory://people", title="Ids of the directory · 디렉터리 식별자", mime_type="application/json")
    @secure_tool(pii_policy="mask")
    async def directory_ids() -> str:
        """Opaque ids for get_user_info, at most a hundred. get_user_info에 쓸 식별자 목록입니다."""
        return json.dumps({"person_ids": await directory.ids(limit=LISTED)})

    @mcp.resource("records://mine", title="My records · 내 기록", mime_type="application/json")
    @secure_tool(pii_policy="mask")
    async def my_records() -> str:
        """Your stored records without their content, newest first. 내가 저장한 기록의 목록입니다. 내용은 없습니다."""
        mine = await records.of(owner(), limit=LISTED)
        return json.dumps(
            [{"record_id": one.record_id, "field": one.field, "stored_at": one.stored_at.isoformat()} for one in mine]
        )

    @mcp.resource("audit://mine", title="My trail · 내 감사 로그", mime_type="application/json")
    @secure_tool(pii_policy="mask")
    async def my_trail() -> str:
        """Your own last twenty events on the audit trail. 내 최근 감사 로그 20건입니다."""
        return json.dumps(await read_own_trail(redis, limit=EVENTS), ensure_ascii=False, default=str)


def _register_prompts(mcp: FastMCP) -> None:
    @mcp.prompt(title="Review my activity · 내 활동 점검")
    @secure_tool(pii_policy="mask", log_access=False)
    async def review_my_activity() -> str:
        """Ask for a review of one's own trail. 내 활동을 점검해 달라고 요청합니다."""
        return (
            "Read audit://mine, then call generate_security_report. Tell me in a few sentences what was done in my "
            "name, which personal data was touched, what was refused and why, and whether anything looks unusual. "
            "Answer in the language I write in. 내 이름으로 이루어진 활동을 요약하고 이상한 점을 알려 주세요."
        )

    @mcp.prompt(title="Store it safely · 안전하게 보관")
    @secure_tool(pii_policy="mask", log_access=False)
    async def store_safely(
        field: Annotated[str, Field(description="Short name of what it is, such as customer_email. 항목의 이름.")],
    ) -> str:
        """Ask to keep something encrypted. 민감한 내용을 암호화해 보관해 달라고 요청합니다."""
        return (
            f"I will give you a text. Store it with store_sensitive_data under the field {field}, tell me the "
            "record_id, and do not repeat the text. 제가 드리는 내용을 저장하고 record_id만 알려 주세요."
        )


def _text(name: str) -> str:
    return files("mcp_resource_service.tools").joinpath(name).read_text(encoding="utf-8")


def _policy_row(tool: Any) -> str:
    declared = secured_tool_of(tool.fn)
    if declared is None:
        return ""
    scopes = " ".join(sorted({"mcp.access", *declared.scopes}))
    return f"| `{tool.name}` | {declared.policy} | {declared.result_policy} | {scopes} |\n"
