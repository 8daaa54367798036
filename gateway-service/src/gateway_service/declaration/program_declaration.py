"""A program that is an upstream, as frozen values: how it is started, and what it may use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ProgramDeclaration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramDeclaration:
    """A program that speaks MCP over its standard input and output.

    `environment` has the values of its variables, and `secret_files` the files with further ones. `folder` is its
    working directory. With `is_shared` one instance serves all callers; otherwise each caller has one of their own, of
    which `max_instances` run at the same time. An instance that was not used for `idle_seconds` is ended. `is_trusted`
    is the operator's statement that the program may run for several people as the user of the gateway.

    The limits hold for an instance with all processes that it starts; `max_files` holds for each process. Without
    `has_network`, or with `readable` or `writable` paths, an instance runs in a sandbox.
    """

    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    secret_files: Mapping[str, Path] = field(default_factory=dict[str, Path])
    is_shared: bool = False
    is_trusted: bool = False
    max_instances: int = 8
    idle_seconds: float = 600.0
    memory_bytes: int = 512 * 1024 * 1024
    max_processes: int = 64
    max_files: int = 1024
    has_network: bool = True
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()

    @property
    def needs_sandbox(self) -> bool:
        """Whether the file asks for something that only a sandbox enforces."""
        return not self.has_network or bool(self.readable) or bool(self.writable)
