"""/scim/v2: the endpoints with which an identity provider manages its users (RFC 7644)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from auth_service.audit_recorder import AuditRecorder
from auth_service.federation.identity_provider import IdentityProvider
from auth_service.http.application import new_router
from auth_service.http.dependencies import QueryString, context_of
from auth_service.http.forms import Form, refuse_repeated_parameters
from auth_service.http.openapi import Responses
from auth_service.http.parameters import Parameter, ParameterTable
from auth_service.http.responses import NO_STORE
from auth_service.paths import SCIM_PATH
from auth_service.provisioning.provisioned_users import ProvisionedUser, ProvisionedUsers
from auth_service.provisioning.scim_documents import (
    MAX_PAGE,
    USER_SCHEMA,
    list_response,
    resource_types,
    schemas,
    service_provider_config,
)
from auth_service.provisioning.scim_errors import ScimNotImplemented, ScimTokenRefused, ScimValueInvalid
from auth_service.provisioning.scim_filters import parse_filter
from auth_service.provisioning.scim_patch import apply_patch
from auth_service.provisioning.scim_responses import SCIM_MEDIA_TYPE, scim_response
from auth_service.provisioning.scim_tokens import ScimTokens
from auth_service.provisioning.user_attributes import UserAttributes, parse_object, read_user
from security_common.audit import Action, EventType, Outcome, Reason

__all__ = ["ScimEndpoints"]

_DEFAULT_PAGE = 100
_MAX_INDEX = 10**9
_SELECTION = (
    Parameter("attributes", "Names of the attributes to return, separated by commas."),
    Parameter("excludedAttributes", "Names of attributes to leave out, separated by commas."),
)
_SELECTION_QUERY = ParameterTable(*_SELECTION)
_QUERY = ParameterTable(
    Parameter("filter", 'Such as userName eq "hong@example.com": userName, externalId and id with eq and and.'),
    Parameter("startIndex", "The first user of the page, from 1."),
    Parameter("count", f"The number of users of the page, {MAX_PAGE} at most."),
    *_SELECTION,
)

_CONTENT: Mapping[str, Any] = {SCIM_MEDIA_TYPE: {"schema": {"type": "object"}}}
_SECURITY: Mapping[str, Any] = {"security": [{"bearer": []}]}


_ALWAYS_RETURNED = frozenset({"schemas", "id"})
_SUCCESS: Mapping[str, int] = {"POST": 201, "DELETE": 204}


@dataclass(frozen=True, slots=True)
class _Operation:
    """A route. `extra` is added to its description in the OpenAPI document."""

    path: str
    handler: Callable[..., Any]
    operation_id: str
    summary: str
    method: str = "GET"
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def add_to(self, router: APIRouter) -> None:
        router.add_api_route(
            self.path,
            self.handler,
            methods=[self.method],
            operation_id=self.operation_id,
            summary=f"{self.summary} (SCIM 2.0)",
            status_code=_SUCCESS.get(self.method, 200),
            responses=_RESPONSES[self.method],
            openapi_extra={**_SECURITY, **self.extra},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScimEndpoints:
    """Every endpoint needs the bearer token of a provider. Raises `RedisError`, `JournalUnavailable`."""

    issuer: str
    tokens: ScimTokens
    users: ProvisionedUsers
    record: AuditRecorder

    def make_router(self) -> APIRouter:
        router = new_router("provisioning")
        user, users = f"{SCIM_PATH}/Users/{{user_id}}", f"{SCIM_PATH}/Users"
        config, types, descriptions = (
            f"{SCIM_PATH}/{name}" for name in ("ServiceProviderConfig", "ResourceTypes", "Schemas")
        )
        for operation in (
            _Operation(config, self.respond_with_config, "scim-config", "What is supported"),
            _Operation(types, self.respond_with_types, "scim-types", "The types of resources"),
            _Operation(f"{types}/User", self.respond_with_type, "scim-user-type", "The type of users"),
            _Operation(descriptions, self.respond_with_schemas, "scim-schemas", "The schemas"),
            _Operation(f"{descriptions}/{USER_SCHEMA}", self.respond_with_schema, "scim-user-schema", "Users' schema"),
            _Operation(users, self.list_users, "scim-list", "Find users", extra=_QUERY.as_query()),
            _Operation(users, self.add, "scim-add", "Add a user", method="POST", extra=_body("userName")),
            _Operation(user, self.show, "scim-show", "A user", extra=_SELECTION_QUERY.as_query()),
            _Operation(
                user, self.replace_user, "scim-replace", "Replace a user", method="PUT", extra=_body("userName")
            ),
            _Operation(user, self.patch, "scim-patch", "Change a user", method="PATCH", extra=_body("Operations")),
            _Operation(user, self.delete, "scim-delete", "Delete a user", method="DELETE"),
            _Operation(f"{SCIM_PATH}/Bulk", self.refuse_bulk, "scim-bulk", "Not supported", method="POST"),
        ):
            operation.add_to(router)
        return router

    async def respond_with_config(self, http: Request) -> Response:
        await self._authenticate(http)
        return scim_response(service_provider_config(self.issuer))

    async def respond_with_types(self, http: Request) -> Response:
        await self._authenticate(http)
        return scim_response(list_response(resource_types(self.issuer)))

    async def respond_with_type(self, http: Request) -> Response:
        await self._authenticate(http)
        return scim_response(resource_types(self.issuer)[0])

    async def respond_with_schemas(self, http: Request) -> Response:
        await self._authenticate(http)
        return scim_response(list_response(schemas(self.issuer)))

    async def respond_with_schema(self, http: Request) -> Response:
        await self._authenticate(http)
        return scim_response(schemas(self.issuer)[0])

    async def list_users(self, http: Request, form: Annotated[Form, Depends(QueryString(_QUERY))]) -> Response:
        """A page of the provider's users. A filter that finds nothing gives an empty list: Entra ID asks before adding.

        Raises `ScimFilterInvalid`, `ScimValueInvalid`.
        """
        provider = await self._authenticate(http)
        refuse_repeated_parameters(form)
        start = max(1, _number(form, "startIndex", 1))
        count = min(MAX_PAGE, max(0, _number(form, "count", _DEFAULT_PAGE)))
        text = form.get("filter")
        if text is None:
            total, users = await self.users.page(provider, offset=start - 1, count=count)
        else:
            found = await self.users.find(provider, parse_filter(text))
            matching = [found] if found is not None else []
            total, users = len(matching), matching[start - 1 : start - 1 + count]
        resources = [_select(self._resource(provider, user), form) for user in users]
        return scim_response(list_response(resources, total=total, start_index=start))

    async def show(
        self, http: Request, user_id: str, form: Annotated[Form, Depends(QueryString(_SELECTION_QUERY))]
    ) -> Response:
        """The user. Raises `ScimNotFound`."""
        provider = await self._authenticate(http)
        refuse_repeated_parameters(form)
        return scim_response(_select(self._resource(provider, await self.users.load(provider, user_id)), form))

    async def add(self, http: Request) -> Response:
        """The new user, with status 201. Raises `ScimNotUnique`, `ScimValueInvalid`, `ScimSyntaxInvalid`."""
        provider = await self._authenticate(http)
        user = await self.users.add(provider, read_user(parse_object(context_of(http).body)))
        await self._record(http, provider, user.account.subject, Action.ACCOUNT_PROVISIONED)
        resource = self._resource(provider, user)
        headers = {**NO_STORE, "location": resource["meta"]["location"]}
        return scim_response(resource, status=201, headers=headers)

    async def replace_user(self, http: Request, user_id: str) -> Response:
        """The user with the attributes of the body; `id` and `meta` in it are ignored (RFC 7644 section 3.5.1)."""
        provider = await self._authenticate(http)
        document = parse_object(context_of(http).body)
        user = await self.users.load(provider, user_id)
        return await self._change(http, provider, user, read_user(document, active=not user.identity.is_inactive))

    async def patch(self, http: Request, user_id: str) -> Response:
        """The user after the operations of the body; if one of them is not possible, none is done."""
        provider = await self._authenticate(http)
        document = parse_object(context_of(http).body)
        user = await self.users.load(provider, user_id)
        wanted = apply_patch(user.attributes(provider), document, user_id=user_id)
        return await self._change(http, provider, user, wanted)

    async def delete(self, http: Request, user_id: str) -> Response:
        """Status 204. Raises `ScimNotFound`."""
        provider = await self._authenticate(http)
        user = await self.users.load(provider, user_id)
        await self.users.delete(provider, user)
        await self._record(http, provider, user.account.subject, Action.ACCOUNT_REMOVED)
        return Response(status_code=204, headers=NO_STORE)

    async def refuse_bulk(self, http: Request) -> Response:
        """Raises `ScimNotImplemented`."""
        await self._authenticate(http)
        raise ScimNotImplemented("bulk operations are not supported")

    async def _change(
        self, http: Request, provider: IdentityProvider, user: ProvisionedUser, wanted: UserAttributes
    ) -> Response:
        """The changed user. Deactivation is done and recorded first, whatever else is refused."""
        before = user.attributes(provider)
        if before.active and not wanted.active:
            await self.users.deactivate(user)
            await self._record(http, provider, user.account.subject, Action.ACCOUNT_DEACTIVATED)
        changed = await self.users.change(provider, user, wanted)
        after = changed.attributes(provider)
        if after.active and not before.active:
            await self._record(http, provider, user.account.subject, Action.ACCOUNT_ACTIVATED)
        if replace(after, active=before.active) != before:
            await self._record(http, provider, user.account.subject, Action.ACCOUNT_CHANGED)
        return scim_response(self._resource(provider, changed))

    async def _authenticate(self, http: Request) -> IdentityProvider:
        """The provider of the bearer token. Raises `ScimTokenRefused`."""
        try:
            return self.tokens.find(http.headers.getlist("authorization"))
        except ScimTokenRefused:
            await self.record(
                context_of(http),
                event_type=EventType.ACCOUNT_PROVISIONING,
                action=Action.REFUSED,
                reason=Reason.INVALID_TOKEN,
                outcome=Outcome.REFUSED,
            )
            raise

    async def _record(self, http: Request, provider: IdentityProvider, account: str, action: Action) -> None:
        await self.record(
            context_of(http),
            event_type=EventType.ACCOUNT_PROVISIONING,
            action=action,
            user_id=account,
            reason=provider.id,
        )

    def _resource(self, provider: IdentityProvider, user: ProvisionedUser) -> dict[str, Any]:
        """The user as a resource. Attributes without a value are left out (RFC 7643 section 2.5)."""
        attributes = user.attributes(provider)
        created = datetime.fromtimestamp(user.account.created_at_seconds, UTC)
        resource: dict[str, Any] = {
            "schemas": [USER_SCHEMA],
            "id": user.account.subject,
            "userName": attributes.user_name,
            "displayName": attributes.display_name,
            "name": {"formatted": attributes.display_name},
            "active": attributes.active,
            "meta": {
                "resourceType": "User",
                "created": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "location": f"{self.issuer}{SCIM_PATH}/Users/{user.account.subject}",
            },
        }
        if attributes.external_id is not None:
            resource["externalId"] = attributes.external_id
        if attributes.email is not None:
            resource["emails"] = [{"value": attributes.email, "type": "work", "primary": True}]
        return resource


def _select(resource: Mapping[str, Any], form: Form) -> Mapping[str, Any]:
    """The part of a resource that `attributes` or `excludedAttributes` select (RFC 7644 section 3.9)."""
    wanted, excluded = _attribute_names(form.get("attributes")), _attribute_names(form.get("excludedAttributes"))
    return {
        name: value
        for name, value in resource.items()
        if name in _ALWAYS_RETURNED or ((not wanted or name.lower() in wanted) and name.lower() not in excluded)
    }


def _attribute_names(text: str | None) -> frozenset[str]:
    """The names in lower case, without the schema and without the part of an attribute."""
    names = (name.strip().lower().removeprefix(f"{USER_SCHEMA}:".lower()) for name in (text or "").split(","))
    return frozenset(name.partition(".")[0] for name in names if name)


def _number(form: Form, name: str, default: int) -> int:
    """A parameter as a whole number. Raises `ScimValueInvalid`."""
    text = form.get(name)
    if text is None:
        return default
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit() or len(text) > len(str(_MAX_INDEX)):
        raise ScimValueInvalid(f"{name} is not a whole number")
    return int(text)


def _body(required: str) -> Mapping[str, Any]:
    schema = {"type": "object", "required": [required]}
    return {"requestBody": {"required": True, "content": {SCIM_MEDIA_TYPE: {"schema": schema}}}}


def _responses(success: int, description: str, *errors: int) -> Responses:
    texts = {
        400: "The request is invalid; `scimType` and `detail` say why.",
        401: "The bearer token is that of no identity provider.",
        404: "The provider has no such user.",
        409: "Another account has the userName, or the person has an account.",
        413: "The body is too large.",
        501: "Bulk operations are not supported.",
        503: "Redis or the audit journal is not available; Retry-After says how many seconds to wait.",
    }
    content: dict[str, Any] = {} if success == 204 else {"content": dict(_CONTENT)}
    described: Responses = {success: {"description": description, **content}}
    for status in errors:
        described[status] = {"description": texts[status], "content": dict(_CONTENT)}
    return described


_RESPONSES: Mapping[str, Responses] = {
    "GET": _responses(200, "The resource, or a list of them.", 400, 401, 404, 503),
    "POST": _responses(201, "The new user.", 400, 401, 409, 413, 501, 503),
    "PUT": _responses(200, "The user.", 400, 401, 404, 409, 413, 503),
    "PATCH": _responses(200, "The user.", 400, 401, 404, 409, 413, 503),
    "DELETE": _responses(204, "The user was deleted.", 401, 404, 503),
}
