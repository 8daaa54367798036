"""Values of auth.yaml that YAML 1.1 reads as booleans stay strings, with or without quotes."""

from pathlib import Path

import pytest

from auth_service.declaration import Openness
from auth_service.declaration_file import load_declaration
from auth_service.settings import AuthSettings

SCOPES = "scopes: {mcp.access: {ko: 접근, en: access}}"


def load(folder: Path, text: str):
    path = folder / "auth.yaml"
    path.write_text(text, encoding="utf-8")
    return load_declaration(AuthSettings(config=path, issuer="https://auth.example.com"))


@pytest.mark.parametrize("word", Openness)
@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("setting", ["dynamic", "metadata_documents"])
def test_openness_accepts_words_that_yaml_reads_as_booleans(
    tmp_path: Path, setting: str, word: Openness, quoted: bool
) -> None:
    declared = load(tmp_path, f"registration: {{{setting}: {repr(word.value) if quoted else word.value}}}")
    expected = Openness.LISTED if word is Openness.AUTO else word
    resolved = declared.registration.resolve_auto("https://auth.example.com")
    assert getattr(resolved, setting) is expected


@pytest.mark.parametrize(
    ("word", "is_default"), [("true", True), ("yes", True), ("on", True), ("False", False), ("no", False)]
)
def test_a_boolean_setting_accepts_every_yaml_boolean(tmp_path: Path, word: str, is_default: bool) -> None:
    declared = load(tmp_path, f"resources: [{{url: 'https://mcp.example.com/mcp', default: {word}, {SCOPES}}}]")
    assert declared.resources[0].default is is_default


@pytest.mark.parametrize("word", ["off", "no", "yes", "on", "y"])
def test_an_id_or_a_name_may_look_like_a_boolean(tmp_path: Path, word: str) -> None:
    (tmp_path / "secret").write_text("a secret of this client")
    declared = load(tmp_path, f"clients: [{{client_id: {word}, name: {word}, secret_file: secret}}]")
    assert [(client.client_id, client.name) for client in declared.clients] == [(word, word)]
