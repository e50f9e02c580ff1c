"""What a pickle may ask for by name, and what it gets instead: own builders of plain data, or an inert stub.

Nothing that a pickle names is ever imported. Every name outside these tables is refused.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.weights.shown import shown

MOST_OBJECTS: Final = 512 << 20
"""Bytes of Python objects, roughly, that a checkpoint may build beside its tensors (a large one takes some 20 MB)."""
MOST_OVERLAP: Final = 2 << 30
"""Bytes of overlapping views that any checkpoint may have (as much as the largest network here)."""
OBJECT: Final = 64
"""What one object or one reference is taken for, in bytes."""
_MOST_TUPLE_KEYS: Final = 10_000
_LONGEST_KEY: Final = 10_000
_LONGEST_NAME: Final = 300


@dataclass(frozen=True, slots=True)
class Global:
    """A name out of a pickle ('torch.FloatStorage'): a word, not the thing."""

    name: str


@dataclass(eq=False, slots=True, repr=False)
class Stub:
    """An object of a class that this package does not build, e.g. argparse.Namespace: data only."""

    name: str
    """'argparse.Namespace'."""
    args: tuple[Any, ...] = ()
    """What its constructor was given."""
    state: Any = None
    """What was to become its __dict__ (or went to its __setstate__)."""
    values: list[Any] = field(default_factory=list)
    """What was appended to it (list subclasses)."""
    entries: dict[Any, Any] = field(default_factory=dict)
    """What was set in it (dict subclasses)."""

    def __repr__(self) -> str:
        """The name alone: what it holds may hold itself a million times."""
        return f"Stub({self.name})"


class Budget:
    """What one checkpoint may build, so that a small file cannot fill the memory."""

    def __init__(self, size: int) -> None:
        """`size`: bytes of the file."""
        self.objects = MOST_OBJECTS
        self.storages = size
        self.views = 4 * size + MOST_OVERLAP
        self.tuple_keys = _MOST_TUPLE_KEYS

    def spend(self, count: int) -> None:
        """Account for so many bytes of Python objects.

        Raises:
            RefusedCheckpoint: it is too much.
        """
        self.objects -= count
        if self.objects < 0:
            raise RefusedCheckpoint(
                f"it builds more than {MOST_OBJECTS >> 20} MiB of objects beside its tensors, as no checkpoint does"
            )

    def store(self, count: int) -> None:
        """Account for a storage of so many bytes.

        Raises:
            RefusedCheckpoint: all storages together are larger than the file.
        """
        self.storages -= count
        if self.storages < 0:
            raise RefusedCheckpoint("its numbers need more bytes than the file has: it is cut off or damaged")

    def view(self, count: int) -> None:
        """Account for a tensor of so many bytes, also where it shares them with others.

        Raises:
            RefusedCheckpoint: all tensors together are out of proportion to the file.
        """
        self.views -= count
        if self.views < 0:
            raise RefusedCheckpoint(
                "its tensors show the same numbers over and over: written out, they are many times the file"
            )


_PYTHON_2: Final = {"__builtin__": "builtins", "copy_reg": "copyreg", "commands": "subprocess"}
_STUBS: Final = re.compile(
    r"argparse\.Namespace"
    r"|pathlib\.(_local\.)?(Pure)?(Posix|Windows)?Path"
    r"|(fairseq|omegaconf|hydra)(\.\w+)+"
    r"|(hubert|hubert_asr|hubert_pretraining|hubert_criterion|avhubert)(\.\w+)+"
    r"|sentencepiece(\.\w+)*\.SentencePieceProcessor"
    r"|typing\.Any"
    r"|__torch__(\.\w+)+"
)
_WORDS: Final = re.compile(
    r"torch\.(Double|Float|Half|BFloat16|Long|Int|Short|Char|Byte|Bool)Storage"
    r"|torch\.(float64|double|float32|float|float16|half|bfloat16|int64|long|int32|int|int16|short|int8|uint8|bool)"
    r"|builtins\.(dict|list|tuple|set|frozenset|int|long|float|str|unicode|bytes|bool|object)"
)


def full_name(module: str, attribute: str) -> str:
    """'builtins.eval' for what a pickle calls __builtin__.eval (Python 2's names, which protocol 2 keeps)."""
    return f"{_PYTHON_2.get(module, module)}.{attribute}"


def spoken(name: str) -> str:
    """How a name is called in a message: posix.system is what users know as os.system."""
    module, _, attribute = name.partition(".")
    return f"os.{attribute} ({name})" if module in {"posix", "nt"} else name


def allowed(name: str) -> bool:
    """Whether a pickle may name this at all."""
    return len(name) <= _LONGEST_NAME and (
        name in BUILDERS or bool(_WORDS.fullmatch(name)) or bool(_STUBS.fullmatch(name))
    )


def call(target: Global, args: tuple[Any, ...], budget: Budget) -> Any:
    """What a pickle gets for calling `target`.

    Raises:
        RefusedCheckpoint: it may not be called, or not with these arguments, or it costs too much.
    """
    budget.spend(
        4 * OBJECT + sum(OBJECT * len(a) for a in args if isinstance(a, str | bytes | list | tuple | dict | set))
    )
    if target.name not in BUILDERS:
        return make_stub(target, args)
    try:
        made = BUILDERS[target.name](*args)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise RefusedCheckpoint(
            f"{target.name} was called with arguments that make no sense: {str(error)[:200]}"
        ) from error
    if target.name.startswith("torch._utils._rebuild_tensor"):
        budget.view(made.numel() * made.element_size())
    return made


def _size(value: Any) -> int:
    """What a copy of a value costs, without what it holds."""
    if isinstance(value, str | bytes):
        return 2 * len(value)
    return OBJECT * len(value) if isinstance(value, list | tuple | dict | set | frozenset) else OBJECT


def make_stub(target: Global, args: tuple[Any, ...]) -> Stub:
    """An inert object in place of an instance of `target`.

    Raises:
        RefusedCheckpoint: no instance of it is expected in a checkpoint.
    """
    if not _STUBS.fullmatch(target.name):
        raise RefusedCheckpoint(f"it calls {target.name}")
    return Stub(target.name, args)


def _pairs(pairs: Any = ()) -> OrderedDict[Any, Any]:
    made: OrderedDict[Any, Any] = OrderedDict()
    for key, value in pairs:
        made[plain_key(key)] = value
    return made


def plain_key(key: Any) -> Any:
    """A dictionary key or set member that hashes and compares in constant time (nested tuples can take for ever).

    Raises:
        RefusedCheckpoint: any other key.
    """
    if _scalar_key(key) or (type(key) is tuple and len(key) <= 16 and all(map(_scalar_key, key))):
        return key
    raise RefusedCheckpoint(f"it uses a {type(key).__name__} as a dictionary key, or one that is too long")


def _scalar_key(key: Any) -> bool:
    if isinstance(key, str | bytes):
        return len(key) <= _LONGEST_KEY
    if isinstance(key, int):
        return key.bit_length() <= 64
    return isinstance(key, float | None | Global | Stub)


def _device(*names: Any) -> str:
    if len(names) > 3 or not all(isinstance(n, str | int) and len(shown(n)) < 60 for n in names):
        raise RefusedCheckpoint("it names a device that is none")
    return ":".join(str(n) for n in names)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    known = isinstance(encoding, str) and encoding in {"latin1", "latin-1", "iso-8859-1"}
    if not known or not isinstance(text, str):
        raise RefusedCheckpoint(f"it calls _codecs.encode with {shown(encoding)}")
    return text.encode("latin-1")


def _dtype(code: Any, *_flags: Any) -> np.dtype[Any]:
    if not (isinstance(code, str) and re.fullmatch(r"[<>|=]?[biuf][1248]", code)):
        raise RefusedCheckpoint(f"it asks for numpy.dtype({shown(code)}); only numbers are read")
    return np.dtype(code)


def _scalar(dtype: Any, data: Any) -> Any:
    if not isinstance(dtype, np.dtype) or not isinstance(data, bytes) or len(data) != dtype.itemsize:
        raise RefusedCheckpoint("it asks for a numpy scalar that is no number")
    return np.frombuffer(data, dtype)[0].item()


def _set(values: Any = ()) -> set[Any]:
    return {plain_key(value) for value in values}


def _reconstruct(target: Any, base: Any = None, state: Any = None) -> Stub:
    if not isinstance(target, Global):
        raise RefusedCheckpoint("it calls copyreg._reconstructor on something that is no class")
    return make_stub(target, (base, state))


def _parameter(data: Any, *_rest: Any) -> Any:
    return data


def _rebuild(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_rest: Any) -> Any:
    from lipsync_eval.weights.storage import rebuild_tensor

    return rebuild_tensor(storage, offset, size, stride)


BUILDERS: Final[dict[str, Callable[..., Any]]] = {
    "collections.OrderedDict": _pairs,
    "collections.defaultdict": lambda *_factory: {},
    "builtins.set": _set,
    "builtins.frozenset": lambda values=(): frozenset(_set(values)),
    "_codecs.encode": _encode,
    "copyreg._reconstructor": _reconstruct,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "torch.Size": lambda values=(): tuple(int(v) for v in values),
    "torch.device": _device,
    "torch._utils._rebuild_tensor": _rebuild,
    "torch._utils._rebuild_tensor_v2": _rebuild,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.jit._pickle.build_intlist": lambda values: [int(v) for v in values],
    "torch.jit._pickle.build_doublelist": lambda values: [float(v) for v in values],
    "torch.jit._pickle.build_boollist": lambda values: [bool(v) for v in values],
    "torch.jit._pickle.restore_type_tag": lambda value, _tag: value,
}
