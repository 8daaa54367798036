"""Reading the trail: search, verify, report, detection rules."""
