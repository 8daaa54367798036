"""Programs that are upstreams, from gateway.yaml and from mcpServers files."""

from collections.abc import Mapping

from gateway_service.declaration.documents import Document
from gateway_service.declaration.file_format import WrittenRun, WrittenUpstream
from gateway_service.declaration.mcp_servers import ServerEntry
from gateway_service.declaration.program_declaration import ProgramDeclaration

__all__ = ["resolve_program"]


def resolve_program(
    document: Document, place: list[str], written: WrittenUpstream, entry: ServerEntry | None
) -> ProgramDeclaration | None:
    """The program of an upstream; None for one behind a URL. Raises `DeclarationInvalid`.

    Relative paths in gateway.yaml are relative to its folder, and so is the working directory by default; those of an
    included file to the folder of that file.
    """
    folder = document.path.parent.absolute()
    if written.command is not None:
        command = (written.command, *written.args)
        environment: Mapping[str, str] = written.env
    elif entry is not None and entry.command and written.url is None:
        if written.args:
            raise document.problem(
                [*place, "args"], "needs a `command` beside it", hint="write the command here as well"
            )
        command, folder = entry.command, entry.folder
        environment = {**entry.environment, **written.env}
    else:
        for member in ("args", "env", "env_files", "cwd", "run"):
            if member in written.model_fields_set:
                raise document.problem([*place, member], "is for programs only", hint="remove it, or set `command`")
        return None
    if written.url is not None:
        raise document.problem(place, "has a `url` and a `command`", hint="remove one of them")
    for member in ("type", "credential", "ca_file"):
        if member in written.model_fields_set:
            hint = "remove it; `env` and `env_files` set variables of a program"
            raise document.problem([*place, member], "is for servers behind a URL only", hint=hint)
    run = written.run or WrittenRun()
    return ProgramDeclaration(
        command=command,
        folder=folder if written.cwd is None else document.path.parent.absolute() / written.cwd,
        environment=environment,
        secret_files={name: document.path.parent / file for name, file in written.env_files.items()},
        is_shared=run.instances == "shared",
        is_trusted=run.trust is not None,
        max_instances=run.most,
        idle_seconds=run.idle,
        memory_bytes=run.memory,
        max_processes=run.processes,
        max_files=run.files,
        has_network=run.network == "host",
        readable=run.read,
        writable=run.write,
    )
