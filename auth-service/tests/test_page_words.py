"""The texts of the pages: each exists in both languages, with the same parts, and is used."""

import re
from importlib.resources import files

import pytest
import yaml

from auth_service.authorize import page_errors
from auth_service.clients.ssrf_safe_fetch import FetchProblem
from auth_service.scopes import IDENTITY_SCOPES
from auth_service.web.error_pages import PageError
from auth_service.web.language import Language

TEXTS: dict[str, dict[str, str]] = yaml.safe_load(files("auth_service.web").joinpath("texts.yaml").read_text("utf-8"))
HANGUL = re.compile(r"[가-힣]")


@pytest.mark.parametrize("key", TEXTS)
def test_a_text_has_both_languages_and_the_same_parts(key: str) -> None:
    texts = TEXTS[key]
    assert texts.keys() == set(Language)
    parts = [set(re.findall(r"{(\w+)}", texts[language])) for language in Language]
    assert parts[0] == parts[1]
    assert HANGUL.search(texts["ko"])
    assert not HANGUL.search(texts["en"])


def test_every_error_page_has_its_text_and_every_text_is_used() -> None:
    folder = files("auth_service")
    page_modules = ("client_documents", "client_redirects", "sign_in_page", "consent_page", "logout_endpoint")
    sources = list(folder.joinpath("web/templates").iterdir())
    sources += [folder.joinpath(f"authorize/{name}.py") for name in page_modules]
    modules = [path for path in folder.joinpath("authorize").iterdir() if path.name.endswith(".py")]
    source = "".join(path.read_text("utf-8") for path in sources)
    used = set(re.findall(r'(?:say|text)\((?:language, )?"([\w.]+)"[,)]', source))
    used |= set(re.findall(r'"(consent\.\w+)"', source))
    errors = [error for error in vars(page_errors).values() if isinstance(error, type)]
    pages = {error.page for error in errors if issubclass(error, PageError)}
    pages |= {PageError.page, "form_invalid", "too_many", "unavailable", "failed"}
    used |= {f"error.{page}.{part}" for page in pages for part in ("title", "text")}
    used |= set(re.findall(r'NextStep\(\s*"([\w.]+)"', "".join(path.read_text("utf-8") for path in modules)))
    used |= {f"scope.{scope}" for scope in IDENTITY_SCOPES}
    used |= {f"document.{problem}" for problem in FetchProblem if problem is not FetchProblem.ADDRESS}
    used |= set(re.findall(r'(?:detail|problem)="([\w.]+)"', "".join(path.read_text("utf-8") for path in modules)))
    used |= {error.for_operator for error in errors if issubclass(error, PageError) and error.for_operator}
    assert used == TEXTS.keys()
