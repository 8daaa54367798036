"""Looking someone up in the directory."""

from typing import Annotated

from fastmcp import FastMCP
from pydantic import Field
from typing_extensions import TypedDict

from mcp_resource_service.directory import Directory
from security_common.tool_policy import Identifier, annotate_audit_event, secure_tool

__all__ = ["register"]


class UserInfo(TypedDict):
    """A person as the caller may see them."""

    person_id: str
    name: str
    email: str
    phone: str
    department: str
    position: str


def register(mcp: FastMCP, directory: Directory) -> None:
    """Adds `get_user_info`."""

    @mcp.tool(
        title="Look up a person · 인물 조회",
        annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    )
    @secure_tool(pii_policy="mask")
    async def get_user_info(
        person_id: Annotated[
            str,
            Identifier,
            Field(
                description="Opaque id of the person, for example `p_hong`. The ids are in directory://people. "
                "사람의 불투명 식별자.",
                min_length=3,
                max_length=64,
            ),
        ],
    ) -> UserInfo:
        """Look up one person of the service's directory by opaque id.

        Name, e-mail address and phone number come back masked; that is the policy, not an error, and asking again does
        not change it. There is no search by name.
        디렉터리에서 식별자로 한 사람을 조회합니다. 개인정보는 마스킹되어 반환됩니다.
        """
        person = await directory.find(person_id)
        annotate_audit_event(data_subject=person_id, task="view")
        return {"person_id": person.person_id, **person.personal_fields()}  # pyright: ignore[reportReturnType] - same keys by construction
