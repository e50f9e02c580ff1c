"""Where networks run: in this process, or in a process of their own that several measuring processes share.

A network is named by what makes it, 'module:function', and by what that is called with. It is used by the methods of the
object that comes out, which take and give NumPy arrays. So a measuring process needs to know nothing about the place: it
asks `find`, which makes the object here, or gives a stand-in that sends the arrays to the process that `SHARED` names (one
a GPU; engine/network_process.py starts them).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SHARED: Final = "LIPSYNC_EVAL_NETWORKS"
"""In the environment of a measuring process: key and address of the process that has the networks, 'hex:path'."""
GONE: Final = 70
"""Exit code of a measuring process whose networks have gone: its clip is tried again, by itself."""

Made = tuple[str, tuple[Any, ...]]
"""'module:function', and what it is called with (hashable: paths, digests, names)."""
Call = tuple[Made, str, tuple[Any, ...], tuple[tuple[str, Any], ...]]
"""What was made, the method, its arrays, and its keyword arguments (hashable). Or, without arrays, the name of an attribute."""
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def itemwise(method: F) -> F:
    """Mark a method whose items do not depend on each other.

    All its arrays, and the array (or tuple of arrays) that it gives, have one row an item along axis 0. A process that is
    shared by several measuring processes puts the items of several calls together.
    """
    method.itemwise = True  # type: ignore[attr-defined]
    return method


def find(kind: type[T], maker: str, *args: Any) -> T:
    """A network, wherever it runs.

    Args:
        kind: class of what the maker gives.
        maker: 'module:function'; function(*args) gives the object. It is made once a process and kept.
        args: hashable.

    Returns:
        the object, or a stand-in with its methods and attributes.

    Raises:
        whatever the maker raises; for a stand-in, not before the first call.
    """
    place = os.environ.get(SHARED)
    return cast("T", _StandIn(kind, place, (maker, args))) if place else cast("T", thing((maker, args)))


class _StandIn:
    """Sends every call to the process that has the object."""

    def __init__(self, kind: type, place: str, made: Made) -> None:
        self._kind, self._place, self._made = kind, place, made

    def __getattr__(self, name: str) -> Any:
        if not callable(getattr(self._kind, name, None)):
            found = self.__dict__[name] = _ask(self._place, (self._made, name, (), ()))
            return found
        return lambda *arrays, **given: _ask(self._place, (self._made, name, arrays, tuple(sorted(given.items()))))


def do_here(call: Call) -> Any:
    """Do a call in this process."""
    made, name, arrays, given = call
    found = getattr(thing(made), name)
    return found(*arrays, **dict(given)) if callable(found) else found


def thing(made: Made) -> Any:
    """The object of a network, made once a process."""
    with _making:
        return _made(made)


@lru_cache(maxsize=16)
def _made(made: Made) -> Any:
    maker, args = made
    module, _, function = maker.partition(":")
    return getattr(import_module(module), function)(*args)


_making, _lock = threading.RLock(), threading.Lock()
_lines: dict[str, Connection] = {}


def _ask(place: str, call: Call) -> Any:
    """Send a call to the process that has the networks. When that has gone, this process ends: its parent starts both again."""
    with _lock:
        try:
            line = _lines.get(place) or _lines.setdefault(place, _connect(place))
            line.send(call)
            kind, found = line.recv()
        except (OSError, EOFError):
            os._exit(GONE)
    if kind == "error":
        raise found
    return found


def _connect(place: str) -> Connection:
    from multiprocessing.connection import Client

    key, _, address = place.partition(":")
    return Client(address, family="AF_UNIX", authkey=bytes.fromhex(key))
