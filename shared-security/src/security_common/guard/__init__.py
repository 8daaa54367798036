"""The guard: pure ASGI middleware that protects an application with access tokens.

    request ─▶ header size ─▶ Host ─▶ Origin ─▶ token ─▶ resource scopes ─▶ rate ─▶ body ─▶ tool scopes ─▶ application
                               │        └─ preflight
                               └─ metadata (RFC 9728)

    Each step can end in a Refusal ─▶ audit event ─▶ response. The first also refuses control characters in the path.

A path of `open_paths` is checked for the sizes only, one below `open_prefixes` also for Host and Origin. The files that
browsers request on their own get a 404 before Host is checked.

guard            the middleware: the order of the checks
policy           what to protect, and the settings
guarded_paths    which resource a request is for, if a server has several
origins          Host, Origin and CORS headers
bearer_token     the token from the Authorization header
request_rates    requests per caller and minute, shared between replicas
called_tools     the tools that a request calls, in both versions of the protocol
refusals         every reason to refuse a request, with its status
refusal_audit    refusals as audit events
responses        refusals (RFC 6750), preflights and the metadata document as responses

The README of this distribution shows how to use it.
"""

from security_common.guard.guard import Guard
from security_common.guard.policy import FurtherResource, GuardPolicy, ProtectedResource
from security_common.guard.request_rates import RequestRates
from security_common.tool_scopes import ToolScopes

__all__ = ["FurtherResource", "Guard", "GuardPolicy", "ProtectedResource", "RequestRates", "ToolScopes"]
