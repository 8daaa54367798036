"""The MCP server with all tools, resources and prompts, and the table of scopes for the guard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import fastmcp
import httpx2
from fastmcp import FastMCP

from mcp_resource_service.directory import Directory
from mcp_resource_service.records import RecordStore
from mcp_resource_service.scopes import REQUESTABLE_SCOPES
from mcp_resource_service.settings import ResourceSettings
from mcp_resource_service.tools import (
    audit_tools,
    breach_simulation,
    demo_token,
    mcp_resources,
    messages,
    pii_tools,
    sensitive_data,
    server_status,
    user_info,
)
from security_common.audit.event_index.searchable_trail import SearchableTrail
from security_common.audit.reading import KeyInUse
from security_common.encryption import EncryptionService
from security_common.fastmcp import secure_server
from security_common.guard import ToolScopes
from security_common.pii import PIIDetector
from security_common.service.health import Readiness

__all__ = ["LONG_TOOLS", "ToolDependencies", "build_mcp"]

LIST_LIFETIME_SECONDS = 60
# These may run for seconds: they report progress on a stream, and closing the stream cancels them.
LONG_TOOLS = frozenset({"generate_security_report", "simulate_data_breach_detection"})

INSTRUCTIONS = """\
An MCP server that protects personal data. Every call is recorded in an audit trail. Each tool has a policy: directory
entries are masked or have placeholders such as [PHONE_7KQ2MZ], which you pass on unchanged; only the owner can read
stored data; some tools reject personal data. An error says what to change. Call get_server_status first.
개인정보를 보호하는 MCP 서버입니다. 모든 호출은 감사 기록에 남습니다. 먼저 get_server_status를 호출하세요."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDependencies:
    """The parts of the service that the tools use."""

    settings: ResourceSettings
    version: str
    trail: SearchableTrail
    http: httpx2.AsyncClient
    records: RecordStore
    directory: Directory
    detector: PIIDetector
    encryption: EncryptionService
    readiness: Readiness
    clock: Callable[[], float]
    uptime_seconds: Callable[[], float]
    keys_in_use: Callable[[], Sequence[KeyInUse]]


def build_mcp(parts: ToolDependencies) -> tuple[FastMCP, ToolScopes]:
    """Returns the server with every tool that this installation offers, and the scopes that each tool needs."""
    if "telemetry_mode" not in fastmcp.settings.model_fields_set:
        # Spans that no exporter collects cost a tenth of a call. The caller's trace context is still propagated.
        fastmcp.settings.telemetry_mode = "propagation_only"
    mcp: FastMCP = FastMCP(
        "mcp-resource-service",
        INSTRUCTIONS,
        version=parts.version,
        mask_error_details=True,
        on_duplicate="error",
        # Lists depend on the scopes of the caller, so a cached list must not be shown to another caller.
        cache_ttl=LIST_LIFETIME_SECONDS,
        cache_scope="private",
    )
    endpoints = {
        "mcp": parts.settings.resource,
        "hello": f"{parts.settings.origin}/hello",
        "information": f"{parts.settings.origin}/",
        "authorization_server": parts.settings.issuer,
    }
    server_status.register(
        mcp, parts.readiness, version=parts.version, endpoints=endpoints, uptime_seconds=parts.uptime_seconds
    )
    user_info.register(mcp, parts.directory, parts.settings.directory_policy)
    sensitive_data.register(mcp, parts.records, parts.encryption)
    pii_tools.register(mcp, parts.detector, parts.encryption)
    audit_tools.register(mcp, parts.trail, keys_in_use=parts.keys_in_use)
    breach_simulation.register(mcp, parts.settings.security, parts.clock)
    mcp_resources.register(mcp, parts.trail, parts.records, parts.directory)
    if parts.settings.demo:
        demo_token.register(mcp, parts.http, parts.settings)
        messages.register(mcp, parts.records)
    return mcp, secure_server(mcp, attainable_scopes=REQUESTABLE_SCOPES)
