"""The setting that declares trusted issuers: its sources, its members, and the messages for wrong values."""

import json

import pytest

from security_common.guard import GuardPolicy
from security_common.service import read_trusted_issuers
from security_common.settings import SettingProblem
from security_common.tokens.trusted_issuer import DEFAULT_TOKEN_BYTES, MAX_TOKEN_BYTES
from security_common.tokens.vendor_presets import PRESETS

TENANT = "3f2c0e9a-51d7-4d64-9c0b-7a1f0c5d8e21"
ENTRY = {"issuer": "https://login.example/", "audience": "api://mcp"}
YAML = """
- issuer: https://login.example/
  audience: [api://mcp, mcp]
  typ: [JWT, null]
  roles: {reader: mcp.access mcp.decrypt}
"""


def read(value):
    return read_trusted_issuers(value, setting="MCP_TRUSTED_ISSUERS")


@pytest.mark.parametrize("value", ["", "[]", "  "])
def test_an_empty_value_declares_no_issuer(value):
    assert read(value) == ()


def test_json_and_files_give_the_same_issuers(tmp_path):
    text = json.dumps([ENTRY])
    (tmp_path / "issuers.json").write_text(f"\ufeff{text}", encoding="utf-8")
    (tmp_path / "issuers.yaml").write_text("- issuer: https://login.example/\n  audience: api://mcp\n")
    for value in (text, f"\n {text}", str(tmp_path / "issuers.json"), str(tmp_path / "issuers.yaml")):
        (issuer,) = read(value)
        assert (issuer.issuer, issuer.audiences) == ("https://login.example/", ("api://mcp",))


def test_members_may_contain_one_or_several_values(tmp_path):
    path = tmp_path / "issuers.yaml"
    path.write_text(YAML)
    (issuer,) = read(str(path))
    assert issuer.audiences == ("api://mcp", "mcp")
    assert issuer.token_types == ("JWT", "")
    assert issuer.roles == {"reader": ("mcp.access", "mcp.decrypt")}


def test_without_a_preset_the_claims_of_rfc_9068_are_required():
    (strict,) = read([ENTRY])
    (loose,) = read([ENTRY | {"typ": ["JWT"]}])
    (own,) = read([ENTRY | {"required_claims": [["azp", "cid"], "jti"]}])
    assert strict.all_required_claims == ("client_id", "iat", "jti")
    assert loose.all_required_claims == ()
    assert own.all_required_claims == (("azp", "cid"), "jti")


def test_the_largest_token_leaves_space_for_other_headers():
    assert DEFAULT_TOKEN_BYTES < MAX_TOKEN_BYTES <= GuardPolicy().max_header_bytes - 8 * 1024


@pytest.mark.parametrize(
    ("member", "value", "problem"),
    [
        ("issuer", "http://login.example", "issuer: must be https"),
        ("issuer", "login.example", "issuer: must be an absolute"),
        ("issuer", "https://login.example/?tenant=1", "issuer: must be an absolute"),
        ("issuer", "https://[::1].login.example", "issuer: must be an absolute"),
        ("issuer", "https://user:password@login.example", "issuer: must be an absolute"),
        ("issuer", 7, "issuer: must be a URL"),
        ("internal_url", "keycloak:8080", "internal_url: must be an absolute"),
        ("audience", [], "audience: must be a string, or a list"),
        ("audience", "", "audience: must be a string, or a list"),
        ("audience", {"a": 1}, "audience: must be a string, or a list"),
        ("preset", "azure", f"preset: must be one of {', '.join(PRESETS)}"),
        ("typ", [], "typ: must be a list"),
        ("algorithms", ["none"], "algorithms: must be a list of RS256, PS256, ES256, EdDSA"),
        ("algorithms", ["RS256", "HS256"], "algorithms: must be a list of RS256, PS256, ES256, EdDSA"),
        ("algorithms", [], "algorithms: must be a list of RS256, PS256, ES256, EdDSA"),
        ("client_claim", {"a": "b"}, "client_claim: must be the name of a claim"),
        ("required_claims", [7], "required_claims: must be a list of names"),
        ("claims", {"tid": [1.5]}, "claims: must be an object"),
        ("roles", ["reader"], "roles: must be an object"),
        ("roles", {"reader": ["mcp access"]}, "roles: must be an object"),
        ("groups", {"": ["mcp.access"]}, "groups: must be an object"),
        ("max_token_bytes", MAX_TOKEN_BYTES + 1, f"max_token_bytes: must be a whole number from 1024 to {24 * 1024}"),
        ("max_token_bytes", True, "max_token_bytes: must be a whole number"),
        ("Audience", "x", "Audience: is not a member of an entry"),
    ],
)
def test_a_wrong_member_is_reported_with_its_allowed_values(member, value, problem):
    with pytest.raises(SettingProblem) as failure:
        read([ENTRY, {"issuer": "https://other.example", "audience": "x"} | {member: value}])
    assert str(failure.value).startswith(f"entry 2: {problem}")
    assert failure.value.hint


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"issuer": "https://login.example"}, "audience: is missing"),
        ({"audience": "x"}, "issuer: is missing"),
        ("https://login.example", "must be an object with issuer and audience"),
        (
            ENTRY | {"issuer": "https://login.microsoftonline.com/common/v2.0", "preset": "entra"},
            "issuer: must contain",
        ),
        (ENTRY | {"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0", "preset": "entra"}, "issuer: must"),
        (ENTRY | {"issuer": "https://sts.windows.net/contoso.example/", "preset": "entra"}, "issuer: must contain"),
        (ENTRY | {"preset": "google", "audience": "1.apps.googleusercontent.com"}, "audience: is an OAuth client id"),
    ],
)
def test_a_wrong_entry_is_explained(entry, problem):
    with pytest.raises(SettingProblem) as failure:
        read([entry])
    assert str(failure.value).startswith(f"entry 1: {problem}")


@pytest.mark.parametrize("value", ["{}", '{"issuer": "https://login.example", "audience": "x"}', 7, None])
def test_a_value_that_is_not_a_list_is_refused(value):
    with pytest.raises(SettingProblem, match="must be a list"):
        read(value)


def test_an_issuer_that_is_declared_twice_is_refused():
    with pytest.raises(SettingProblem, match="entry 2: issuer: is declared twice"):
        read([ENTRY, ENTRY | {"audience": "other"}])
    assert len(read([ENTRY, ENTRY | {"issuer": "https://login.example"}])) == 2


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("issuers.yaml", "- [", r"not valid YAML \(line"),
        ("issuers.json", "[{", r"not valid JSON \(line 1"),
        ("issuers.yaml", "", "must be a list"),
        ("issuers.yaml", b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path, name, text, problem):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingProblem, match=problem):
        read(str(path))


def test_a_missing_file_is_explained(tmp_path):
    with pytest.raises(SettingProblem, match="the file cannot be read: No such file") as failure:
        read(str(tmp_path / "issuers.yaml"))
    assert "JSON" in failure.value.hint


def test_the_tenant_of_entra_id_is_validated():
    for issuer in (f"https://login.microsoftonline.com/{TENANT}/v2.0", f"https://sts.windows.net/{TENANT}/"):
        (trusted,) = read([ENTRY | {"issuer": issuer, "preset": "entra"}])
        assert trusted.expected_claims == {"tid": (TENANT,)}
