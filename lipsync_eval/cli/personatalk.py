"""`lipsync-eval personatalk`: geometry, two stages, dubbing. Its commands are in personatalk_train.py and personatalk_use.py."""

from __future__ import annotations

import click

from lipsync_eval.cli.personatalk_train import fit, train_geometry, train_renderer
from lipsync_eval.cli.personatalk_use import dub, style


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def personatalk() -> None:
    """The generator PersonaTalk: fit geometry, train both stages, dub, draw styles.

    \b
    Examples:
      lipsync-eval personatalk fit videos/ --data data/
      lipsync-eval personatalk train-geometry --dry-run
      lipsync-eval personatalk train-geometry --preset personatalk-128 --data data/ --out runs/geometry
      lipsync-eval personatalk train-renderer --preset personatalk-128 --data data/ --out runs/renderer
      lipsync-eval personatalk dub --video talk.mp4 --audio speech.wav --geometry runs/geometry \\
        --checkpoint runs/renderer --out dubbed.mp4
    """


for _command in (fit, train_geometry, train_renderer, dub, style):
    personatalk.add_command(_command)
