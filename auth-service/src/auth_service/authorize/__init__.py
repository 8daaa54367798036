"""Signing people in: the authorization endpoint (RFC 6749 section 3.1)."""
