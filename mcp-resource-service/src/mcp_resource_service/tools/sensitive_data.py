"""The tools that store sensitive data, read it back, and accept an operation without personal data."""

from datetime import datetime
from typing import Annotated, Literal

from fastmcp import FastMCP
from pydantic import Field
from typing_extensions import TypedDict

from mcp_resource_service.records import RecordStore
from mcp_resource_service.scopes import ACCESS_SCOPE, DECRYPT_SCOPE
from mcp_resource_service.tools.caller import record_owner
from security_common.encryption import EncryptionService
from security_common.tool_policy import Identifier, annotate_audit_event, bind_field, owner_of, secure_tool

__all__ = ["register"]

FieldName = Annotated[
    str,
    Identifier,
    Field(
        description="Short name of the data, such as `customer_email`. The ciphertext is bound to it. "
        "저장할 항목의 이름.",
        pattern=r"^[a-z][a-z_]{0,47}$",
    ),
]


class StoredRecord(TypedDict):
    """A new record, without its content."""

    record_id: str
    field: str
    stored_at: datetime
    encrypted: Literal[True]


class PlaintextRecord(TypedDict):
    """A record of the caller with its content in plaintext."""

    record_id: str
    field: str
    stored_at: datetime
    data: str


class AcceptedOperation(TypedDict):
    """An operation that was stored as a record of the caller."""

    operation_id: str
    status: Literal["accepted"]
    accepted_at: datetime


def register(mcp: FastMCP, records: RecordStore, encryption: EncryptionService) -> None:
    """Adds `store_sensitive_data`, `read_sensitive_data` and `high_security_operation`."""

    @mcp.tool(
        title="Store sensitive data · 민감 데이터 저장",
        annotations={"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": False},
    )
    @secure_tool(requires_encryption=True, pii_policy="encrypt", scopes=[ACCESS_SCOPE])
    async def store_sensitive_data(
        data: Annotated[
            str,
            Field(
                description="The text to store, up to 65,536 characters. It may contain personal data. "
                "저장할 내용. 개인정보를 포함해도 됩니다.",
                min_length=1,
                max_length=65_536,
            ),
        ],
        field: FieldName = "note",
    ) -> StoredRecord:
        """Store a text encrypted and return its record_id once it is on disk. Only you can read it back.

        Keep the record_id for `read_sensitive_data`. The resource `records://mine` lists your records.
        텍스트를 암호화하여 저장하고, 디스크에 기록된 뒤 record_id를 반환합니다. 저장한 본인만 다시 읽을 수 있습니다.
        """
        owner = record_owner()
        # The policy delivers `data` as ciphertext that is bound to this argument. The store encrypts the text again,
        # bound to its record.
        argument_binding = bind_field(
            owner=owner_of(owner.issuer, owner.subject), tool="store_sensitive_data", name="data"
        )
        stored = await records.store(owner, field, encryption.decrypt(data, context=argument_binding))
        annotate_audit_event(data_subject=owner.subject, task="store")
        return {"record_id": stored.record_id, "field": stored.field, "stored_at": stored.stored_at, "encrypted": True}

    @mcp.tool(
        title="Read sensitive data · 민감 데이터 조회",
        annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    )
    @secure_tool(pii_policy="observe", scopes=[ACCESS_SCOPE, DECRYPT_SCOPE])
    async def read_sensitive_data(
        record_id: Annotated[
            str,
            Identifier,
            Field(
                description="The record_id that store_sensitive_data returned. 저장할 때 받은 record_id.", max_length=64
            ),
        ],
    ) -> PlaintextRecord:
        """Read one of your own records in plaintext. Requires the scope mcp.decrypt.

        Without the scope the response is 403 insufficient_scope, and the client can request it (step-up). Records of
        other users are reported as not found.
        본인이 저장한 데이터를 평문으로 조회합니다. mcp.decrypt 권한이 필요합니다.
        """
        owner = record_owner()
        record = await records.read(owner, record_id)
        annotate_audit_event(data_subject=owner.subject, task="view")
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
    @secure_tool(pii_policy="reject", scopes=[ACCESS_SCOPE])
    async def high_security_operation(
        operation_data: Annotated[
            str,
            Field(
                description="Description of the operation, without personal data. 개인정보를 포함하지 않은 작업 내용.",
                min_length=1,
                max_length=4_096,
            ),
        ],
    ) -> AcceptedOperation:
        """Store the description of an operation. The call is rejected if the text contains personal data.

        It is stored as a record that only you can read. An error names the argument and the kinds of personal data:
        remove them, refer to people by person_id, and call again.
        작업 내용을 본인의 레코드로 저장합니다. 개인정보가 들어 있으면 거부되며, 오류에 인수와 종류가 표시됩니다.
        """
        stored = await records.store(record_owner(), "operation", operation_data)
        return {"operation_id": stored.record_id, "status": "accepted", "accepted_at": stored.stored_at}
