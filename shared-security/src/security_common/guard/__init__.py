"""One pure ASGI layer before any application: challenges, RFC 9728 metadata, step-up, limits, Host and Origin."""
