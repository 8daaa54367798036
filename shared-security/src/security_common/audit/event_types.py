"""The event types of the audit trail.

The docstring of a member has the form `written by: when. Details: what the event contains besides the caller, the time
and the source address.` The table in docs/audit.md is generated from these docstrings (`make docs`).
"""

from enum import StrEnum

__all__ = ["EventType"]


class EventType(StrEnum):
    """What happened: the member `event_type` of an audit line."""

    TOKEN_ISSUED = "token_issued"
    """auth-service: before a token leaves the service. Details: client, subject; who acts for the user, if an assertion
    names one.
    """
    TOKEN_EXCHANGED = "token_exchanged"
    """auth-service: before a token leaves the service that a client gets for an access token of its own caller.
    Details: client, subject; the resource that the new token is for.
    """
    TOKEN_REFUSED = "token_refused"
    """auth-service: a token request was refused. Details: the error; the client."""
    TOKEN_REVOKED = "token_revoked"
    """auth-service: a token was revoked. Details: client, subject."""
    ACCESS_TOKENS_REVOKED = "access_tokens_revoked"
    """auth-service: all access tokens of one authorization, or those that a client got for itself, were revoked in a
    status list. Details: client, subject; the list and the index.
    """
    CLIENT_REFUSED = "client_refused"
    """auth-service: a client sent a wrong secret or assertion to any endpoint, or failed too often. Details: the
    reason; the client if it exists.
    """
    WORKLOAD_AUTHENTICATED = "workload_authenticated"
    """auth-service: a workload proved with a token of its platform which client it is. Details: client; the workload
    issuer and the subject.
    """
    CLIENT_REGISTERED = "client_registered"
    """auth-service: a client registered itself. Details: the new client id."""
    REGISTRATION_REFUSED = "registration_refused"
    """auth-service: a registration without an initial access token, or too many registrations. Details: the error."""
    SIGN_IN = "sign_in"
    """auth-service: a user signed in. Details: client, subject."""
    SIGN_IN_REFUSED = "sign_in_refused"
    """auth-service: a sign-in failed. Details: client; the reason; never the name that was typed."""
    ACCOUNT_CREATED = "account_created"
    """auth-service: a person signed in at an identity provider for the first time and got an account. Details: client,
    subject; `look_alike` if another account has that username or e-mail address.
    """
    ACCOUNT_PROVISIONING = "account_provisioning"
    """auth-service: an identity provider added, changed, deactivated or deleted a user over SCIM, or a token for SCIM
    was wrong. Details: subject; the provider, or the reason.
    """
    ACCOUNT_RECHECK = "account_recheck"
    """auth-service: an identity provider was asked again about a user, and refused. Details: subject; the reason."""
    PROVIDER_LOGOUT = "provider_logout"
    """auth-service: an identity provider reported that a user signed out there, and sessions and grants ended; or its
    logout token was refused. Details: subject; the provider, or the reason.
    """
    SIGN_OUT = "logout"  # existing trails contain this value
    """auth-service: a user signed out. Details: client, subject."""
    CONSENT_GIVEN = "consent_given"
    """auth-service: a user allowed a client's request. Details: client, subject; the scopes."""
    CONSENT_DENIED = "consent_denied"
    """auth-service: a user denied a client's request. Details: client, subject."""
    ACCOUNT_CHANGE = "account_change"
    """auth-service: a user ended a session, a connected app or a way to sign in on the account page. Details: subject;
    client; the provider.
    """
    CODE_ISSUED = "code_issued"
    """auth-service: an authorization code was issued. Details: client, subject."""
    CODE_REUSE = "code_reuse"
    """auth-service: an authorization code was used a second time, and its tokens were revoked. Details: client,
    subject.
    """
    REFRESH_REUSE = "refresh_reuse"
    """auth-service: a rotated refresh token was used again, or another client used a refresh token; its family was
    revoked. Details: client, subject; the reason.
    """
    OPERATOR_CHANGE = "operator_change"
    """auth-service, mcp-resource-service: a command changed an account, a client, a consent or a key, imported people,
    or accepted another Redis. Details: the change; the account, client or key; the operator (`account@machine`, as
    source address).
    """
    KEY_CHANGE = "key_change"
    """auth-service: the service created, activated, retired or removed a signing key. Details: the states of the keys.
    """
    DECLARATION_APPLIED = "declaration_applied"
    """auth-service: a replica started with a declaration that differs from the last one applied; gateway-service: the
    start, and a change of gateway.yaml or gateway.lock. Details: fingerprint or digests.
    """
    DEFINITION_CHANGE = "definition_change"
    """gateway-service: what an MCP server says about itself differs from what was approved, or is as approved again.
    Details: the tool; the upstream, and the members that differ.
    """
    ACCESS_REFUSED = "access_refused"
    """the guard: a request was refused, with any status. Details: the reason; the tool and the caller if known."""
    TOOL_CALL = "tool_call"
    """`secure_tool`: every tool call, whatever its outcome. Details: tool, the policy's action, kinds and counts of
    personal data, subject reference, task.
    """
    AUDIT_PAGE = "audit_page"
    """the audit page: an auditor signed in, viewed or downloaded events or signed out; a user who is not an auditor was
    refused. Details: what was viewed; the reason.
    """
    SECURITY_ALERT = "security_alert"
    """the detection rules: a threshold was reached, or a burst continues. Details: the rule, the user, client, address
    or journal, and the count.
    """
    JOURNAL_OPENED = "journal_opened"
    """the journal: each start of a process. Details: how the journal was continued."""
    JOURNAL_WRITABLE_AGAIN = "journal_healed"  # existing trails contain this value
    """the journal: the journal can be written again after a failure."""
    JOURNAL_SEGMENT_REMOVED = "journal_segment_removed"
    """the journal: retention removes a segment; repeated before the segment that contains such an event is removed
    itself. Details: the last line that was removed, and its digest.
    """
