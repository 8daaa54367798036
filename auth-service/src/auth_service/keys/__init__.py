"""Signing keys: made, published, rotated and dropped without a person (RFC 7517, RFC 7638). Keys: `auth:keys*`."""
