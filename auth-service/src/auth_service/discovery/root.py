"""`/`: a 401 that says where tokens are issued and where they are used."""

from fastapi import APIRouter
from starlette.responses import Response

from auth_service.http.application import new_router
from auth_service.http.openapi import ERROR_CONTENT
from auth_service.http.responses import json_response
from auth_service.paths import TOKEN_PATH

__all__ = ["make_root_router"]


def make_root_router(*, issuer: str, resource: str, documentation_url: str) -> APIRouter:
    """`resource` is the address of the default resource."""
    members = {
        "error": "unauthorized",
        "error_description": "This is an authorization server. Get a token at token_endpoint, use it at resource.",
        "issuer": issuer,
        "token_endpoint": f"{issuer}{TOKEN_PATH}",
        "resource": resource,
        "metadata": f"{issuer}/.well-known/oauth-authorization-server",
        "documentation": documentation_url,
    }
    headers = {"cache-control": "no-store", "www-authenticate": f'Bearer realm="{issuer}"'}
    router = new_router("discovery")

    @router.get(
        "/",
        status_code=401,
        operation_id="root",
        summary="Where to get and use a token",
        response_description="Always: this server has nothing to read here",
        responses={401: {"content": ERROR_CONTENT}},
    )
    async def root() -> Response:
        return json_response(members, status=401, headers=headers)

    return router
