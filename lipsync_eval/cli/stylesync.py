"""`lipsync-eval stylesync`: StyleSync, trainable here. Its commands are in stylesync_train.py and stylesync_dub.py."""

from __future__ import annotations

import click

from lipsync_eval.cli.stylesync_dub import dub, personalise
from lipsync_eval.cli.stylesync_train import prepare, train, train_sync


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def stylesync() -> None:
    """StyleSync: a generalised model, personalised with seconds of one person's video.

    \b
    Examples:
      lipsync-eval stylesync prepare videos/ data/
      lipsync-eval stylesync train --dry-run
      lipsync-eval stylesync train --preset stylesync-64 --data data/ --out runs/g
      lipsync-eval stylesync personalise runs/g --video talk.mp4 --general data/ --out runs/p
      lipsync-eval stylesync dub --video talk.mp4 --audio speech.wav --checkpoint runs/g --personal runs/p --out new.mp4
    """


for _command in (prepare, train_sync, train, personalise, dub):
    stylesync.add_command(_command)
