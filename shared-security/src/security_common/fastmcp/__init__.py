"""`secure_tool` on a FastMCP 4 server. This is the only package of the library that imports FastMCP.

    mcp = FastMCP("example")

    @mcp.tool
    @secure_tool(pii_policy="mask", scopes=["mcp.decrypt"])
    async def look_up(person_id: Annotated[str, Identifier], ctx: Context) -> Person: ...

    tool_scopes = secure_server(mcp)      # after the last tool is registered; pass the table to the Guard

Resources, prompts and the completion handler are decorated with `secure_tool` in the same way. The parts of a call:

    tools/call ─▶ WirePolicy ─▶ PolicyMiddleware ─▶ FastMCP validates the arguments ─▶ secure_tool ─▶ the tool
                   │  ▲          failures, lists     and serializes the result           arguments
                   │  └ result in JSON form, audit event
                   └ ProtectedChannel ◀─ progress, log messages, requests to the client ◀─ the tool

    server             secure_server: checks that everything is protected, and adds the layers
    components         tools, resources, prompts and the completion handler, and their policies
    wire_policy        WirePolicy: the outermost layer, protects and records what is sent
    outbound_messages  ProtectedChannel: what is sent before the result
    middleware         PolicyMiddleware: failures of calls, and lists
    call_errors        what client, audit trail and log get for a call that fails
    unavailable        HTTP status 503 for a call that cannot be recorded
    media_content      images, audio and files in the walk over values of Python
"""

from security_common.fastmcp import media_content as media_content  # registers its handlers
from security_common.fastmcp.middleware import PolicyMiddleware
from security_common.fastmcp.server import UnsecuredComponent, secure_server
from security_common.fastmcp.unavailable import ServiceUnavailableMiddleware
from security_common.fastmcp.wire_policy import WirePolicy

__all__ = ["PolicyMiddleware", "ServiceUnavailableMiddleware", "UnsecuredComponent", "WirePolicy", "secure_server"]
