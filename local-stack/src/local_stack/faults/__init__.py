"""What the fault suite breaks things with: a process that records under load, and a wire that cuts answers.

audit_load (killed at random) ──▶ journal ──▶ FlakyProxy ──▶ Redis (killed, flushed, restored older, replaced)
└─▶ acks: one line for each event that was acknowledged
trail_check: acks, journal files and stream, compared
"""
