"""`python -m mcp_resource_service.cli` is the command `mcp-resource-service`."""

from mcp_resource_service.cli.commands import main

main()
