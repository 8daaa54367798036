"""The server that the MCP conformance suite asks for, wearing our guard as any FastMCP server would, and without it.

    conformance suite ──▶ port with the token added ─┐
    anyone else       ──▶ port of the resource ──────┴─▶ Guard ──▶ FastMCP fixture
    conformance suite ──▶ port without a guard ──────────────────▶ FastMCP fixture

The suite cannot send a token, so one of the ports adds it. What each tool, resource and prompt answers is given by
the suite's descriptions (`conformance list`, package @modelcontextprotocol/conformance).

Usage: python conformance_fixture.py RESOURCE [ISSUER TOKEN_PORT], the token on standard input; without the last two
there is no guard.
"""

import asyncio
import base64
import functools
import json
import socket
import struct
import sys
import zlib
from urllib.parse import urlsplit

import mcp_types as types
import uvicorn
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.prompts import Message
from fastmcp.utilities.types import Audio, Image
from mcp.shared.exceptions import MCPError
from mcp_types.jsonrpc import MISSING_REQUIRED_CLIENT_CAPABILITY

from security_common.guard import Guard, ProtectedResource
from security_common.tokens import TokenVerifier, TrustedIssuer

SHORT_WORK_SECONDS = 0.05
mcp = FastMCP("conformance-fixture", dereference_schemas=False)
tool = functools.partial(mcp.tool, description="Answers as the conformance suite describes.")
prompt = functools.partial(mcp.prompt, description="Says what the conformance suite describes.")


def png() -> bytes:
    """One red pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def wav() -> bytes:
    """One silent sample of 16-bit mono at 8 kHz."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    data = struct.pack("<4sIh", b"data", 2, 0)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data


def embedded(uri: str, mime_type: str, text: str) -> types.EmbeddedResource:
    contents = types.TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return types.EmbeddedResource(type="resource", resource=contents)


def picture() -> types.ImageContent:
    return types.ImageContent(type="image", data=base64.b64encode(png()).decode(), mime_type="image/png")


# --- Tools that answer at once ---


@tool()
def test_simple_text() -> str:
    return "This is a simple text response for testing."


@tool()
def test_image_content() -> Image:
    return Image(data=png(), format="png")


@tool()
def test_audio_content() -> Audio:
    return Audio(data=wav(), format="wav")


@tool(output_schema=None)
def test_embedded_resource() -> list[types.EmbeddedResource]:
    return [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


@tool(output_schema=None)
def test_multiple_content_types() -> list[types.ContentBlock]:
    mixed = embedded("test://mixed-content-resource", "application/json", json.dumps({"test": "data", "value": 123}))
    return [types.TextContent(type="text", text="Multiple content types test:"), picture(), mixed]


@tool()
def test_error_handling() -> str:
    raise ToolError("This tool intentionally returns an error for testing")


# --- Tools that say something on the way ---


@tool()
async def test_tool_with_logging(context: Context) -> str:
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await context.info(line)
        await asyncio.sleep(SHORT_WORK_SECONDS)
    return "Three lines were logged."


@tool()
async def test_logging_tool(context: Context) -> str:
    return await test_tool_with_logging(context)


@tool()
async def test_tool_with_progress(context: Context) -> str:
    for done in (0, 50, 100):
        await context.report_progress(done, 100)
        await asyncio.sleep(SHORT_WORK_SECONDS)
    return "All of it is done."


# --- Input that is asked for within a call (SEP-2322) ---


def question(message: str, name: str, kind: str = "string") -> types.ElicitRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def completion(text: str) -> types.CreateMessageRequest:
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=text))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[message], max_tokens=100))


def ask(state: str | None = None, **requests: types.InputRequest) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests=requests, request_state=state)


def answer_to(context: Context, key: str) -> object:
    return (context.input_responses or {}).get(key)


def filled_in(context: Context, key: str, name: str) -> object:
    """What the user typed, or None when there is no proper answer."""
    answer = answer_to(context, key)
    if not isinstance(answer, types.ElicitResult) or answer.action != "accept":
        return None
    return (answer.content or {}).get(name)


@tool()
def test_input_required_result_elicitation(context: Context) -> str | types.InputRequiredResult:
    name = filled_in(context, "user_name", "name")
    return f"Hello, {name}!" if isinstance(name, str) else ask(user_name=question("What is your name?", "name"))


@tool()
def test_input_required_result_sampling(context: Context) -> str | types.InputRequiredResult:
    answer = answer_to(context, "capital_question")
    if isinstance(answer, types.CreateMessageResult):
        return f"The model says: {answer.content.text}"
    return ask(capital_question=completion("What is the capital of France?"))


@tool()
def test_input_required_result_list_roots(context: Context) -> str | types.InputRequiredResult:
    answer = answer_to(context, "client_roots")
    if isinstance(answer, types.ListRootsResult):
        return f"Roots: {', '.join(str(root.uri) for root in answer.roots)}"
    return ask(client_roots=types.ListRootsRequest())


@tool()
def test_input_required_result_request_state(context: Context) -> str | types.InputRequiredResult:
    if context.request_state == "awaiting-confirmation" and filled_in(context, "confirm", "ok") is not None:
        return "state-ok"
    return ask("awaiting-confirmation", confirm=question("Please confirm", "ok", "boolean"))


@tool()
def test_input_required_result_tampered_state(context: Context) -> str | types.InputRequiredResult:
    return test_input_required_result_request_state(context)


@tool()
def test_input_required_result_multiple_inputs(context: Context) -> str | types.InputRequiredResult:
    if {"user_name", "greeting", "client_roots"} <= set(context.input_responses or {}):
        return "All three answers came."
    return ask(
        "awaiting-three",
        user_name=question("What is your name?", "name"),
        greeting=completion("Generate a greeting"),
        client_roots=types.ListRootsRequest(),
    )


@tool()
def test_input_required_result_multi_round(context: Context) -> str | types.InputRequiredResult:
    name, color = filled_in(context, "step1", "name"), filled_in(context, "step2", "color")
    if context.request_state == "round-2" and color is not None:
        return f"The color is {color}."
    if context.request_state == "round-1" and name is not None:
        return ask("round-2", step2=question("Step 2: What is your favorite color?", "color"))
    return ask("round-1", step1=question("Step 1: What is your name?", "name"))


@tool()
def test_input_required_result_capabilities(context: Context) -> str | types.InputRequiredResult:
    can = context.session.client_capabilities
    wanted = {
        "name": question("What is your name?", "name") if can and can.elicitation else None,
        "greeting": completion("Generate a greeting") if can and can.sampling else None,
        "roots": types.ListRootsRequest() if can and can.roots else None,
    }
    return ask(**{key: request for key, request in wanted.items() if request is not None})


@tool()
def test_streaming_elicitation(context: Context) -> str | types.InputRequiredResult:
    return test_input_required_result_elicitation(context)


@tool()
def test_missing_capability(context: Context) -> str:
    can = context.session.client_capabilities
    if can is None or can.sampling is None:
        missing = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "this tool needs a client that can sample", missing)
    return "The client can sample."


# --- Resources, prompts, completion ---


@mcp.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    return "This is the content of the static text resource."


@mcp.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    return png()


@mcp.resource("test://template/{id}/data", mime_type="application/json")
def template_data(id: str) -> str:  # noqa: A002 - the suite names the parameter
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@prompt()
def test_simple_prompt() -> str:
    return "This is a simple prompt for testing."


@prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@prompt()
def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803 - the suite names the parameter
    resource = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [Message(resource), Message("Please process the embedded resource above.")]


@prompt()
def test_prompt_with_image() -> list[Message]:
    return [Message(picture()), Message("Please analyze the image above.")]


@prompt()
def test_input_required_result_prompt(context: Context) -> str | types.InputRequiredResult:
    given = filled_in(context, "user_context", "context")
    if given is not None:
        return f"Work in this context: {given}"
    return ask(user_context=question("What context should the prompt use?", "context"))


@mcp.completion
def complete(ref: object, argument: types.CompletionArgument, context: object) -> list[str]:
    return [city for city in ("paris", "park", "party") if city.startswith(argument.value)]


# --- Behind the guard ---


class TokenAdder:
    """Adds the token to requests on one port; everything else is unchanged, including Host and Origin."""

    def __init__(self, app, *, port: int, token: str) -> None:
        self.app, self.port = app, port
        self.header = (b"authorization", f"Bearer {token}".encode())

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http" and scope["server"][1] == self.port:
            scope = scope | {"headers": [*scope["headers"], self.header]}
        await self.app(scope, receive, send)


def listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def serve(app, *ports: int) -> None:
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listen(port) for port in ports])


def main(resource: str, issuer: str = "", token_port: str = "") -> None:
    parts = urlsplit(resource)
    app = mcp.http_app(path=parts.path, stateless_http=True, host_origin_protection=not issuer)
    if not issuer:
        serve(app, parts.port)
        return
    guard = Guard(
        app,
        verifier=TokenVerifier([TrustedIssuer(issuer, resource)]),
        resource=ProtectedResource(resource, [issuer], scopes=["mcp.access"]),
    )
    token = sys.stdin.readline().strip()
    serve(TokenAdder(guard, port=int(token_port), token=token), parts.port, int(token_port))


if __name__ == "__main__":
    main(*sys.argv[1:])
