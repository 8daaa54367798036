"""`secure_tool` on a FastMCP 4 server. This is the only package of the library that imports FastMCP.

    mcp = FastMCP("example")

    @mcp.tool
    @secure_tool(pii_policy="mask", scopes=["mcp.decrypt"])
    async def look_up(person_id: Annotated[str, Identifier], ctx: Context) -> Person: ...

    tool_scopes = secure_server(mcp)      # after the last tool is registered; pass the table to the Guard

Resources and prompts are decorated with `secure_tool` in the same way. The parts of a call:

    tools/call ─▶ PolicyMiddleware ─▶ FastMCP validates the arguments ─▶ secure_tool ─▶ the tool
                   │ errors, lists                                          │ arguments, result, audit event
                   └─ ProtectedSession ◀─ progress, log messages, questions ┘

    server         secure_server: checks that every component is protected, and adds the middleware
    middleware     PolicyMiddleware and ProtectedSession
    call_errors    what client, audit trail and log get for a call that fails
    unavailable    HTTP status 503 for a call that cannot be recorded
    media_content  images, audio and files in the walk over data
"""

from security_common.fastmcp import media_content as media_content  # registers its handlers
from security_common.fastmcp.middleware import PolicyMiddleware, ProtectedSession
from security_common.fastmcp.server import UnsecuredComponent, secure_server
from security_common.fastmcp.unavailable import ServiceUnavailableMiddleware

__all__ = [
    "PolicyMiddleware",
    "ProtectedSession",
    "ServiceUnavailableMiddleware",
    "UnsecuredComponent",
    "secure_server",
]
