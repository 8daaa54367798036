"""What the gateway asks the supervisor to run: one line of JSON on the control socket.

The arguments and the environment of a process can be seen by other processes, so the request is in neither of them.
"""

import json
from dataclasses import asdict, dataclass, field

__all__ = ["PRIVATE_FOLDER", "ProgramRequest"]

PRIVATE_FOLDER = "{private}"
"""In the command of a sandbox: the folder with the HOME and TMPDIR of the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRequest:
    """A program and its limits. `environment` is complete but for HOME and TMPDIR, which are private folders."""

    command: list[str]
    environment: dict[str, str] = field(repr=False)
    folder: str
    memory_bytes: int
    processes: int
    files: int
    sandbox: list[str] = field(default_factory=list[str])
    """The command that runs the program in a sandbox, with PRIVATE_FOLDER; empty for none."""

    def to_line(self) -> bytes:
        """The line for the control socket."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "ProgramRequest":
        """The request in a line that `to_line` has written."""
        return cls(**json.loads(line))
