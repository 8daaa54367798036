"""A server with FastMCP: python fastmcp_server.py stdio|PORT."""

import sys

from fastmcp import FastMCP

mcp: FastMCP[None] = FastMCP("fastmcp")


@mcp.tool
def echo(message: str) -> str:
    return f"Echo: {message}"


@mcp.tool
def weather(location: str) -> dict[str, object]:
    return {"location": location, "temperature": 21.5}


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        mcp.run(show_banner=False)
    else:
        mcp.run("http", port=int(sys.argv[1]), show_banner=False)
