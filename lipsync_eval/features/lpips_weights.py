"""Where LPIPS's two files are, and the network made from them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lipsync_eval.errors import MissingWeights
from lipsync_eval.types import Settings
from lipsync_eval.weights import WeightFile, fit, get_row, load_tensors, locate

if TYPE_CHECKING:
    from lipsync_eval.features.lpips import LPIPS

PART = "lin"


def find(settings: Settings, net: str) -> tuple[WeightFile, WeightFile]:
    """(trunk, linear layers) of a net. The linear layers are also taken from an installed `lpips` package, unimported.

    Raises:
        MissingWeights: a file is not here.
        UsageError: a net that does not exist, or a file given with --weights that does not.
    """
    trunk = locate(settings, f"lpips-{net}")
    try:
        return trunk, locate(settings, f"lpips-{net}", part=PART)
    except MissingWeights:
        packaged = installed_linear(net)
        if packaged is None:
            raise
        return trunk, packaged


def installed_linear(net: str) -> WeightFile | None:
    """The linear layers inside an installed `lpips` package, found without importing it (its import needs torchvision)."""
    from lipsync_eval.files import sha256

    spec = find_spec("lpips")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "weights" / "v0.1" / f"{net}.pth"
        if path.is_file():
            known, digest = get_row(f"lpips-{net}").part(PART).sha256, sha256(path)
            verified = bool(known) and digest.startswith(known)
            note = (
                ""
                if verified
                else f"lpips-{net}: {path.name} of the installed lpips package is not known to the registry"
            )
            return WeightFile(f"lpips-{net}", path, digest, verified, PART, note)
    return None


def load(net: str, trunk: WeightFile, linear: WeightFile) -> LPIPS:
    """The network in evaluation mode, on the CPU.

    Raises:
        RefusedCheckpoint: a file that is no checkpoint, or does not fit.
    """

    from lipsync_eval.features.lpips import LPIPS, state

    network = LPIPS(net)
    fit(
        network,
        state(net, load_tensors(trunk.path), load_tensors(linear.path)),
        source=f"{trunk.path.name} with {linear.path.name}",
    )
    return network.eval().requires_grad_(False)
