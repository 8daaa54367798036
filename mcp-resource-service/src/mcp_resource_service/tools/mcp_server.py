"""The MCP server: every tool registered, and what FastMCP does not do by itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import fastmcp
import httpx2
from fastmcp import FastMCP
from redis.asyncio import Redis

from mcp_resource_service.directory import Directory
from mcp_resource_service.records import RecordStore
from mcp_resource_service.rest import Health
from mcp_resource_service.scopes import ACCESS_SCOPE, DECRYPT_SCOPE
from mcp_resource_service.settings import ResourceSettings
from mcp_resource_service.tools import (
    audit_tools,
    breach_simulation,
    demo_token,
    mcp_resources,
    pii_tools,
    sensitive_data,
    server_status,
    user_info,
)
from security_common.audit.reading import KeyInUse
from security_common.encryption import EncryptionService
from security_common.fastmcp import secure_server
from security_common.guard import ToolScopes
from security_common.pii import PIIDetector

__all__ = ["LONG_TOOLS", "ToolParts", "build_mcp"]

LIST_LIFETIME_SECONDS = 60
# These may work for seconds: they report progress, and closing their stream cancels them.
LONG_TOOLS = frozenset({"generate_security_report", "simulate_data_breach_detection"})

INSTRUCTIONS = """\
An MCP server that guards personal data. Every call is on an audit trail. What you see depends on the tool's policy:
directory entries come back masked, stored data comes back to its owner only, and some tools refuse personal data.
A refusal says what to change. Start with get_server_status.
개인정보를 보호하는 MCP 서버입니다. 모든 호출은 감사 로그에 남습니다. get_server_status부터 시작하십시오."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolParts:
    """What the tools work with."""

    settings: ResourceSettings
    version: str
    redis: Redis
    http: httpx2.AsyncClient
    records: RecordStore
    directory: Directory
    detector: PIIDetector
    encryption: EncryptionService
    health: Health
    clock: Callable[[], float]
    uptime_seconds: Callable[[], float]
    keys_in_use: Callable[[], Sequence[KeyInUse]]


def build_mcp(parts: ToolParts) -> tuple[FastMCP, ToolScopes]:
    """The server with every tool that this installation offers, and the scopes that tools need on top."""
    if "telemetry_mode" not in fastmcp.settings.model_fields_set:
        # Spans that nobody collects are a tenth of a call's work. A caller's trace context is passed on all the same.
        fastmcp.settings.telemetry_mode = "propagation_only"
    mcp: FastMCP = FastMCP(
        "mcp-resource-service",
        INSTRUCTIONS,
        version=parts.version,
        mask_error_details=True,
        on_duplicate="error",
        # What a list holds depends on the caller's scopes: nobody else may be shown a cached one.
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
        mcp, parts.health, version=parts.version, endpoints=endpoints, uptime_seconds=parts.uptime_seconds
    )
    user_info.register(mcp, parts.directory)
    sensitive_data.register(mcp, parts.records, parts.encryption)
    pii_tools.register(mcp, parts.detector, parts.encryption)
    audit_tools.register(mcp, parts.redis, keys_in_use=parts.keys_in_use)
    breach_simulation.register(mcp, parts.settings.security, parts.clock)
    mcp_resources.register(mcp, parts.redis, parts.records, parts.directory)
    if parts.settings.demo:
        demo_token.register(mcp, parts.http, parts.settings)
    # A tool that a caller may still ask the scope for stays in the lists: calling it is how the asking begins.
    declared = secure_server(mcp, attainable_scopes={ACCESS_SCOPE, DECRYPT_SCOPE})
    by_arguments = dict.fromkeys(
        ("get_security_audit_log", "generate_security_report"), audit_tools.scopes_of_trail_call
    )
    return mcp, {**declared, **by_arguments}
