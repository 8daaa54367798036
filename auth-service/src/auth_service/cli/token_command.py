"""`auth-service token`: a token from the running service, for scripts and manual tests."""

import json as json_text
import os
from pathlib import Path
from typing import Annotated

import httpx2
from cyclopts import Parameter

from auth_service.cli.output import Json
from auth_service.declaration_file import DEMO_SECRET_FILE
from auth_service.paths import TOKEN_PATH
from auth_service.settings import AuthSettings
from security_common.errors import SecurityError
from security_common.secret_files import read_secret_file

__all__ = ["token"]

_TIMEOUT_SECONDS = 10.0
_SECRET_HINT = "name the file with the secret that `auth-service client create` printed"


class TokenRefused(SecurityError):
    """The service issued no token."""

    error = "token_refused"


def token(
    *,
    client_id: str = "mcp-client",
    secret_file: Annotated[Path | None, Parameter(help="File with the client's secret.")] = None,
    scope: str | None = None,
    resource: str | None = None,
    json: Json = False,
) -> None:
    """Prints an access token; the help text is in `cli.commands`."""
    settings = AuthSettings()
    secret = read_secret_file(secret_file or DEMO_SECRET_FILE, setting="--secret-file", hint=_SECRET_HINT)
    form = {"grant_type": "client_credentials", "scope": scope or "", "resource": resource or ""}
    url = f"{os.environ.get('AUTH_INTERNAL_URL') or settings.issuer}{TOKEN_PATH}"
    try:
        response = httpx2.post(url, data=form, auth=(client_id, secret), timeout=_TIMEOUT_SECONDS)
        members = response.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise TokenRefused(f"{url} does not answer", hint="start the service with `auth-service serve`") from error
    if response.status_code != 200:
        raise TokenRefused(
            f"{members.get('error')}: {members.get('error_description')}",
            hint="check --client-id, --secret-file and --scope",
        )
    print(json_text.dumps(members, indent=2) if json else members["access_token"])
