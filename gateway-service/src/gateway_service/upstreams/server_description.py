"""What a server says about itself when it is asked first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self, cast

from gateway_service.wire.versions import LATEST_HANDSHAKE_VERSION, STATELESS_VERSION

__all__ = ["ProtocolEra", "ServerDescription"]


class ProtocolEra(Enum):
    """The two kinds of protocol versions."""

    HANDSHAKE = LATEST_HANDSHAKE_VERSION
    STATELESS = STATELESS_VERSION


@dataclass(frozen=True, slots=True)
class ServerDescription:
    """The answer of a server to `server/discover` or `initialize`. Its texts are not protected yet."""

    era: ProtocolEra
    instructions: str | None = field(repr=False)
    capabilities: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, era: ProtocolEra, result: Mapping[str, Any]) -> Self:
        """The description in a result. Members of another type are left out."""
        instructions: Any = result.get("instructions")
        capabilities: Any = result.get("capabilities")
        return cls(
            era,
            instructions if isinstance(instructions, str) else None,
            cast("dict[str, Any]", capabilities) if isinstance(capabilities, dict) else {},
        )
