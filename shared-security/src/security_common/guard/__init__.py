"""One pure ASGI layer before any application: who may come in, and what everybody else is told.

    request ─▶ header size ─▶ Host ─▶ Origin ─▶ token ─▶ scopes ─▶ rate ─▶ body ─▶ scopes of tools ─▶ application
                               │        └─ preflight      └────────┴────────┴───────┴─ Refusal ─▶ audit event ─▶ answer
                               └─ metadata (RFC 9728)

policy      what to protect and how strictly       guard        the layer itself
headers     what a request says, read once         origins      Host, Origin, CORS
addresses   the client behind declared proxies     credentials  the one place a token may stand (RFC 6750)
refusals    every way to say no, with its status   rates        requests per caller, shared between replicas
answers     refusals as responses                  body         bounded in size and time, then replayed
record      refusals on the audit trail            calls        which tools a request calls, in both MCP eras
metadata    the protected-resource document        asgi         the interface by its own names

It knows no web framework. How to wear it stands in the README of this distribution.
"""

from security_common.guard.calls import ToolScopes
from security_common.guard.guard import Guard
from security_common.guard.policy import GuardPolicy, ProtectedResource
from security_common.guard.rates import RequestRates

__all__ = ["Guard", "GuardPolicy", "ProtectedResource", "RequestRates", "ToolScopes"]
