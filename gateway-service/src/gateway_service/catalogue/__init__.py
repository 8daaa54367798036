"""Which tools the gateway offers, under which names, with which rules.

    definitions of an upstream ─▶ tool_definitions: checked, with the rule that names the tool ─▶ GatewayTool
                               ─▶ Catalogue: the tools of each address, and the scopes that the guard compares

refresh asks the upstreams for their definitions in the background. The call path asks for no list.
"""

from gateway_service.catalogue.catalogue import Address, Catalogue
from gateway_service.catalogue.refresh import CatalogueRefresh
from gateway_service.catalogue.tool_definitions import GatewayTool

__all__ = ["Address", "Catalogue", "CatalogueRefresh", "GatewayTool"]
