"""The tool that sends a message to a telephone number, in demo mode only: messages stay in an outbox of records."""

import json
import re
from typing import Annotated, ClassVar

from fastmcp import FastMCP
from pydantic import Field
from typing_extensions import TypedDict

from mcp_resource_service.records import RecordStore
from mcp_resource_service.scopes import ACCESS_SCOPE
from mcp_resource_service.tools.caller import record_owner
from security_common.errors import SecurityError
from security_common.tool_policy import annotate_audit_event, secure_tool

__all__ = ["RecipientInvalid", "register"]

PHONE_NUMBER = re.compile(r"\+?[0-9][0-9 ().\-]{6,24}")


class RecipientInvalid(SecurityError):
    """The recipient of a message is not a telephone number."""

    error: ClassVar[str] = "invalid_recipient"


class SentMessage(TypedDict):
    """A message in the outbox; recipient and text have placeholders for personal data."""

    message_id: str
    to: str
    text: str


def register(mcp: FastMCP, records: RecordStore) -> None:
    """Adds `send_message`."""

    @mcp.tool(
        title="Send a message · 메시지 보내기",
        annotations={"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": False},
    )
    @secure_tool(pii_policy="tokenize", reveal=["PHONE", "PERSON"], scopes=[ACCESS_SCOPE])
    async def send_message(
        to: Annotated[
            str,
            Field(
                description="Telephone number, or a placeholder of one, such as [PHONE_7KQ2MZ]. "
                "전화번호 또는 전화번호의 자리표시자.",
                max_length=64,
            ),
        ],
        text: Annotated[
            str,
            Field(
                description="The message. It may have placeholders of names and telephone numbers. 메시지 내용.",
                min_length=1,
                max_length=2_000,
            ),
        ],
    ) -> SentMessage:
        """Send a text message to a telephone number. You never see the number: pass its placeholder from get_user_info.

        The tool receives the values of placeholders for names and telephone numbers. Demo mode only: the message is not
        delivered but stored encrypted as a record of yours, which read_sensitive_data returns.
        전화번호의 자리표시자를 넘기면 번호를 보지 않고도 메시지를 보낼 수 있습니다. 데모 모드 전용입니다.
        """
        if not PHONE_NUMBER.fullmatch(to):
            raise RecipientInvalid(
                "the recipient is not a telephone number",
                hint="pass a number, or a placeholder that begins with [PHONE_, as get_user_info returns it",
            )
        message = json.dumps({"to": to, "text": text}, ensure_ascii=False)
        stored = await records.store(record_owner(), "message", message)
        annotate_audit_event(task="store")
        return {"message_id": stored.record_id, "to": to, "text": text}
