"""Reading the trail.

    stream audit:events ──▶ trail (filters, pages) ──▶ report

What the stream shows is a projection of the journals; the evidence is the journal files with their chain.
"""

from security_common.review.report import SecurityReport, security_report
from security_common.review.trail import EventFilter, Page, PagingTokenInvalid, each_event, read_events

__all__ = [
    "EventFilter",
    "Page",
    "PagingTokenInvalid",
    "SecurityReport",
    "each_event",
    "read_events",
    "security_report",
]
