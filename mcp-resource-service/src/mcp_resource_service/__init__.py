"""An MCP server behind OAuth, and REST endpoints."""
