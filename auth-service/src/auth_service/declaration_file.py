"""Loads the declaration: auth.yaml, the built-in resource, and the clients of demo mode and of the audit page.

The file is read completely at start; an error in it ends the start and names the place.
"""

from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import yaml
from pydantic import ValidationError

from auth_service.declaration import Declaration, DeclarationInvalid, DeclaredClient, DeclaredExchange, DeclaredResource
from auth_service.declared_providers import DeclaredName
from auth_service.protocol import GrantType
from auth_service.scopes import Scope
from auth_service.settings import AuthSettings
from security_common.service import parse_yaml

__all__ = ["AUDIT_PAGE_NAME", "DEMO_SECRET_FILE", "load_declaration"]

_BUILT_IN_FILES = Path(__file__).parent
# The secret of the demo client is published on purpose, see declaration_demo.yaml.
DEMO_SECRET_FILE = _BUILT_IN_FILES / "declaration_demo.secret"
_AUDIT_PAGE_CLIENT_ID = "audit-page"
# The sign-in and consent pages show a translation of it.
AUDIT_PAGE_NAME = "Audit page · 감사 기록 페이지"
_GATEWAY_CLIENT_ID = "gateway"


def load_declaration(settings: AuthSettings) -> Declaration:
    """The file that AUTH_CONFIG names, with the built-in resource if it has none, and the demo client in demo mode.

    Raises `DeclarationInvalid`.
    """
    declared = _read(settings.config) if settings.config else {}
    if not declared.get("resources"):
        default = _read(_BUILT_IN_FILES / "declaration_default.yaml")["resources"]
        declared["resources"] = [{"url": settings.resource, **resource} for resource in default]
    try:
        declaration = Declaration.model_validate(declared)
        if settings.demo:
            declaration = _with_demo_gateway(_with_demo_clients(declaration), settings)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        source = settings.config or "AUTH_RESOURCE"
        raise DeclarationInvalid(f"{place}: {first['msg']}", hint=f"correct {source} and start again") from None
    audit_page = _audit_page_clients(settings.audit_page_public_key_file, declaration)
    return declaration.model_copy(update={"clients": (*declaration.clients, *audit_page)})


def _with_demo_clients(declaration: Declaration) -> Declaration:
    """The declaration with the clients of demo mode that it does not declare itself. Raises `ValidationError`."""
    declared_ids = {client.client_id for client in declaration.clients}
    demo = Declaration.model_validate(_read(_BUILT_IN_FILES / "declaration_demo.yaml"))
    added = tuple(client for client in demo.clients if client.client_id not in declared_ids)
    return _replace(declaration, clients=(*declaration.clients, *added))


def _with_demo_gateway(declaration: Declaration, settings: AuthSettings) -> Declaration:
    """The declaration with the addresses of the gateway as resources, and with the gateway as a client.

    The gateway exchanges the tokens of its callers for tokens to the default resource, with the same scopes as far as
    both have them: auth.yaml may declare addresses of the gateway with other scopes.
    """
    if not settings.gateway_resources:
        return declaration
    default = _default_resource(declaration)
    declared = {resource.url for resource in declaration.resources}
    added = tuple(
        DeclaredResource(url=url, name=DeclaredName(ko="MCP 게이트웨이", en="MCP gateway"), scopes=default.scopes)
        for url in settings.gateway_resources
        if url not in declared
    )
    resources = (*declaration.resources, *added)
    at_gateway = {
        scope for resource in resources if resource.url in settings.gateway_resources for scope in resource.scopes
    }
    exchanged = {scope: (scope,) for scope in default.scopes if scope in at_gateway}
    clients = declaration.clients
    is_declared = any(client.client_id == _GATEWAY_CLIENT_ID for client in clients)
    if settings.gateway_public_key_file is not None and not is_declared and exchanged:
        rule = {"from": settings.gateway_resources, "to": default.url, "scopes": exchanged}
        gateway = DeclaredClient(
            client_id=_GATEWAY_CLIENT_ID,
            name="MCP gateway",
            jwks_file=settings.gateway_public_key_file,
            grant_types=frozenset({GrantType.CLIENT_CREDENTIALS, GrantType.TOKEN_EXCHANGE}),
            resources=(default.url,),
            may_exchange=(DeclaredExchange.model_validate(rule),),
        )
        clients = (*clients, gateway)
    return _replace(declaration, resources=resources, clients=clients)


def _replace(declaration: Declaration, **changed: object) -> Declaration:
    """The declaration with other members. Unlike `model_copy`, checks the result. Raises `ValidationError`."""
    members = {name: getattr(declaration, name) for name in Declaration.model_fields}
    return Declaration.model_validate({**members, **changed})


def _default_resource(declaration: Declaration) -> DeclaredResource:
    defaults = [resource for resource in declaration.resources if resource.default]
    return (defaults or declaration.resources)[0]


def _audit_page_clients(key_file: Path | None, declaration: Declaration) -> tuple[DeclaredClient, ...]:
    """The audit page: a client at the origin of the default resource. Empty if its key is not set or it is declared."""
    if key_file is None or any(client.client_id == _AUDIT_PAGE_CLIENT_ID for client in declaration.clients):
        return ()
    resource = _default_resource(declaration)
    parts = urlsplit(resource.url)
    address = f"{parts.scheme}://{parts.netloc}/audit"
    page = DeclaredClient(
        client_id=_AUDIT_PAGE_CLIENT_ID,
        name=AUDIT_PAGE_NAME,
        jwks_file=key_file,
        grant_types=frozenset({GrantType.AUTHORIZATION_CODE}),
        scopes=(Scope.OPENID, Scope.MCP_ACCESS, Scope.MCP_AUDIT),
        resources=(resource.url,),
        redirect_uris=(f"{address}/callback",),
        post_logout_redirect_uris=(f"{address}/signed-out?language=en", f"{address}/signed-out?language=ko"),
    )
    return (page,)


def _read(path: Path) -> dict[str, Any]:
    """The file as a mapping. Paths in it are relative to its folder, and a member without a value counts as absent.

    Raises `DeclarationInvalid`.
    """
    try:
        content: Any = parse_yaml(path.read_text(encoding="utf-8-sig")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: not UTF-8, or a date that does not exist
        hint = "check that AUTH_CONFIG names a readable YAML file"
        raise DeclarationInvalid(f"{path} cannot be read: {type(error).__name__}", hint=hint) from error
    if not isinstance(content, dict):
        raise DeclarationInvalid(f"{path} must be a mapping", hint="start with `resources:` and `clients:`")
    members = _resolve_paths(cast("dict[Any, Any]", content), path.parent)
    return {name: value for name, value in members.items() if value is not None}


def _resolve_paths(members: dict[Any, Any], folder: Path) -> dict[str, Any]:
    """The members with every path in them relative to `folder`. YAML allows names that are not strings."""
    return {str(name): _resolve_member(str(name), value, folder) for name, value in members.items()}


def _resolve_member(name: str, value: Any, folder: Path) -> Any:
    if isinstance(value, str) and name.endswith(("_file", "_directory")):
        return str(folder / value)
    if isinstance(value, dict):
        return _resolve_paths(cast("dict[Any, Any]", value), folder)
    if isinstance(value, list):
        return [_resolve_member("", item, folder) for item in cast("list[Any]", value)]
    return value
