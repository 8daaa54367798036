"""The directory of people that get_user_info reads, by opaque id. It does not contain the accounts that sign in.

    mcp-resource-service user import people.csv ──▶ encrypt each field, bound to (person, field) ──▶ mcp:users:<id>
    get_user_info ── person_id ──▶ decrypt ──▶ masks or placeholders, by the policy of the tool

This package owns the Redis keys `mcp:users:*`. Ids are opaque, so that logs and audit events may contain them.
"""

from mcp_resource_service.directory.directory_store import Directory
from mcp_resource_service.directory.people import Person, parse_people

__all__ = ["Directory", "Person", "parse_people"]
