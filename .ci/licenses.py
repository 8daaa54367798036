"""Checks the licences of the packages in the images, and prints them: `make licenses`, and a part of `make check`.

The packages are those of the locks of the services, as they are installed here. One that is not installed on this
platform is named. Its licence is the license expression (PEP 639), else the classifiers, else the text of the field.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

LOCKS = ("auth-service", "mcp-resource-service", "gateway-service")
# MIT, BSD and Apache licences, and others that only ask for a notice. MPL-2.0 covers the files of certifi, which are
# shipped unchanged.
PERMITTED = {"MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "PSF-2.0", "Unlicense", "MPL-2.0"}
EXPRESSIONS_BY_CLASSIFIER = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
_PACKAGE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^ ;\\]+)")


def packages() -> dict[str, str]:
    """The version of every package of the locks, by name."""
    found: dict[str, str] = {}
    for lock in LOCKS:
        for line in Path(f"requirements/{lock}.lock").read_text(encoding="utf-8").splitlines():
            match = _PACKAGE.match(line)
            if match:
                found[match[1]] = match[2]
    return dict(sorted(found.items()))


def license_of(name: str) -> str:
    """The SPDX expression of the package; empty if it states none that is known. Raises `PackageNotFoundError`."""
    stated = metadata(name)
    expression = stated.get("License-Expression")
    if expression:
        return str(expression)
    classifiers = [
        str(each).rpartition(" :: ")[2] for each in stated.get_all("Classifier") or [] if "License ::" in each
    ]
    known = sorted({EXPRESSIONS_BY_CLASSIFIER[each] for each in classifiers if each in EXPRESSIONS_BY_CLASSIFIER})
    if known:
        return " OR ".join(known)
    text = str(stated.get("License") or "").strip()
    return text if text in PERMITTED else ""


def is_permitted(expression: str) -> bool:
    """Whether the expression can be satisfied with permitted licences only (`OR` leaves a choice, `AND` does not)."""
    alternatives = expression.strip("()").split(" OR ")
    return any(all(part.strip("() ") in PERMITTED for part in each.split(" AND ")) for each in alternatives)


def problems(licenses: dict[str, str]) -> Iterator[str]:
    """One sentence for each package whose licence is unknown or not permitted."""
    for name, expression in licenses.items():
        if not expression:
            yield f"{name}: its licence is not stated; look it up, and add its text to .ci/licenses.py"
        elif not is_permitted(expression):
            yield f"{name}: {expression} is not a licence that we ship; replace the package"


def main() -> int:
    licenses: dict[str, str] = {}
    for name, version in packages().items():
        try:
            licenses[name] = license_of(name)
        except PackageNotFoundError:
            print(f"{name} {version}: not installed on this platform")
            continue
        if "--quiet" not in sys.argv:
            print(f"{name} {version}: {licenses[name]}")
    found = list(problems(licenses))
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
