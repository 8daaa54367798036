"""The lock files are complete and keep extras, and no install command resolves dependencies.

`.ci/newcomer.sh` installs from them with old and new pip; that needs the package index, and this does not.
"""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
MEMBERS = ("shared-security", "auth-service", "mcp-resource-service", "gateway-service", "local-stack")
NOT_OURS = {".venv", ".venv-benchmark", ".git", ".run", "node_modules", "logs"}


@dataclass(frozen=True)
class Pin:
    """One line of a lock file."""

    name: str
    version: str
    extras: frozenset[str]


def pins(lock: Path) -> dict[str, Pin]:
    """The lines of a lock file by package name."""
    found: dict[str, Pin] = {}
    for line in re.findall(r"^[A-Za-z0-9].*$", lock.read_text(encoding="utf-8"), re.MULTILINE):
        requirement = Requirement(line.rstrip("\\ "))
        [specifier] = requirement.specifier
        assert specifier.operator == "==", line
        name = canonicalize_name(requirement.name)
        found[name] = Pin(name, specifier.version, frozenset(requirement.extras))
    return found


def requirements_of_members() -> Iterator[Requirement]:
    for member in MEMBERS:
        project = tomllib.loads((ROOT / member / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        optional: dict[str, list[str]] = project.get("optional-dependencies", {})
        for text in (*project["dependencies"], *(each for extra in optional.values() for each in extra)):
            yield Requirement(text)


def requirements_of(pin: Pin) -> Iterator[Requirement]:
    """The requirements of an installed package with the extras in the lock; none if it is not installed here."""
    try:
        distribution = importlib.metadata.distribution(pin.name)
    except importlib.metadata.PackageNotFoundError:
        return
    for text in distribution.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *pin.extras)):
            yield requirement


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_keeps_the_extras_that_its_packages_require(lock: Path) -> None:
    locked = pins(lock)
    lost = [
        f"{pin.name} needs {requirement}, and the lock has {locked[name]}"
        for pin in locked.values()
        for requirement in requirements_of(pin)
        if (name := canonicalize_name(requirement.name)) in locked and not requirement.extras <= locked[name].extras
    ]
    assert lost == []


def test_the_locks_keep_the_extras_that_the_members_require() -> None:
    run = pins(ROOT / "requirements/run.lock")
    asked = [requirement for requirement in requirements_of_members() if requirement.extras]
    third_party = [each for each in asked if not each.name.startswith("mcp-oauth2-")]
    assert third_party
    for requirement in third_party:
        assert requirement.extras <= run[canonicalize_name(requirement.name)].extras, requirement


def test_the_locks_contain_extras() -> None:
    """Ensures that the two tests above cannot pass because the locks contain no extras."""
    assert pins(ROOT / "requirements/run.lock")["pydantic"].extras == {"email"}


def our_files() -> Iterator[Path]:
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS]
        yield from (Path(folder) / name for name in files)


def installs() -> Iterator[tuple[str, str]]:
    """Each command in the repository that installs from a lock, with its file. Continued lines are joined."""
    for path in our_files():
        if path.suffix in {".png", ".lock", ".py"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
        for line in text.splitlines():
            if re.search(r"(pip3?|uv) .*(--requirement|-r) ", line) or "--require-hashes" in line:
                yield str(path.relative_to(ROOT)), line.strip()


def test_every_install_uses_no_deps_and_require_hashes() -> None:
    commands = [(file, line) for file, line in installs() if "pip" in line.lower() and not line.startswith("#")]
    files = {file for file, _ in commands}
    assert {"Makefile", "requirements/install.sh", "requirements/image.sh"} <= files
    for file, line in commands:
        if re.search(r"\bpip\b.* install\b", line):
            assert "--no-deps" in line, f"{file}: {line}"
            assert "--require-hashes" in line, f"{file}: {line}"


def test_only_targets_that_install_the_clients_collect_their_tests() -> None:
    """Without the packages of `make test-clients`, pytest cannot import e2e-tests/tests/clients."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = re.findall(r"^(test[a-z-]*): (\S+).*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert {"test", "test-compose", "test-compose-deep", "test-deep", "test-clients"} <= {name for name, *_ in recipes}
    for name, prerequisite, recipe in recipes:
        if prerequisite == "$(VENV)/.dev":
            assert "--ignore e2e-tests/tests/clients" in recipe, name


def test_the_environment_is_complete_and_consistent() -> None:
    """`pip check` finds missing and conflicting packages."""
    checked = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_missing_uv_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/lock.sh").write_text((ROOT / "requirements/lock.sh").read_text())
    refused = subprocess.run(
        ["/bin/sh", "requirements/lock.sh"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: uv is neither on the PATH nor in .venv\nhint: ")
