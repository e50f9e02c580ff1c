"""Things that are found by name: a literal table of this package's own, and plug-ins of others.

Nothing is imported before it is asked for, so listing names is quick and a broken plug-in breaks nothing but itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from lipsync_eval.errors import LipsyncError, UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """Objects of one kind by name."""

    def __init__(
        self,
        kind: str,
        built_in: Mapping[str, str],
        group: str,
        *,
        names_of: Callable[[T], Sequence[str]] | None = None,
        also: str = "",
    ) -> None:
        """Nothing is imported here.

        Args:
            kind: what the objects are, for messages: 'protocol'.
            built_in: name -> 'module:object', in the order in which they are listed.
            group: entry point group of plug-ins; they come after the built-in ones, by name.
            names_of: the names that an object has by itself, where those of the table and of the entry point are mere
                labels. All objects are then imported to know a name.
            also: what else may be given instead of a name, for messages: 'or give the path of a .toml file'.
        """
        self.kind, self.group, self.also = kind, group, also
        self._built_in, self._names_of = built_in, names_of

    def names(self) -> tuple[str, ...]:
        """All names, built-in first.

        Raises:
            UsageError: two objects have the same name; with `names_of` also a plug-in that cannot be loaded.
        """
        return tuple(self.load()) if self._names_of else tuple(self._named())

    def get(self, name: str) -> T:
        """The object of this name.

        Raises:
            UsageError: there is none (near names and the whole list are in the message), two have it, or it is a
                plug-in that cannot be loaded.
        """
        if self._names_of is None:
            points = self._named()
            if name in points:
                return self._imported(points[name])[0]
            raise UsageError(no_such(self.kind, name, points, self.also))
        found = self.load()
        if name in found:
            return found[name]
        raise UsageError(no_such(self.kind, name, found, self.also))

    def load(self) -> dict[str, T]:
        """All objects by name.

        Raises:
            UsageError: two objects have the same name, or a plug-in cannot be loaded.
        """
        found: dict[str, T] = {}
        owners: dict[str, str] = {}
        for point in self._points():
            thing, names = self._imported(point)
            for name in names:
                if name in owners:
                    raise self._clash(name, owners[name], point)
                found[name], owners[name] = thing, point.value
        return found

    def _points(self) -> Iterable[EntryPoint]:
        """The table's entries, then the plug-ins'."""
        own = [EntryPoint(name, target, "") for name, target in self._built_in.items()]
        return [*own, *sorted(entry_points(group=self.group), key=lambda p: (p.name, p.value))]

    def _named(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for point in self._points():
            if point.name in found:
                raise self._clash(point.name, found[point.name].value, point)
            found[point.name] = point
        return found

    def _clash(self, name: str, first: str, second: EntryPoint) -> UsageError:
        return UsageError(
            f"two {self.kind}s are called {name!r} ({first} and {second.value}); rename the plug-in's or uninstall it"
        )

    def _imported(self, point: EntryPoint) -> tuple[T, Sequence[str]]:
        """The object and its names."""
        try:
            thing: T = point.load()
            return thing, self._names_of(thing) if self._names_of else (point.name,)
        except LipsyncError:
            raise
        except Exception as error:
            if not point.group:  # ours: a bug, not a plug-in's fault
                raise
            raise UsageError(
                f"the {self.kind} plug-in {point.name!r} ({point.value}) cannot be loaded: {error!r}; "
                "uninstall it, or ask its author to repair it"
            ) from error


def hint(name: str, known: Iterable[str]) -> str:
    """' Did you mean roi?' for 'roii'; '' where nothing is near."""
    near = difflib.get_close_matches(name, list(known), n=3)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def no_such(kind: str, name: str, known: Iterable[str], also: str = "") -> str:
    """The message for a name that is not there: near names, the whole list, and what else could be given."""
    there = list(known)
    return f"there is no {kind} {name!r}.{hint(name, there)} There are: {', '.join(there)}{'; ' + also if also else ''}"


def load_object(target: str) -> Any:
    """Import 'module:object', for a table of this package's own whose caller states the type."""
    return EntryPoint("", target, "").load()
