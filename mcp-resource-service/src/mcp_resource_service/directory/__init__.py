"""The service's own directory of people: who is who, by an opaque id. Not the accounts that sign in.

    mcp-resource-service user import people.csv ──▶ encrypt field by field, bound to (person, field) ──▶ mcp:users:<id>
    get_user_info ── person_id ──▶ decrypt ──▶ masked by the tool's policy

Owns the keys `mcp:users:*` in Redis. Ids are opaque so that they may stand in logs and audit events.
"""

from mcp_resource_service.directory.directory_store import Directory
from mcp_resource_service.directory.people import Person, parse_people

__all__ = ["Directory", "Person", "parse_people"]
