"""One pure ASGI layer before any application: who may come in, and what everybody else is told.

    request ─▶ host, origin ─▶ sizes ─▶ open path? ────────────────────────────────────────────▶ application
                                           └▶ token ─▶ scopes ─▶ body (bounded) ─▶ tool scopes ─▶ application
    metadata (RFC 9728) ◀─┘                      └──────┴─ Refusal ─▶ audit event ─▶ answer

policy      what to protect and how strictly       admission    the rules a request passes
headers     what a request says, read once         body         bounded in size and time, then replayed
refusals    every way to say no, with its status   calls        which tools a request calls, in both MCP eras
answers     refusals as responses (RFC 6750)       metadata     the protected-resource document (RFC 9728)
addresses   the client behind declared proxies     guard        the layer itself

It knows no web framework. How to wear it stands in the README of this distribution.
"""

from security_common.guard.guard import Guard
from security_common.guard.policy import GuardPolicy, ProtectedResource

__all__ = ["Guard", "GuardPolicy", "ProtectedResource"]
