"""One auth-service is the identity provider of another: a strict provider that is not a test double."""

from pathlib import Path

import httpx2
from running_auth import StartService, free_port
from signing_in import DECLARATION, Page, Request, redeem, refresh, sent_to_client

RULES = """
    accounts: create
    allow: {everyone: true}
    rules: [{everyone: true, scopes: [mcp.access]}]
"""


def follow(http: httpx2.Client, answer: httpx2.Response) -> httpx2.Response:
    """Follows redirects between the two services, and stops at the client's address."""
    while answer.status_code == 303 and "/callback?" not in answer.headers["location"]:
        answer = http.get(str(answer.url.join(answer.headers["location"])))
    return answer


def submit(http: httpx2.Client, page: httpx2.Response, **fields: str) -> httpx2.Response:
    form = Page(page.text)
    return follow(http, http.post(str(page.url.join(form.action)), data={**form.fields, **fields}))


def test_a_user_of_one_service_signs_in_at_the_other(start_service: StartService, own_redis, tmp_path: Path) -> None:
    port = free_port()  # another host name, so that the cookies of the two are separate
    issuer = f"http://127.0.0.1:{port}"
    (tmp_path / "secret").write_text("a secret of the second service")
    (tmp_path / "first.yaml").write_text(f"""
clients:
  - client_id: second
    secret_file: secret
    grant_types: [authorization_code, refresh_token]
    redirect_uris: [{issuer}/oauth2/callback/first]
    scopes: [openid, profile, email, offline_access]
""")
    first = start_service(config=tmp_path / "first.yaml")
    (tmp_path / "second.yaml").write_text(f"""{DECLARATION}
sign_in: {{local: off}}
identity_providers:
  - id: first
    issuer: {first.issuer}
    client_id: second
    client_secret_file: secret
{RULES}""")
    second = start_service(
        config=tmp_path / "second.yaml", issuer=issuer, port=port, redis_url=own_redis[0], demo=False
    )
    request = Request("app", {"scope": "openid profile mcp.access offline_access", "max_age": "300"})
    with httpx2.Client(timeout=20, verify=False) as http:
        page = follow(http, http.get(f"{issuer}{request.path}"))
        assert str(page.url).startswith(first.issuer), "one provider and no passwords: straight to the other service"
        page = submit(http, page, username="demo", password="demo", action="sign_in")
        page = submit(http, page, action="allow")
        assert (str(page.url).startswith(issuer), "Demo User" in page.text) == (True, True)
        code = sent_to_client(submit(http, page, action="allow"))["code"]
    tokens = redeem(second.http, request, code).json()
    assert tokens["scope"] == "openid profile mcp.access offline_access"
    assert refresh(second.http, "app", tokens["refresh_token"]).status_code == 200
    userinfo = second.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert (userinfo.json()["name"], userinfo.json()["preferred_username"]) == ("Demo User", "demo")
