"""Stored sensitive data: encrypted records that only their owner reads back.

    store_sensitive_data ── text ──▶ encrypt, bound to (owner, record, field) ──▶ HSET ──▶ WAITAOF ──▶ record id
    read_sensitive_data  ── record id ──▶ HGETALL ──▶ same owner? ──▶ decrypt under the same binding

Owns the keys `mcp:records:*` in Redis. The owner is the token's (iss, sub), never its client_id: many people share a
client. A ciphertext moved to another record, field or owner no longer opens.
"""

from mcp_resource_service.records.record_store import Owner, Record, RecordStore, RecordSummary

__all__ = ["Owner", "Record", "RecordStore", "RecordSummary"]
