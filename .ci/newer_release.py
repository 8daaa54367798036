"""newer_release.py FOLDER NAME: a package index in FOLDER whose only package is an empty release 99.0 of NAME."""

import hashlib
import sys
import zipfile
from pathlib import Path

VERSION = "99.0"


def write_index(folder: Path, name: str) -> None:
    """Writes the wheel and its page as PEP 503 has them."""
    project = folder / name
    project.mkdir(parents=True)
    wheel = project / f"{name}-{VERSION}-py3-none-any.whl"
    information = f"{name}-{VERSION}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n")
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    page = f'<!DOCTYPE html>\n<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>\n'
    (project / "index.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write_index(Path(sys.argv[1]), sys.argv[2])
