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


@dataclass(frozen=True, slots=True)
class Global:
    """A name out of a pickle ('torch.FloatStorage'): a word, not the thing."""

    name: str


@dataclass(eq=False, slots=True)
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


_PYTHON_2: Final = {"__builtin__": "builtins", "copy_reg": "copyreg", "commands": "subprocess"}
_STUBS: Final = re.compile(
    r"argparse\.Namespace"
    r"|pathlib\.(Pure)?(Posix|Windows)?Path"
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
    return name in BUILDERS or bool(_WORDS.fullmatch(name)) or bool(_STUBS.fullmatch(name))


def call(target: Global, args: tuple[Any, ...]) -> Any:
    """What a pickle gets for calling `target`.

    Raises:
        RefusedCheckpoint: it may not be called, or not with these arguments.
    """
    if target.name in BUILDERS:
        try:
            return BUILDERS[target.name](*args)
        except (TypeError, ValueError, OverflowError, RuntimeError) as error:
            raise RefusedCheckpoint(f"{target.name} was called with arguments that make no sense: {error}") from error
    return make_stub(target, args)


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
    """A dictionary key or set member that hashes in constant time (nested tuples can take for ever).

    Raises:
        RefusedCheckpoint: any other key.
    """
    scalar = (str, int, float, bool, bytes, type(None), Global, Stub)
    if isinstance(key, scalar) or (type(key) is tuple and all(isinstance(k, scalar) for k in key)):
        return key
    raise RefusedCheckpoint(f"it uses a {type(key).__name__} as a dictionary key")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in {"latin1", "latin-1", "iso-8859-1"} or not isinstance(text, str):
        raise RefusedCheckpoint(f"it calls _codecs.encode with {encoding!r}")
    return text.encode("latin-1")


def _dtype(code: Any, *_flags: Any) -> np.dtype[Any]:
    if not (isinstance(code, str) and re.fullmatch(r"[<>|=]?[biuf][1248]", code)):
        raise RefusedCheckpoint(f"it asks for numpy.dtype({code!r}); only numbers are read")
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
    "torch.device": lambda *names: ":".join(str(n) for n in names),
    "torch._utils._rebuild_tensor": _rebuild,
    "torch._utils._rebuild_tensor_v2": _rebuild,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.jit._pickle.build_intlist": lambda values: [int(v) for v in values],
    "torch.jit._pickle.build_doublelist": lambda values: [float(v) for v in values],
    "torch.jit._pickle.build_boollist": lambda values: [bool(v) for v in values],
    "torch.jit._pickle.restore_type_tag": lambda value, _tag: value,
}
