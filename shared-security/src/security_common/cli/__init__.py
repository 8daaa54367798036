"""The `security-common` command."""
