"""The actions of the audit trail.

The table in docs/audit.md is generated from the docstrings of the members (`make docs`).
"""

from enum import StrEnum

__all__ = ["Action"]


class Action(StrEnum):
    """What was done: the member `action_taken` of an audit line."""

    EXECUTED = "executed"
    """A tool ran, and no personal data was found."""
    EXECUTED_WITH_MASKING = "executed_with_masking"
    """A tool ran, and personal data was masked, or replaced as SECURITY_PII_CONFIG_FILE says."""
    EXECUTED_WITH_ENCRYPTION = "executed_with_encryption"
    """A tool ran, and whole texts were encrypted."""
    EXECUTED_WITH_PLACEHOLDERS = "executed_with_placeholders"
    """A tool ran, and placeholders took the place of personal data, or values were put back for the tool."""
    EXECUTED_OBSERVED = "executed_observed"
    """A tool ran, and personal data was counted but not changed."""
    REJECTED = "rejected"
    """A tool call was refused, or its result was withheld."""

    REFUSED = "refused"
    """A request was refused."""
    REFUSED_UNRECORDED = "refused_unrecorded"
    """Refusals over the limit of a minute; the reason has their number."""
    ISSUED = "issued"
    """A token or an authorization code was issued."""
    REVOKED = "revoked"
    """A token was revoked."""
    FAMILY_REVOKED = "family_revoked"
    """All tokens of one authorization were revoked."""
    REGISTERED = "registered"
    """A client was registered."""
    SIGNED_IN = "signed_in"
    """A user signed in."""
    SIGNED_OUT = "signed_out"
    """A user signed out."""
    ALLOWED = "allowed"
    """A user allowed a client's request."""
    DENIED = "denied"
    """A user denied a client's request."""
    APPLIED = "applied"
    """A declaration was applied."""
    KEY_STATES_CHANGED = "moved_on"  # existing trails contain this value
    """Signing keys moved to their next states."""

    USER_ADDED = "user_added"
    """An operator added an account."""
    USER_PASSWORD_SET = "user_password_set"
    """An operator set a password."""
    USER_ROLES_SET = "user_roles_set"
    """An operator set the roles of an account."""
    USER_ENABLED = "user_enabled"
    """An operator enabled an account."""
    USER_DISABLED = "user_disabled"
    """An operator disabled an account."""
    USER_DELETED = "user_deleted"
    """An operator deleted an account."""
    CONSENT_WITHDRAWN = "consent_revoked"  # existing trails contain this value
    """An operator withdrew a consent."""
    CLIENT_CREATED = "client_created"
    """An operator created a client."""
    CLIENT_DELETED = "client_deleted"
    """An operator deleted a client."""
    KEY_REVOKED = "key_revoked"
    """An operator revoked a signing key."""
    KEYS_ROTATED_BY_OPERATOR = "key_rotated"
    """An operator rotated the signing keys."""
    PEOPLE_IMPORTED = "people_imported"
    """An operator imported people into the directory; the reason has their number."""
    REDIS_ACCEPTED = "redis_accepted"
    """An operator accepted a Redis that is not the one used before."""

    DEFINITIONS_APPROVED = "definitions_approved"
    """An operator approved definitions of MCP servers; the reason has their number and the digest of the lock."""
    DEFINITION_ADDED = "definition_added"
    """An MCP server offers definitions that were not approved; the gateway does not offer them."""
    DEFINITION_REMOVED = "definition_removed"
    """An MCP server does not offer an approved definition any more."""
    DEFINITION_TEXT_CHANGED = "definition_text_changed"
    """An MCP server changed a text of a definition; clients get the approved one."""
    DEFINITION_CHANGED = "definition_changed"
    """An MCP server changed a schema or an annotation of a definition; calls are refused, unless gateway.yaml has
    `drift: warn`.
    """
    DEFINITION_RESTORED = "definition_restored"
    """A definition is as it was approved again."""

    LISTED = "listed"
    """An auditor listed events."""
    VIEWED_EVENT = "viewed_event"
    """An auditor opened one event."""
    EXPORTED_CSV = "exported_csv"
    """An auditor downloaded events as CSV."""
    EXPORTED_JSONL = "exported_jsonl"
    """An auditor downloaded events as JSON Lines."""

    ALERTED = "alerted"
    """A detection rule reached its threshold."""
    ALERT_CONTINUES = "alert_continues"
    """A burst that was reported before continues."""

    OPENED = "opened"
    """A new journal was started."""
    CONTINUED = "continued"
    """An existing journal is continued."""
    RECOVERED = "recovered"
    """An existing journal is continued after an incomplete last line was set aside."""
    REPLACED = "succeeded"  # in the sense of "was followed by"; existing trails contain this value
    """A new journal replaces one that must not be continued."""
    WRITABLE_AGAIN = "healed"  # existing trails contain this value
    """The journal can be written again."""
    REMOVED = "removed"
    """Retention removed a segment."""

    SIMULATED = "simulated"
    """An event of a simulation; never recorded."""
