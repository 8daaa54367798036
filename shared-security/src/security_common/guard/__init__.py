"""One pure ASGI layer before any application: who may come in, and what everybody else is told.

    request ─▶ header size ─▶ Host ─▶ Origin ─▶ token ─▶ scopes ─▶ rate ─▶ body ─▶ scopes of tools ─▶ application
                               │        └─ preflight      └────────┴────────┴───────┴─ Refusal ─▶ audit event ─▶ answer
                               └─ metadata (RFC 9728)

guard       the layer itself                       policy       what to protect and how strictly
headers     what a request says, read once         origins      Host, Origin, CORS
credentials the one place a token may stand        rates        requests per caller, shared between replicas
body        bounded in size and time, replayed     calls        which tools a request calls, in both MCP eras
refusals    every way to say no, with its status   answers      refusals as responses (RFC 6750)
record      refusals on the audit trail            metadata     the protected-resource document

It knows no web framework. How to wear it stands in the README of this distribution.
"""

from security_common.guard.calls import ToolScopes
from security_common.guard.guard import Guard
from security_common.guard.policy import GuardPolicy, ProtectedResource
from security_common.guard.rates import RequestRates

__all__ = ["Guard", "GuardPolicy", "ProtectedResource", "RequestRates", "ToolScopes"]
