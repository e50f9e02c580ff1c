"""`lipsync-eval radio`: the reference generator. Its commands are in radio_train.py and radio_dub.py."""

from __future__ import annotations

import click

from lipsync_eval.cli.radio_dub import attention, dub, robustness
from lipsync_eval.cli.radio_train import prepare, train, train_sync


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def radio() -> None:
    """The reference generator RADIO: prepare data, train, dub, look inside.

    \b
    Examples:
      lipsync-eval radio prepare videos/ data/
      lipsync-eval radio train --dry-run
      lipsync-eval radio train-sync --preset radio-48 --data data/ --out runs/sync
      lipsync-eval radio train --preset radio-48 --data data/ --out runs/mine --set loss.sync_checkpoint=runs/sync
      lipsync-eval radio dub --video talk.mp4 --audio speech.wav --checkpoint runs/mine --out dubbed.mp4
    """


for _command in (prepare, train_sync, train, dub, attention, robustness):
    radio.add_command(_command)
