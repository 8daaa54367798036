"""Programs for the fault tests: a process that records under load, and a proxy that loses replies.

audit_load (killed at random) ──▶ journal ──▶ FlakyProxy ──▶ Redis (killed, flushed, restored, replaced)
└─▶ acks: one line for each acknowledged event
trail_check: compares acks, journal files and stream
fill_trail: records a number of events in a container
anonymous_traffic: requests of all kinds without credentials
"""
