"""The tool that looks up a person in the directory."""

from typing import Annotated, Literal

from fastmcp import FastMCP
from pydantic import Field
from typing_extensions import TypedDict

from mcp_resource_service.directory import Directory
from mcp_resource_service.scopes import ACCESS_SCOPE
from security_common.tool_policy import Identifier, annotate_audit_event, secure_tool

__all__ = ["register"]


class UserInfo(TypedDict):
    """A person of the directory; the policy masks the personal data or replaces it by placeholders."""

    person_id: str
    name: str
    email: str
    phone: str
    department: str
    position: str


def register(mcp: FastMCP, directory: Directory, policy: Literal["mask", "tokenize"]) -> None:
    """Adds `get_user_info` with this policy."""

    @mcp.tool(
        title="Look up a user · 사용자 정보 조회",
        annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    )
    @secure_tool(pii_policy=policy, scopes=[ACCESS_SCOPE])
    async def get_user_info(
        person_id: Annotated[
            str,
            Identifier,
            Field(
                description="Opaque id of the person, for example `p_hong`. The resource directory://people lists the "
                "ids. 사용자의 내부 식별자(개인정보가 아님).",
                min_length=3,
                max_length=64,
            ),
        ],
    ) -> UserInfo:
        """Look up one person in the directory by opaque id.

        Name, e-mail address and phone number are never returned in clear: they are masked, or replaced by placeholders
        such as [PHONE_7KQ2MZ], which other tools accept as arguments. A second call returns the same values. There is
        no search by name.
        디렉터리에서 식별자로 사용자를 조회합니다. 개인정보는 마스킹하거나 자리표시자로 바꿔 반환합니다.
        """
        person = await directory.find(person_id)
        annotate_audit_event(data_subject=person_id, task="view")
        return {"person_id": person.person_id, **person.personal_fields()}  # pyright: ignore[reportReturnType] - the field names of Person
