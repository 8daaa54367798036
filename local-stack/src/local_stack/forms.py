"""A person at a browser without scripts: reads a page's form, fills it in, sends it."""

from html.parser import HTMLParser

import httpx2

__all__ = ["Form", "sign_in", "submit"]


class Form(HTMLParser):
    """The first form of a page: where it goes, and what it holds. Of buttons with one name the first counts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action = ""
        self.values: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = given["action"]
        if tag in {"input", "button"} and "name" in given:
            self.values.setdefault(given["name"], given.get("value", ""))


def submit(http: httpx2.Client, page: httpx2.Response, **values: str) -> httpx2.Response:
    """What the page's form leads to, with these fields filled in."""
    form = Form(page.text)
    origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
    return http.post(page.url.join(form.action), data=form.values | values, headers={"Origin": origin})


def sign_in(http: httpx2.Client, page: httpx2.Response, *, until: str, username: str, password: str) -> httpx2.Response:
    """From the sign-in page on, agreeing to what is asked, to the first page at an address that begins with `until`."""
    page = submit(http, page, username=username, password=password)
    while not str(page.url).startswith(until):
        page = submit(http, page)
    return page
