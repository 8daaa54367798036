"""Members of a record that belong together as the kind of a document and its number, and members with secrets.

{"docType": "passport", "docNo": "CK9KW8108"}                a number whose kind is in another member
{"kind": "Secret", "data": {"db": "cDRzcw=="}}                a Kubernetes manifest
{"auths": {"r.example.com": {"auth": "dXNlcjpwYXNz"}}}        the configuration of Docker
"""

from collections.abc import Sequence
from typing import NamedTuple

from security_common.pii.credentials import is_docker_credential
from security_common.pii.finding import PIIKind
from security_common.pii.labels import OTHER
from security_common.pii.word_lists import read_tables

__all__ = ["DocumentMembers", "can_have_number", "find_document_members"]

_PAIRS = read_tables("field_names")["pairs"]
_NAMES_OF_DOCUMENTS, _NAMES_OF_NUMBERS = frozenset(_PAIRS["documents"]), frozenset(_PAIRS["numbers"])
_NAMES_IN_MANIFEST = frozenset({"data", "stringdata"})
_NAMES_OF_DOCKER_CREDENTIALS = frozenset({"auth"})  # of Docker; `_auth` of npm
_KIND_OF_MANIFEST = "Secret"
_KINDS_WITHOUT_NUMBER = frozenset({OTHER, PIIKind.PERSON, PIIKind.ADDRESS, PIIKind.EMAIL, PIIKind.DATE_OF_BIRTH})
_KINDS_OF_VAGUE_NUMBERS = frozenset({"", OTHER})


class DocumentMembers(NamedTuple):
    """The indexes of members: the kinds of documents, numbers of documents, secrets of a manifest, and of Docker."""

    documents: tuple[int, ...]
    numbers: tuple[int, ...]
    manifest: tuple[int, ...]
    docker: tuple[int, ...]

    def has_relations(self) -> bool:
        """Whether the values have to be read."""
        return bool((self.documents and self.numbers) or self.manifest or self.docker)

    def manifest_with_secrets(self, type_: object) -> tuple[int, ...]:
        """The members whose values are all secrets. `type_` is the value of `kind`."""
        return self.manifest if type_ == _KIND_OF_MANIFEST else ()

    def docker_credentials(self, values: Sequence[object]) -> list[int]:
        """The members with `user:password` in base64."""
        return [index for index in self.docker if _is_docker_credential(values[index])]


def find_document_members(names: Sequence[str]) -> DocumentMembers:
    """The members with these names, which are written without separators and in lower case."""
    return DocumentMembers(
        *(
            tuple(index for index, name in enumerate(names) if name in words)
            for words in (_NAMES_OF_DOCUMENTS, _NAMES_OF_NUMBERS, _NAMES_IN_MANIFEST, _NAMES_OF_DOCKER_CREDENTIALS)
        )
    )


def can_have_number(kind_of_document: str, kind_of_number: str) -> bool:
    """Whether a member of one kind can be the number of a document of another kind."""
    is_vague = kind_of_number in _KINDS_OF_VAGUE_NUMBERS or kind_of_number.startswith(PIIKind.NATIONAL_ID)
    return is_vague and kind_of_document not in _KINDS_WITHOUT_NUMBER


def _is_docker_credential(value: object) -> bool:
    return isinstance(value, str) and is_docker_credential(value)
