"""Which of the protected resources of a server a request is for: that with the longest path that contains its path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from security_common.guard.policy import FurtherResource, ProtectedResource
from security_common.guard.responses import MetadataDocument
from security_common.tool_scopes import ToolScopes

__all__ = ["GuardedPath", "GuardedPaths"]


@dataclass(frozen=True)
class GuardedPath:
    """One resource as the guard uses it."""

    resource: ProtectedResource
    tool_scopes: ToolScopes
    recorded_names: Mapping[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def scopes(self) -> frozenset[str]:
        """The scopes that every request needs."""
        return frozenset(self.resource.scopes)

    @cached_property
    def mcp_path(self) -> str:
        """The path at which MCP calls arrive, without a slash at the end."""
        return self.resource.path.rstrip("/")


class GuardedPaths:
    """The main resource, which is responsible for every path of the server, and those below paths of their own."""

    def __init__(
        self, resource: ProtectedResource, tool_scopes: ToolScopes, further: Sequence[FurtherResource]
    ) -> None:
        """Raises ValueError for a further resource of another origin, and for two resources at the same path."""
        self.main = GuardedPath(resource, tool_scopes)
        others = [GuardedPath(each.resource, each.tool_scopes, each.recorded_names) for each in further]
        self._others = sorted(others, key=lambda each: len(each.mcp_path), reverse=True)
        self._by_path = {each.mcp_path: each for each in (self.main, *others)}
        if len(self._by_path) <= len(others):
            raise ValueError("two protected resources have the same path")
        if any(each.resource.origin != resource.origin for each in others):
            raise ValueError("all protected resources of a server need the same scheme, host and port")
        self._documents: dict[str, MetadataDocument] = {}
        for each in (*others, self.main):
            document = MetadataDocument(each.resource, at_root=each is self.main)
            self._documents.update(dict.fromkeys(document.paths, document))

    @property
    def has_several(self) -> bool:
        """Whether there are resources besides the main one, so that the audience of a token has to be compared."""
        return bool(self._others)

    def at(self, path: str) -> GuardedPath:
        """The resource that this path belongs to."""
        if not self._others:
            return self.main
        exact = self._by_path.get(path.rstrip("/"))
        if exact is not None:
            return exact
        return next((each for each in self._others if path.startswith(f"{each.mcp_path}/")), self.main)

    def metadata_at(self, path: str) -> MetadataDocument | None:
        """The metadata document at this path, or None."""
        return self._documents.get(path.removesuffix("/"))
