"""Field encryption: keyring, envelope, context binding."""
