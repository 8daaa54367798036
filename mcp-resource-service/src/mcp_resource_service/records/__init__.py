"""Sensitive data that tools store: encrypted records that only their owner can read back.

    store_sensitive_data ── text ──▶ encrypt, bound to (owner, record, field) ──▶ HSET ──▶ WAITAOF ──▶ record id
    read_sensitive_data  ── record id ──▶ HGETALL ──▶ check the owner ──▶ decrypt under the same binding

This package owns the Redis keys `mcp:records:*`. The owner of a record is the token's (iss, sub) and never its
client_id, because many users share a client. A ciphertext that is copied to another record, field or owner cannot be
decrypted there.
"""

from mcp_resource_service.records.record_store import Owner, Record, RecordStore, RecordSummary

__all__ = ["Owner", "Record", "RecordStore", "RecordSummary"]
