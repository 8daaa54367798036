"""Serves one program over Streamable HTTP, so that a gateway in another container reaches it by URL.

    HTTP request ─▶ BridgeEndpoint: access, header rules ─▶ ProgramSessions ─▶ an instance of the program

A client of an older version gets an instance with each session that it begins. Requests of 2026-07-28, which are
complete, go to one instance for each caller, for which the gateway sends an opaque id (`type: bridge`). Messages are
passed on as they are: policies and scopes are the gateway's.
"""

from gateway_service.bridge.bridge_endpoint import BridgeAccess, BridgeEndpoint
from gateway_service.bridge.program_sessions import ProgramSessions

__all__ = ["BridgeAccess", "BridgeEndpoint", "ProgramSessions"]
