"""The HTTP endpoints of this service other than the audit page, and what they report.

GET  /              server information, JSON           token with mcp.access
GET  /hello         a greeting, text                   token with mcp.access
POST /mcp           the MCP endpoint                   token with mcp.access, and the scopes of the tool
GET  /livez         the process runs                   open, checks nothing
GET  /readyz        the process can serve requests     open, checks keys, journal and Redis
GET  /openapi.json  the OpenAPI document               open
GET  /docs          the document as a page             open, in demo mode or with MCP_API_DOCS
GET  /favicon.ico   the icon                           open
GET  /.well-known/oauth-protected-resource[/mcp]
                    the resource metadata (RFC 9728)   open
"""

from mcp_resource_service.rest.metrics import Metrics
from mcp_resource_service.rest.readiness import make_readiness
from mcp_resource_service.rest.routes import SECURITY_SCHEME, add_routes

__all__ = ["SECURITY_SCHEME", "Metrics", "add_routes", "make_readiness"]
