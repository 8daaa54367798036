"""FastAPI dependencies that parse requests strictly: forms, query strings and where a request came from."""

from starlette.requests import Request

from auth_service.http.forms import Form, parse_body, parse_query, refuse_repeated_parameters
from auth_service.http.parameters import ParameterTable
from security_common.edge import RequestContext, require_request_context

__all__ = ["FormBody", "QueryString", "context_of", "read_form"]


class FormBody:
    """`Depends(FormBody(table))` is the body as a `Form`.

    Forms of pydantic would not do: they answer 422 and hide repeated parameters. Raises `InvalidRequest`.
    """

    def __init__(self, table: ParameterTable) -> None:
        self._table = table

    async def __call__(self, request: Request) -> Form:
        form = read_form(request, self._table)
        refuse_repeated_parameters(form)
        return form


class QueryString:
    """`Depends(QueryString(table))` is the query string as a `Form`. Repeated parameters are left to the handler."""

    def __init__(self, table: ParameterTable) -> None:
        self._table = table

    async def __call__(self, request: Request) -> Form:
        return parse_query(request.scope["query_string"], self._table)


def read_form(request: Request, table: ParameterTable) -> Form:
    """The body as a `Form`, repeated parameters included. The edge has read the body already, within its limits."""
    context = context_of(request)
    return parse_body(context.body or b"", context.headers.last(b"content-type"), table)


def context_of(request: Request) -> RequestContext:
    """The client's address and the trace id, as the edge determined them."""
    return require_request_context(request.scope)
