"""Runs one program that is an MCP server, and ends it with everything that it has started.

    gateway ─▶ guardian ─▶ supervisor ─▶ program ─▶ its own processes
                 └──────────┴─ both adopt orphaned processes

The gateway starts `python -m gateway_service.program_supervisor`, which becomes guardian and supervisor. When the
gateway ends in whatever way, the supervisor reads the end of its control socket; if the supervisor is killed, the
guardian ends the rest, and the other way round. Only the standard library is imported, so that the two need little
memory and start fast.
"""
