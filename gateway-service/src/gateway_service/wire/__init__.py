"""The MCP protocol as an intermediary sees it: JSON-RPC messages, versions, header rules and event streams. Pure.

    request ─▶ json_rpc: one message ─▶ request_headers: which version, and do headers and body agree
                                     ─▶ parameter_headers: the Mcp-Param headers of a tool call
    response of an upstream ─▶ event_stream, json_rpc

versions has the protocol versions and the names of the reserved members of `_meta`.
"""
