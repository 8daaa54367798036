"""The one module that knows FastMCP."""
