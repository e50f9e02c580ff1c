"""Protocols of third parties."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from lipsync_eval import protocols
from lipsync_eval.errors import UsageError
from lipsync_eval.options import Option
from lipsync_eval.protocol import ProtocolSpec, View
from lipsync_eval.types import Crop, Settings


class Corner:
    spec = ProtocolSpec(
        name="corner", version=3, size=16, needs_track=False, summary="The corner.", citation="none", choices=("All.",),
        options=(Option(name="which_corner", heading="Protocol", help="Which one.", kind="int", default="1", moves=True),),
    )  # fmt: skip

    def __init__(self, options):
        self.options = dict(options)

    def signature(self):
        return "corner.3"

    def crops(self, gen, gt):
        n = min(gen.n_frames, gt.n_frames)
        crop = Crop(np.tile(np.eye(2, 3), (n, 1, 1)), (16, 16), np.ones(n, bool), np.zeros(n))
        return crop, crop


@pytest.fixture
def installed(monkeypatch):
    """Makes entry points appear as if distributions brought them."""

    def install(*points):
        found = [EntryPoint(name, value, protocols.ENTRY_POINTS) for name, value in points]
        monkeypatch.setattr(protocols, "entry_points", lambda group: found if group == protocols.ENTRY_POINTS else [])
        protocols._third_party.cache_clear()

    yield install
    monkeypatch.undo()
    protocols._third_party.cache_clear()


def test_a_plug_in_is_a_protocol_like_any_other(installed):
    import sys

    sys.modules["corner_plugin"] = sys.modules[__name__]
    try:
        installed(("corner", "corner_plugin:Corner"))
        assert protocols.names()[-1] == "corner"
        assert protocols.spec("corner").version == 3
        got = protocols.get("corner", {"which-corner": "02"})
        assert got.options == {"which_corner": "2"}
        with pytest.raises(
            UsageError, match=r"protocol 'corner' has no option 'wich_corner'. Did you mean which_corner"
        ):
            protocols.get("corner", {"wich_corner": "2"})
        with pytest.raises(UsageError, match="which_corner='two': expected a whole number"):
            Settings(protocol="corner", protocol_options={"which_corner": "two"})
        assert got.crops(View(32, 32, 4, None), View(32, 32, 5, None))[0].size == (16, 16)
    finally:
        del sys.modules["corner_plugin"]


def test_a_plug_in_may_not_take_a_built_in_name(installed):
    installed(("radio", "corner_plugin:Corner"))
    with pytest.raises(UsageError, match=r"two protocols are called 'radio' \(one is corner_plugin:Corner\)"):
        protocols.names()


def test_a_plug_in_that_cannot_be_loaded_is_named(installed):
    installed(("corner", "no_such_module:Corner"))
    with pytest.raises(UsageError, match=r"plug-in 'corner' \(no_such_module:Corner\) cannot be loaded"):
        protocols.get("corner")


def test_built_in_names_need_no_plug_ins(installed):
    installed(("corner", "no_such_module:Corner"))
    assert protocols.get("radio").signature() == "radio.1"
