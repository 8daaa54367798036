"""The plain HTTP endpoints beside /mcp.

GET /          server information, JSON          behind the guard
GET /hello     a greeting, text                  behind the guard
GET /livez     this process runs                 open, looks at nothing
GET /readyz    this process can do its work      open, looks at keys and journal; tells about Redis
GET /favicon.ico   the icon                  open
"""

from mcp_resource_service.rest.health import Health
from mcp_resource_service.rest.metrics import MeasuredRequests, Metrics
from mcp_resource_service.rest.routes import health_routes, icon_route, protected_routes

__all__ = ["Health", "MeasuredRequests", "Metrics", "health_routes", "icon_route", "protected_routes"]
