"""The `auth-service` command."""
