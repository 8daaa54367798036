"""Input requests: questions to the user that are part of a result (MCP 2026-07-28, multi round-trip requests).

    upstream: inputRequests, requestState  ─▶ checked, protected like a message ─▶ state sealed ─▶ client
    client: inputResponses, requestState   ─▶ state opened for this call, responses protected like arguments ─▶ upstream

The state of an upstream passes through the client, and the upstream cannot know whose it is, because all calls arrive
with the gateway's credential. So the gateway encrypts it for one caller, component and set of arguments.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, cast
from urllib.parse import urlsplit

from gateway_service.declaration import InputRequestKind, UpstreamDeclaration
from gateway_service.relay.client_request import ClientRequest
from gateway_service.relay.component_calls import ComponentCall
from gateway_service.relay.upstream_results import InvalidResult
from gateway_service.upstreams.errors import UpstreamFailure
from gateway_service.wire.versions import CLIENT_CAPABILITIES
from security_common.encryption import DecryptionFailed, EncryptionService
from security_common.strict_json import WrittenNumber
from security_common.tool_policy import SecuredCall, ToolPolicyError, owner_of

__all__ = ["InputRequestNotRelayed", "InputRequests", "InvalidInputResponses", "InvalidRequestState"]

MAX_INPUT_REQUESTS = 16
MAX_STATE_CHARACTERS = 64 * 1024
STATE_LIFETIME_SECONDS = 600

_METHODS = {"sampling/createMessage": InputRequestKind.SAMPLING, "roots/list": InputRequestKind.ROOTS}
ELICITATION = "elicitation/create"


class InvalidInputResponses(ToolPolicyError):
    """The responses to input requests are malformed, or not possible in the client's protocol version."""

    error: ClassVar[str] = "invalid_arguments"


class InvalidRequestState(InvalidInputResponses):
    """The state of an input request has expired, was changed, or belongs to another call."""

    error: ClassVar[str] = "invalid_request_state"


class InputRequestNotRelayed(UpstreamFailure):
    """The upstream asks for input that the client did not offer, or that gateway.yaml does not allow."""

    error: ClassVar[str] = "input_request_not_relayed"

    @classmethod
    def by(cls, upstream: str, *, is_stateless: bool) -> "InputRequestNotRelayed":
        """The error for this upstream."""
        hint = "the client has to declare the capability, and gateway.yaml to allow it in `input_requests`"
        if not is_stateless:
            hint = "use a client of the protocol version 2026-07-28: through the gateway, only those can be asked"
        return cls(f"{upstream} asks the user for input, which cannot be relayed", hint=hint)


class InputRequests:
    """Relays input requests. `encryption` seals their state; all replicas of a gateway need the same keys."""

    def __init__(self, encryption: EncryptionService) -> None:
        self._encryption = encryption

    def of_call(
        self, component: ComponentCall, client: ClientRequest, declaration: UpstreamDeclaration
    ) -> "InputRequestsOfCall":
        """The input requests that this call may lead to, and the responses that it has."""
        return InputRequestsOfCall(self._encryption, component, client, declaration)


class InputRequestsOfCall:
    """The input requests of one call. `capabilities` are those that are declared to the upstream."""

    def __init__(
        self,
        encryption: EncryptionService,
        component: ComponentCall,
        client: ClientRequest,
        declaration: UpstreamDeclaration,
    ) -> None:
        self._encryption = encryption
        self._component = component
        self._client = client
        self._url_hosts = declaration.input_url_hosts
        allowed = frozenset[InputRequestKind]()
        if component.may_request_input and client.is_stateless:
            allowed = declaration.input_requests
        offered = _offered_kinds(client)
        self._kinds = offered & allowed
        self.are_limited = offered != self._kinds
        """Whether the client offers more than is declared to the upstream."""
        self.capabilities = _capabilities(self._kinds)

    async def responses(self, call: SecuredCall) -> dict[str, Any]:
        """The client's responses to input requests, protected like arguments, and the state of the upstream.

        Raises `InvalidInputResponses`, and what protecting arguments raises.
        """
        params = self._client.message.params
        state, responses = params.get("requestState"), params.get("inputResponses")
        if state is None and responses is None:
            return {}
        are_objects = responses is None or _is_small_object(responses)
        if not self._client.is_stateless or not are_objects or not isinstance(state, str | None):
            raise InvalidInputResponses(
                "`inputResponses` must be an object of objects, and `requestState` a text, in the version 2026-07-28",
                hint="send the responses to the input requests of this call",
            )
        sent: dict[str, Any] = {}
        if state is not None:
            sent["requestState"] = self._open(state)
        if responses is not None:
            sent["inputResponses"] = await call.run(call.protect_client_response, responses)
        return sent

    async def relay(self, call: SecuredCall, result: Mapping[str, Any]) -> dict[str, Any]:
        """The input requests of a result as they may be sent. Raises `InvalidResult` and `InputRequestNotRelayed`."""
        requests, state = result.get("inputRequests"), result.get("requestState")
        if not requests and state is None:
            raise InvalidResult("sent an input request without content")
        if not self._component.may_request_input or not self._client.is_stateless:
            raise InputRequestNotRelayed.by(self._component.upstream, is_stateless=self._client.is_stateless)
        if not isinstance(state, str | None) or (state is not None and len(state) > MAX_STATE_CHARACTERS):
            raise InvalidResult("sent an input request with a state that is not a short text")
        members: dict[str, Any] = {"resultType": "input_required"}
        if requests is not None:
            self._check(requests)
            members["inputRequests"] = requests
        protected = await call.run(call.protect_wire_result, members)
        if _urls_of(protected) != _urls_of(members):
            raise InvalidResult("sent the user to a URL with personal data")
        if state is not None:
            protected["requestState"] = self._encryption.encrypt(state, context=self._context())
        return protected

    def _check(self, requests: Any) -> None:
        if not _is_small_object(requests):
            raise InvalidResult("sent input requests that are not an object, or too many of them")
        for request in cast("dict[str, dict[str, Any]]", requests).values():
            params: Any = request.get("params", {})
            if not isinstance(params, dict):
                raise InvalidResult("sent an input request whose parameters are not an object")
            kind = _kind_of(request.get("method"), cast("dict[str, Any]", params))
            if kind not in self._kinds:
                raise InputRequestNotRelayed.by(self._component.upstream, is_stateless=self._client.is_stateless)
            if kind is InputRequestKind.URL and not _is_allowed(cast("dict[str, Any]", params), self._url_hosts):
                raise InvalidResult("sent the user to a URL that `input_url_hosts` does not name")

    def _open(self, state: str) -> str:
        try:
            return self._encryption.decrypt(state, context=self._context(), max_age_seconds=STATE_LIFETIME_SECONDS)
        except DecryptionFailed:
            raise InvalidRequestState(
                "the state of the input request is not valid for this call", hint="call again without it"
            ) from None

    def _context(self) -> dict[str, str]:
        """What the state is bound to. Its lifetime is that of the ciphertext."""
        token = self._client.caller.token
        arguments = json.dumps(self._component.arguments, sort_keys=True, default=_text_of_number)
        return {
            "purpose": "mcp-request-state",
            "owner": owner_of(token.issuer, token.subject),
            "upstream": self._component.upstream,
            "component": self._component.secured.name,
            "arguments": hashlib.sha256(arguments.encode()).hexdigest(),
        }


def _offered_kinds(client: ClientRequest) -> frozenset[InputRequestKind]:
    """What the client can be asked for, by the capabilities in its request."""
    declared: Any = client.message.metadata.get(CLIENT_CAPABILITIES)
    capabilities = cast("dict[str, Any]", declared) if isinstance(declared, dict) else {}
    kinds: set[InputRequestKind] = set()
    elicitation: Any = capabilities.get("elicitation")
    if isinstance(elicitation, dict):
        if "form" in elicitation or not elicitation:  # without modes, the mode is that of older versions
            kinds.add(InputRequestKind.FORM)
        if "url" in elicitation:
            kinds.add(InputRequestKind.URL)
    if isinstance(capabilities.get("sampling"), dict):
        kinds.add(InputRequestKind.SAMPLING)
    if isinstance(capabilities.get("roots"), dict):
        kinds.add(InputRequestKind.ROOTS)
    return frozenset(kinds)


def _capabilities(kinds: frozenset[InputRequestKind]) -> dict[str, Any]:
    modes: dict[str, Any] = {str(kind): {} for kind in (InputRequestKind.FORM, InputRequestKind.URL) if kind in kinds}
    capabilities: dict[str, Any] = {"elicitation": modes} if modes else {}
    for kind in (InputRequestKind.SAMPLING, InputRequestKind.ROOTS):
        if kind in kinds:
            capabilities[str(kind)] = {}
    return capabilities


def _kind_of(method: Any, params: Mapping[str, Any]) -> InputRequestKind | None:
    if method != ELICITATION:
        return _METHODS.get(method) if isinstance(method, str) else None
    mode = params.get("mode", "form")
    return InputRequestKind(mode) if mode in {"form", "url"} else None


def _is_allowed(params: Mapping[str, Any], hosts: frozenset[str]) -> bool:
    """Whether the URL is https, with a host that the declaration names and nothing before it."""
    url = params.get("url")
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and parts.netloc.lower() in hosts
    except ValueError:
        return False


def _urls_of(members: Mapping[str, Any]) -> list[Any]:
    requests: dict[str, dict[str, Any]] = members.get("inputRequests", {})
    return [request.get("params", {}).get("url") for request in requests.values()]


def _is_small_object(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    items = cast("dict[str, Any]", value)
    return len(items) <= MAX_INPUT_REQUESTS and all(isinstance(each, dict) for each in items.values())


def _text_of_number(value: WrittenNumber) -> str:
    return value.text
