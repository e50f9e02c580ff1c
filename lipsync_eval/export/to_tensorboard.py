"""TensorBoard: an event file with a curve per metric and the signature of every point as text."""

from __future__ import annotations

from pathlib import Path

from lipsync_eval.errors import OutputError
from lipsync_eval.export.points import PREFIX, Series, folder_name, package, signature_key, values
from lipsync_eval.results.names import printable


def export(series: Series, out: Path, *, overwrite: bool) -> Path:
    """Write the folder OUT/NAME, for `tensorboard --logdir OUT`. TensorBoard keeps 32-bit floats.

    Raises:
        UsageError: the package tensorboard is not installed.
        OutputError: the folder holds events already, and not `overwrite`: TensorBoard would draw both.
    """
    writer_of = package("torch.utils.tensorboard", "tensorboard", "'lipsync-eval[train]'").SummaryWriter
    folder = out / folder_name(series.name)
    old = sorted(folder.glob("events.out.tfevents.*"))
    if old and not overwrite:
        raise OutputError(f"{folder}: holds events already; name another folder, or replace them with --overwrite")
    for file in old:
        file.unlink()
    with writer_of(str(folder)) as writer:
        for point in series.points:
            said = printable(point.label) + (f": failed: {point.reason}" if point.reason else "")
            writer.add_text(f"{PREFIX}_run", f"    {said}", point.step)  # four spaces: Markdown takes it as it is
            for score in point.scores:
                for name, value in values(score).items():
                    writer.add_scalar(name, value, point.step)
                writer.add_text(signature_key(score), f"    {score.signature}", point.step)
    return folder
