"""The index of the audit trail: a SQLite file that holds the events of the whole retention, for search and reports.

    stream ──▶ index_feed ──▶ index_writer ──▶ events.*.sqlite3 ──▶ index_reader, index_reports
    journal files ──▶ journal_lines ──┘            database            └─▶ searchable_trail, for a service

The stream is bounded transport, the journals are the evidence, and the index is a copy that can be built again from
both. It contains the lines of the journals and nothing else about anyone.
"""

from security_common.audit.event_index.database import INDEX_FOLDER, IndexFiles, IndexUnavailable, index_files
from security_common.audit.event_index.index_feed import IndexFeed
from security_common.audit.event_index.index_reader import IndexReader

__all__ = ["INDEX_FOLDER", "IndexFeed", "IndexFiles", "IndexReader", "IndexUnavailable", "index_files"]
