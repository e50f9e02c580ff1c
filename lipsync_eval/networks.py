"""Where networks run: in this process, or in a process of their own that several measuring processes share.

A network is named by what makes it, 'module:function', and by what that is called with. It is used by the methods of the
object that comes out, which take and give NumPy arrays. So a measuring process needs to know nothing about the place: it
asks `Network`, which makes the object here or sends the arrays to the process that `SHARED` names (one a GPU; it is
engine/network_process.py that starts them).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SHARED: Final = "LIPSYNC_EVAL_NETWORKS"
"""In the environment of a measuring process: key and address of the process that has the networks, 'hex:path'."""
GONE: Final = 70
"""Exit code of a measuring process whose networks have gone: its clip is tried again, by itself."""

Made = tuple[str, tuple[Any, ...]]
"""'module:function', and what it is called with (hashable: paths, digests, names)."""
Call = tuple[Made, str, tuple[Any, ...], tuple[Any, ...]]
"""What was made, the method, its arrays, and what else the method is called with (hashable)."""
F = TypeVar("F", bound=Callable[..., Any])


def itemwise(method: F) -> F:
    """Mark a method whose items do not depend on each other.

    All its arrays, and the array (or tuple of arrays) that it gives, have one row an item along axis 0. A process that is
    shared by several measuring processes puts the items of several calls together.
    """
    method.itemwise = True  # type: ignore[attr-defined]
    return method


class Network:
    """A network, wherever it runs. Nothing is loaded before the first call."""

    def __init__(self, maker: str, *args: Any) -> None:
        """Name the network.

        Args:
            maker: 'module:function'; function(*args) gives the object whose methods are called.
            args: hashable.
        """
        self._made: Made = (maker, args)

    def __call__(self, method: str, *arrays: Any, given: tuple[Any, ...] = ()) -> Any:
        """What a method of the object gives: object.method(*arrays, *given).

        Raises:
            whatever the maker or the method raises.
        """
        call: Call = (self._made, method, arrays, given)
        place = os.environ.get(SHARED)
        return do_here(call) if not place else _ask(place, call)


def do_here(call: Call) -> Any:
    """Do a call in this process."""
    made, method, arrays, given = call
    return getattr(thing(made), method)(*arrays, *given)


@lru_cache(maxsize=16)
def thing(made: Made) -> Any:
    """The object of a network, made once a process."""
    maker, args = made
    module, _, function = maker.partition(":")
    return getattr(import_module(module), function)(*args)


_lock = threading.Lock()
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
