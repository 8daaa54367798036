"""Reads, fills in and submits the form of a page, as a browser without JavaScript does."""

from html.parser import HTMLParser

import httpx2

__all__ = ["Form", "sign_in", "submit"]


class Form(HTMLParser):
    """The first form of a page: its action and its fields. Of several buttons with the same name the first is used."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action = ""
        self.values: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = attributes["action"]
        if tag in {"input", "button"} and "name" in attributes:
            self.values.setdefault(attributes["name"], attributes.get("value", ""))


def submit(http: httpx2.Client, page: httpx2.Response, **values: str) -> httpx2.Response:
    """Submits the page's form with these fields filled in and returns the response."""
    form = Form(page.text)
    origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
    return http.post(page.url.join(form.action), data=form.values | values, headers={"Origin": origin})


def sign_in(http: httpx2.Client, page: httpx2.Response, *, until: str, username: str, password: str) -> httpx2.Response:
    """Signs in and allows every request for consent. Returns the first page whose URL begins with `until`."""
    page = submit(http, page, username=username, password=password)
    while not str(page.url).startswith(until):
        page = submit(http, page)
    return page
