"""The audit journal: event, chain, group commit, shipping, checkpoints."""
