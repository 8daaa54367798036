"""Which tools, prompts and resources the gateway offers, under which names, with which rules.

    definitions of an upstream ─▶ tool_definitions: checked, with the rule that names the tool ─▶ GatewayTool
                               ─▶ Catalogue: the tools of each address, and the scopes that the guard compares
                               ─▶ OfferedComponents: the prompts and resources of each address

    gateway.lock ─▶ lock_file, lock_signatures: the approved definitions, offered in place of the upstream's own
                    definitions: what is approved of one, and its digest
                    definition_changes: what an upstream offers, compared with what was approved ─▶ change_events
                    definition_warnings: what a person should know before an approval

refresh requests the definitions of the upstreams in the background. No call waits for them. rule_suggestions proposes
rules for gateway.yaml.
"""

from gateway_service.catalogue.catalogue import Address, Catalogue
from gateway_service.catalogue.offered_components import AddressComponents, OfferedComponents
from gateway_service.catalogue.refresh import CatalogueRefresh
from gateway_service.catalogue.tool_definitions import GatewayTool

__all__ = ["Address", "AddressComponents", "Catalogue", "CatalogueRefresh", "GatewayTool", "OfferedComponents"]
