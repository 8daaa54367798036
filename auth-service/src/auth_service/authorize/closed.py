"""The authorization endpoint of a server that signs nobody in: a page that says so and what works instead."""

from auth_service.http.messages import Answer, Endpoint, HttpRequest

__all__ = ["closed_endpoint"]

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign-in is not available</title>
<h1>Sign-in is not available</h1>
<p>This server gives tokens to clients that act for themselves:
POST /oauth2/token with grant_type=client_credentials.</p>
<p lang="ko">이 서버에서는 아직 로그인할 수 없습니다. client_credentials 방식으로 토큰을 받아 주세요.</p>
</html>
""".encode()

_HEADERS = (
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
)


def closed_endpoint() -> Endpoint:
    """Clients demand an `authorization_endpoint` in the metadata even when they never use it."""

    async def answer(_request: HttpRequest) -> Answer:
        return Answer(status=400, body=_PAGE, media_type="text/html; charset=utf-8", headers=_HEADERS)

    page = {"400": {"description": "A page that says so", "content": {"text/html": {"schema": {"type": "string"}}}}}
    operation = {"operationId": "authorize", "summary": "Nobody can sign in yet", "tags": ["authorize"]}
    return Endpoint(
        path="/oauth2/authorize",
        handler=answer,
        operations={"get": {**operation, "responses": page}},
        metadata={"authorization_endpoint": "/oauth2/authorize"},
    )
