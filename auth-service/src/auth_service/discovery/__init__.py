"""Who we are, for machines: the two metadata documents and `/` (RFC 8414, OpenID Connect Discovery 1.0)."""
