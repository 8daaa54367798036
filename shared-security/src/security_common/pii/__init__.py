"""Personal data, found and masked: fold, gate, candidates, context, findings."""
