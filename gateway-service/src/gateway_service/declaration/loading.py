"""Loads the declaration: one file, with the files that it includes."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway_service.declaration.documents import Document, read_document
from gateway_service.declaration.file_format import (
    SOURCE_MEMBERS,
    GatewayFile,
    WrittenCredential,
    WrittenDefaults,
    WrittenExchange,
    WrittenResourceRule,
    WrittenRule,
    WrittenUpstream,
    read_gateway_file,
)
from gateway_service.declaration.gateway_declaration import (
    UPSTREAM_NAME,
    GatewayDeclaration,
    InputRequestKind,
    ToolRule,
    UpstreamDeclaration,
)
from gateway_service.declaration.mcp_servers import ServerEntry, has_mcp_servers, read_mcp_servers
from gateway_service.declaration.programs import resolve_program
from gateway_service.declaration.rule_patterns import RulePatterns
from gateway_service.declaration.upstream_credentials import (
    ClientCredentials,
    OAuthClient,
    SecretHeader,
    TokenExchange,
    TokenTarget,
    UpstreamCredential,
)
from security_common.tool_policy.policy import PIIPolicy
from security_common.web_urls import is_loopback_url, parse_web_url

__all__ = ["load_declaration"]


def load_declaration(path: Path, environment: Mapping[str, str]) -> GatewayDeclaration:
    """The upstreams that the file declares. `environment` has the variables of an mcpServers file.

    Paths in the file are relative to its folder. Raises `DeclarationInvalid`.
    """
    document = read_document(path)
    if has_mcp_servers(document.members):
        written, included = GatewayFile(), [document]
    else:
        written = read_gateway_file(document)
        included = [read_document(path.parent / each) for each in written.include]
    secret_folders = [_normal_path(path.parent / each) for each in written.secret_folders]
    entries: dict[str, ServerEntry] = {}
    notices: list[str] = []
    for each in included:
        servers = read_mcp_servers(each, environment)
        if each is not document:
            _require_secret_folders(each, servers.entries, path.parent, secret_folders)
        entries |= servers.entries
        notices += servers.notices
    names = [*entries, *(name for name in written.upstreams if name not in entries)]
    if not names:
        hint = "declare one below `upstreams:`, with its `url` or `command`, or include an mcpServers file"
        raise document.problem([], "; ".join(["there is no upstream", *notices]), hint=hint)
    upstreams = tuple(
        _resolve(document, name, written.upstreams.get(name), entries.get(name), written.defaults) for name in names
    )
    notices += [notice for upstream in upstreams for notice in _transport_notices(upstream)]
    documents = list({each.path: each for each in (document, *included)}.values())
    return GatewayDeclaration(
        upstreams=upstreams,
        requestable_scopes=written.requestable_scopes,
        notices=tuple(notices),
        files=tuple(each.path for each in documents),
        digest=hashlib.sha256(b"".join(each.sha256 for each in documents)).hexdigest(),
    )


def _require_secret_folders(
    included: Document, entries: Mapping[str, ServerEntry], base: Path, folders: Sequence[Path]
) -> None:
    """Raises `DeclarationInvalid` for a secret file of an included file outside the folders that gateway.yaml names.

    An included file can often be written by more people and programs than gateway.yaml. It would otherwise be able to
    send any file that the gateway can read to a server of its choice.
    """
    for name, entry in entries.items():
        for file in entry.credential.files if entry.credential is not None else ():
            if not any(_normal_path(base / file).is_relative_to(folder) for folder in folders):
                hint = "move `credential` to gateway.yaml, or name the folder there: `secret_folders: [secrets]`"
                problem = f"{file} is in no folder that gateway.yaml names for secrets"
                raise included.problem([name, "credential"], problem, hint=hint)


def _normal_path(path: Path) -> Path:
    """The absolute path without `..`. Symbolic links count as the files that they are, as in mounted secrets."""
    return Path(os.path.normpath(path.absolute()))


def _source_digest(written: WrittenUpstream, entry: ServerEntry | None) -> str:
    """SHA-256 over how the upstream is reached, as the files say it: variables are not filled in.

    So a value that a variable or a file has can change, and is not part of what gateway.lock shows.
    """
    members = written.model_dump(mode="json", include=set(SOURCE_MEMBERS), exclude_unset=True)
    reached = [members, dict(entry.written) if entry is not None else {}]
    canonical = json.dumps(reached, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _resolve(
    document: Document, name: str, written: WrittenUpstream | None, entry: ServerEntry | None, defaults: WrittenDefaults
) -> UpstreamDeclaration:
    """One upstream from gateway.yaml, from an included file, or from both."""
    place = ["upstreams", name]
    if not UPSTREAM_NAME.fullmatch(name):
        hint = "a name begins with a letter and has up to 16 lower-case letters, digits and hyphens"
        raise document.problem(place, "is not the name of an upstream", hint=hint)
    written = written or WrittenUpstream()
    program = resolve_program(document, place, written, entry)
    url = written.url or (entry.url if entry and program is None else "")
    if not url and program is None:
        hint = "add it here, or to an included mcpServers file"
        raise document.problem(place, "has neither `url` nor `command`", hint=hint)
    is_sse = written.type == "sse" if written.type else bool(entry and entry.is_sse)
    policy = written.policy or defaults.policy
    tools: dict[str, ToolRule] | None = None
    if written.tools is not None:
        tools = {
            tool: _resolve_rule(document, [*place, "tools", tool], rule, policy) for tool, rule in written.tools.items()
        }
    folder = document.path.parent
    credential = _resolve_credential(written.credential or (entry.credential if entry else None), url, folder)
    return UpstreamDeclaration(
        name=name,
        url=url,
        is_sse=is_sse,
        is_bridge=written.type == "bridge",
        source_digest=_source_digest(written, entry),
        program=program,
        credential=credential,
        headers=_headers_beside(credential, entry.headers if entry else {}),
        ca_file=folder / written.ca_file if written.ca_file else None,
        tools=tools,
        default_rule=ToolRule(arguments=policy, result=policy),
        prompts=RulePatterns(
            {
                prompt: _resolve_rule(document, [*place, "prompts", prompt], rule, policy)
                for prompt, rule in written.prompts.items()
            }
        ),
        resources=RulePatterns(
            {pattern: _resolve_resource_rule(rule, policy) for pattern, rule in written.resources.items()}
        ),
        input_requests=_input_requests(written),
        input_url_hosts=written.input_url_hosts,
        silent_seconds=written.timeout or defaults.timeout,
        longest_seconds=written.longest or defaults.longest,
        max_result_bytes=written.result_limit or defaults.result_limit,
        max_in_flight=written.in_flight,
        refuses_changes=(written.drift or defaults.drift) == "refuse",
        is_live=written.tool_list == "live",
    )


def _resolve_credential(written: WrittenCredential | None, url: str, folder: Path) -> UpstreamCredential | None:
    if written is None:
        return None
    if written.secret_file is not None:
        return SecretHeader(file=folder / written.secret_file, name=written.header, scheme=written.scheme)
    own = written.client_credentials
    if own is not None:
        target = TokenTarget(resource=own.resource or url, audience=own.audience, scopes=tuple(sorted(own.scopes)))
        return ClientCredentials(client=_resolve_client(own, folder), target=target, issuer=own.issuer)
    exchange = written.exchange
    if exchange is None:
        return None
    target = TokenTarget(resource=exchange.resource or url, scopes=tuple(sorted(exchange.scopes)))
    return TokenExchange(client=_resolve_client(exchange, folder), target=target)


def _headers_beside(credential: UpstreamCredential | None, headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers without the one in whose place the credential is sent. Names differ in case without a meaning."""
    if credential is None:
        return headers
    replaced = credential.name if isinstance(credential, SecretHeader) else "Authorization"
    return {name: value for name, value in headers.items() if name.lower() != replaced.lower()}


def _resolve_client(written: WrittenExchange, folder: Path) -> OAuthClient | None:
    if written.client_id is None:
        return None
    return OAuthClient(
        client_id=written.client_id,
        secret_file=folder / written.secret_file if written.secret_file else None,
        key_file=folder / written.key_file if written.key_file else None,
    )


def _resolve_rule(document: Document, place: list[str], written: WrittenRule, policy: PIIPolicy) -> ToolRule:
    both = written.policy or policy
    arguments, result = written.arguments or both, written.result or both
    if written.reveal and arguments is not PIIPolicy.TOKENIZE:
        hint = "set `policy: tokenize`, or `arguments: tokenize`, for this tool"
        raise document.problem([*place, "reveal"], "has an effect only under the policy tokenize", hint=hint)
    return ToolRule(
        scopes=written.scope,
        arguments=arguments,
        result=result,
        identifiers=written.identifiers,
        subject=written.subject,
        task=written.task,
        reveal=written.reveal,
        exposed_name=written.exposed_name,
    )


def _resolve_resource_rule(written: WrittenResourceRule, policy: PIIPolicy) -> ToolRule:
    """The URI is the only argument of a resource. It has to arrive as it is, so it is an identifier."""
    both = written.policy or policy
    return ToolRule(
        scopes=written.scope,
        arguments=both,
        result=both,
        identifiers=() if both is PIIPolicy.OBSERVE else ("uri",),
        task=written.task,
    )


def _input_requests(written: WrittenUpstream) -> frozenset[InputRequestKind]:
    kinds = frozenset(map(InputRequestKind, written.input_requests))
    return kinds | {InputRequestKind.URL} if written.input_url_hosts else kinds


def _transport_notices(upstream: UpstreamDeclaration) -> list[str]:
    if upstream.program is not None:
        return []
    has_secret = upstream.credential is not None or bool(upstream.headers)
    is_plain = parse_web_url(upstream.url).scheme == "http" and not is_loopback_url(upstream.url)
    if not (has_secret and is_plain):
        return []
    return [f"{upstream.name}: its URL is http, so its credential can be read on the network; use https if it can"]
