"""Storing sensitive data encrypted, reading one's own back, and the operation that takes no personal data at all."""

from datetime import datetime
from typing import Annotated, Literal

from fastmcp import FastMCP
from pydantic import Field
from typing_extensions import TypedDict

from mcp_resource_service.records import RecordStore
from mcp_resource_service.scopes import DECRYPT_SCOPE
from mcp_resource_service.tools.caller import owner
from security_common.encryption import EncryptionService
from security_common.tool_policy import Identifier, annotate_audit_event, bind_field, owner_of, secure_tool

__all__ = ["register"]

FieldName = Annotated[
    str,
    Identifier,
    Field(
        description="Short name of what this is, such as `customer_email`; the ciphertext is bound to it. "
        "저장할 항목의 이름.",
        pattern=r"^[a-z][a-z_]{0,47}$",
    ),
]


class StoredRecord(TypedDict):
    """What was stored, without its content."""

    record_id: str
    field: str
    stored_at: datetime
    encrypted: Literal[True]


class ClearRecord(TypedDict):
    """One's own record in clear."""

    record_id: str
    field: str
    stored_at: datetime
    data: str


class AcceptedOperation(TypedDict):
    """An operation on file."""

    operation_id: str
    status: Literal["accepted"]
    accepted_at: datetime


def register(mcp: FastMCP, records: RecordStore, encryption: EncryptionService) -> None:
    """Adds `store_sensitive_data`, `read_sensitive_data` and `high_security_operation`."""

    @mcp.tool(
        title="Store sensitive data · 민감 데이터 저장",
        annotations={"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": False},
    )
    @secure_tool(requires_encryption=True, pii_policy="encrypt")
    async def store_sensitive_data(
        data: Annotated[
            str,
            Field(
                description="The text to keep, up to 64 KiB; personal data is fine. 보관할 내용. 개인정보도 됩니다.",
                min_length=1,
                max_length=65_536,
            ),
        ],
        field: FieldName = "note",
    ) -> StoredRecord:
        """Store text encrypted, for you alone, and return its record_id once it is on disk.

        Keep the record_id: `read_sensitive_data` needs it, and `records://mine` lists yours.
        텍스트를 암호화하여 저장하고, 디스크에 기록된 뒤 record_id를 반환합니다. 저장한 본인만 다시 읽을 수 있습니다.
        """
        mine = owner()
        # The policy hands over ciphertext bound to this argument; the store binds the text anew, to its record.
        arrived_as = bind_field(owner=owner_of(mine.issuer, mine.subject), tool="store_sensitive_data", name="data")
        kept = await records.keep(mine, field, encryption.decrypt(data, context=arrived_as))
        annotate_audit_event(data_subject=mine.subject, task="store")
        return {"record_id": kept.record_id, "field": kept.field, "stored_at": kept.stored_at, "encrypted": True}

    @mcp.tool(
        title="Read sensitive data · 민감 데이터 열람",
        annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    )
    @secure_tool(pii_policy="observe", scopes=[DECRYPT_SCOPE])
    async def read_sensitive_data(
        record_id: Annotated[
            str,
            Identifier,
            Field(
                description="As returned by store_sensitive_data. store_sensitive_data가 반환한 식별자.", max_length=64
            ),
        ],
    ) -> ClearRecord:
        """Read one of your own records in clear text. Needs the scope mcp.decrypt.

        Without the scope the answer is 403 insufficient_scope and a client can ask for more (step-up). Other people's
        records are not found. 본인이 저장한 기록을 평문으로 열람합니다. mcp.decrypt 권한이 필요합니다.
        """
        mine = owner()
        record = await records.open(mine, record_id)
        annotate_audit_event(data_subject=mine.subject, task="view")
        return {
            "record_id": record.record_id,
            "field": record.field,
            "stored_at": record.stored_at,
            "data": record.text,
        }

    @mcp.tool(
        title="High-security operation · 고보안 작업",
        annotations={"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": False},
    )
    @secure_tool(pii_policy="reject")
    async def high_security_operation(
        operation_data: Annotated[
            str,
            Field(
                description="What is to be done, in words that name no person. 개인정보를 포함하지 않은 작업 내용.",
                min_length=1,
                max_length=4_096,
            ),
        ],
    ) -> AcceptedOperation:
        """File an operation for the security team. Refused as a whole if it holds any personal data.

        On refusal the error names the argument and the kinds found: remove them, refer to people by person_id, and call
        again. 보안 작업을 접수합니다. 개인정보가 들어 있으면 거부되며, 오류에 항목과 종류가 표시됩니다.
        """
        filed = await records.keep(owner(), "operation", operation_data)
        return {"operation_id": filed.record_id, "status": "accepted", "accepted_at": filed.stored_at}
