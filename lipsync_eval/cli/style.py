"""`lipsync-eval style`: how people speak. Its commands are in style_map.py, style_constants.py and style_train.py."""

from __future__ import annotations

import click

from lipsync_eval.cli.style_constants import style_constants
from lipsync_eval.cli.style_map import style_map
from lipsync_eval.cli.style_train import style_train


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def style() -> None:
    """Speaking styles: draw them, learn StyleSim's constants from a corpus of yours, train a style encoder.

    \b
    Examples:
      lipsync-eval style map corpus/ --out styles.png
      lipsync-eval style constants corpus/ --out mine.json
      lipsync-eval style train corpus/ --out encoder.pt --hold-out 20
    """


for _command in (style_map, style_constants, style_train):
    style.add_command(_command)
