"""A pickle machine that builds plain data only: no import, no call of anything that the file names.

The opcodes are decoded by the standard library's `pickletools.genops`, which executes nothing; the machine below gives
them a meaning. It knows the opcodes that `torch.save` writes (pickle protocol 2 and later) and refuses the others.
"""

from __future__ import annotations

import pickletools
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any, Final, cast

import numpy as np

from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.weights.globals import (
    OBJECT,
    Budget,
    Global,
    Stub,
    allowed,
    call,
    full_name,
    make_stub,
    plain_key,
    spoken,
)

_MARK: Final = object()
Persistent = Callable[[Any], Any]


class Bounded:
    """A binary file of which no read asks for more than what is left: a forged length cannot allocate."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self.size = size

    def read(self, n: int) -> bytes:
        """At most n bytes."""
        return self._file.read(max(0, min(n, self.size - self.tell())))

    def readline(self) -> bytes:
        """Up to and with the next line feed."""
        return self._file.readline(max(0, self.size - self.tell()))

    def tell(self) -> int:
        """Position in bytes."""
        return self._file.tell()


def unpickle(file: Bounded, persistent: Persistent, budget: Budget) -> Any:
    """Read one pickle; the file is then positioned after it.

    Args:
        file: open at the start of the pickle.
        persistent: gives the object for a persistent id (a storage).
        budget: what may be built; several pickles of one file share it.

    Returns:
        None, numbers, str, bytes, list, tuple, dict, set, tensors, `Global` (a name) and `Stub` (an object as data).

    Raises:
        RefusedCheckpoint: it asks for anything else (named in the message), or is damaged.
    """
    machine = _Machine(persistent, budget)
    try:
        for opcode, argument, _position in pickletools.genops(cast("IO[bytes]", file)):
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except RefusedCheckpoint:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        if file.tell() >= file.size > 0:
            raise RefusedCheckpoint(
                f"it is no pickle of tensors, or it is cut off: the file ends in the middle, after {file.size} bytes"
            ) from error
        raise RefusedCheckpoint(
            f"it is no pickle of tensors, or a damaged one ({type(error).__name__}: {str(error)[:200]})"
        ) from error
    raise RefusedCheckpoint("it is no pickle of tensors, or it is cut off: the pickle has no end")


class _Machine:
    """Stack and memo of one pickle."""

    def __init__(self, persistent: Persistent, budget: Budget) -> None:
        self.budget = budget
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.persistent = persistent

    def step(self, name: str, argument: Any) -> None:
        self.budget.spend(4 * OBJECT if name.startswith("EMPTY") else OBJECT)
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        elif name not in _IGNORED:
            raise RefusedCheckpoint(f"it uses the pickle opcode {name}, which no torch.save writes")

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise RefusedCheckpoint("the pickle is malformed: a mark where a value should be")
        return value

    def drop(self) -> None:
        self.stack.pop()

    def drop_to_mark(self) -> None:
        self.pop_mark()

    def pop_mark(self) -> list[Any]:
        for k in range(len(self.stack) - 1, -1, -1):
            if self.stack[k] is _MARK:
                values = self.stack[k + 1 :]
                del self.stack[k:]
                return values
        raise RefusedCheckpoint("the pickle is malformed: no mark")

    def top(self) -> Any:
        if self.stack[-1] is _MARK:
            raise RefusedCheckpoint("the pickle is malformed: a mark where a value should be")
        return self.stack[-1]

    def put(self, index: int) -> None:
        self.memo[index] = self.top()

    def name(self, full: str) -> None:
        if not allowed(full):
            raise RefusedCheckpoint(f"it asks for {spoken(full)}")
        self.stack.append(Global(full))

    def stack_global(self) -> None:
        attribute, module = self.pop(), self.pop()
        if not isinstance(attribute, str) or not isinstance(module, str):
            raise RefusedCheckpoint("it asks for a global whose name is no text")
        self.name(full_name(module, attribute))

    def reduce(self) -> None:
        args, target = self.pop(), self.pop()
        if not isinstance(target, Global):
            raise RefusedCheckpoint(f"it calls the result of another call or a value ({_describe(target)})")
        if not isinstance(args, tuple):
            raise RefusedCheckpoint(f"it calls {target.name} with a {type(args).__name__} of arguments")
        self.stack.append(call(target, args, self.budget))

    def new_object(self, keywords: bool) -> None:
        options = self.pop() if keywords else {}
        args, target = self.pop(), self.pop()
        if not isinstance(target, Global) or not isinstance(args, tuple) or not isinstance(options, dict):
            raise RefusedCheckpoint(f"it makes an object of what is no class ({_describe(target)})")
        self.budget.spend(4 * OBJECT + OBJECT * len(options))
        if target.name in _CONTAINERS and not args:
            self.stack.append(_CONTAINERS[target.name]())
            return
        made = make_stub(target, args)
        made.entries.update({self.key(k): v for k, v in options.items()})
        self.stack.append(made)

    def build(self) -> None:
        state, target = self.pop(), self.top()
        if isinstance(target, Stub):
            target.state = state
        elif isinstance(target, np.dtype):  # of a numpy number: its byte order
            order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
            if not isinstance(order, str) or order not in {"<", "|", "="}:
                raise RefusedCheckpoint("it holds a numpy number in a foreign byte order")
        elif not isinstance(target, OrderedDict):  # a state_dict's _metadata is dropped
            raise RefusedCheckpoint(f"it sets the state of a {_describe(target)}")

    def append(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, Stub):
            target.values.extend(values)
        elif type(target) is list:
            target.extend(values)
        else:
            raise RefusedCheckpoint(f"it appends to a {_describe(target)}")

    def set_items(self, flat: list[Any]) -> None:
        target = self.top()
        entries = target.entries if isinstance(target, Stub) else target
        if not isinstance(entries, dict) or len(flat) % 2:
            raise RefusedCheckpoint(f"it sets items of a {_describe(target)}")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            entries[self.key(key)] = value

    def add_items(self, values: list[Any]) -> None:
        target = self.top()
        if type(target) is not set:
            raise RefusedCheckpoint(f"it adds members to a {_describe(target)}")
        target.update(self.key(value) for value in values)

    def key(self, value: Any) -> Any:
        """A key whose hash is cheap; tuples can be made to have equal hashes, so there may be few of them."""
        self.budget.tuple_keys -= type(value) is tuple
        if self.budget.tuple_keys < 0:
            raise RefusedCheckpoint("it uses thousands of tuples as dictionary keys")
        return plain_key(value)

    def dictionary(self) -> None:
        flat = self.pop_mark()
        self.stack.append({})
        self.set_items(flat)

    def pair(self) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def last(self, n: int) -> tuple[Any, ...]:
        return tuple(reversed([self.pop() for _ in range(n)]))


def _describe(value: Any) -> str:
    return value.name if isinstance(value, Global | Stub) else type(value).__name__


_CONTAINERS: Final[dict[str, Callable[[], Any]]] = {
    "collections.OrderedDict": OrderedDict,
    "collections.defaultdict": dict,
}
_IGNORED: Final = frozenset({"PROTO", "FRAME"})
_CONSTANTS: Final[dict[str, Callable[[], Any]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
    "MARK": lambda: _MARK,
}
_LITERALS: Final = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
    | {"BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
)
_ACTIONS: Final[dict[str, Callable[[_Machine, Any], None]]] = {
    "GLOBAL": lambda m, a: m.name(full_name(*a.split(" ", 1))),
    "STACK_GLOBAL": lambda m, a: m.stack_global(),
    "REDUCE": lambda m, a: m.reduce(),
    "NEWOBJ": lambda m, a: m.new_object(keywords=False),
    "NEWOBJ_EX": lambda m, a: m.new_object(keywords=True),
    "BUILD": lambda m, a: m.build(),
    "BINPERSID": lambda m, a: m.stack.append(m.persistent(m.pop())),
    "BINPUT": lambda m, a: m.put(a),
    "LONG_BINPUT": lambda m, a: m.put(a),
    "MEMOIZE": lambda m, a: m.put(len(m.memo)),
    "BINGET": lambda m, a: m.stack.append(m.memo[a]),
    "LONG_BINGET": lambda m, a: m.stack.append(m.memo[a]),
    "POP": lambda m, a: m.drop(),
    "POP_MARK": lambda m, a: m.drop_to_mark(),
    "DUP": lambda m, a: m.stack.append(m.top()),
    "TUPLE": lambda m, a: m.stack.append(tuple(m.pop_mark())),
    "TUPLE1": lambda m, a: m.stack.append(m.last(1)),
    "TUPLE2": lambda m, a: m.stack.append(m.last(2)),
    "TUPLE3": lambda m, a: m.stack.append(m.last(3)),
    "LIST": lambda m, a: m.stack.append(m.pop_mark()),
    "DICT": lambda m, a: m.dictionary(),
    "FROZENSET": lambda m, a: m.stack.append(frozenset(m.key(v) for v in m.pop_mark())),
    "APPEND": lambda m, a: m.append([m.pop()]),
    "APPENDS": lambda m, a: m.append(m.pop_mark()),
    "SETITEM": lambda m, a: m.pair(),
    "SETITEMS": lambda m, a: m.set_items(m.pop_mark()),
    "ADDITEMS": lambda m, a: m.add_items(m.pop_mark()),
}
