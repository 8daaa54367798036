"""The walk's handlers for images, audio and files: base64 content is searched as the bytes that it encodes."""

import base64
from typing import Any

import mcp_types as types
from fastmcp.utilities.types import Audio, File, Image
from pydantic import BaseModel

from security_common.pii import FieldContext
from security_common.tool_policy import DataWalk, handles

__all__: list[str] = []


@handles(types.ImageContent, types.AudioContent, types.BlobResourceContents)
def _handle_base64_content(walk: DataWalk, value: Any, context: FieldContext | None) -> Any:
    member = "blob" if isinstance(value, types.BlobResourceContents) else "data"
    encoded: str = getattr(value, member)
    try:
        content = base64.b64decode(encoded, validate=True)
    except ValueError:  # it is not base64, so it is searched as text
        content = encoded
    protected = walk.visit(content, context)
    if protected is not content:
        encoded = base64.b64encode(protected).decode() if isinstance(protected, bytes) else protected
    other_members = walk.visit_as(BaseModel, value.model_copy(update={member: ""}), context)
    return other_members.model_copy(update={member: encoded})


@handles(Image)
def _handle_image(walk: DataWalk, value: Image, context: FieldContext | None) -> Any:
    return walk.visit(value.to_image_content(), context)


@handles(Audio)
def _handle_audio(walk: DataWalk, value: Audio, context: FieldContext | None) -> Any:
    return walk.visit(value.to_audio_content(), context)


@handles(File)
def _handle_file(walk: DataWalk, value: File, context: FieldContext | None) -> Any:
    return walk.visit(value.to_resource_content(), context)
