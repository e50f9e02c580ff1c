"""`lipsync-eval style-map CLIPS`: style codes of many clips on a plane, coloured by speaker (as PersonaTalk's figure 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipsync_eval.cli.style_options import corpus, corpus_settings, tell

if TYPE_CHECKING:
    from lipsync_eval.features.style.compare import Halves
    from lipsync_eval.features.style.corpus import Sequence52or68
    from lipsync_eval.types import Float, Settings


@click.command("style-map")
@click.argument("clips", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("style-map.png"),
    show_default=True,
    help="Picture to write.",
)
@click.option(
    "--generated",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A second folder of the same speakers, drawn as crosses.",
)
@click.option("--window", type=click.IntRange(20), default=50, show_default=True, help="Frames (1/25 s) in one code.")
@click.option("--hop", type=click.IntRange(1), default=25, show_default=True, help="Frames from one code to the next.")
@click.option(
    "--perplexity",
    type=click.FloatRange(2, min_open=True),
    default=10.0,
    show_default=True,
    help="Of t-SNE: effective number of neighbours.",
)
@click.option(
    "--encoder",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Codes of an encoder from style-train instead of statistics.",
)
@click.option(
    "--halves",
    is_flag=True,
    help="Also print the cosines of first against second halves, constants learned without the speakers compared.",
)
@corpus
def style_map(
    clips: Path,
    out: Path,
    generated: Path | None,
    window: int,
    hop: int,
    perplexity: float,
    encoder: Path | None,
    halves: bool,
    features: str,
    speakers: Path | None,
    **values: Any,
) -> None:
    """Draw the speaking styles of many clips, one colour a speaker.

    CLIPS holds one folder a speaker; a video directly in it is a speaker of its own; --speakers FILE says otherwise. A
    code is made of every window of a clip, standardised with the shipped constants, and placed by t-SNE: neighbours
    are alike, distances between groups mean nothing.

    \b
    Examples:
      lipsync-eval style-map corpus/ --out styles.png
      lipsync-eval style-map corpus/ --generated dubbed/ --out styles.png
      lipsync-eval style-map corpus/ --features blendshapes --halves
    """
    import numpy as np

    from lipsync_eval.features.style.corpus import find_recordings, read_all
    from lipsync_eval.features.tsne import tsne

    settings = corpus_settings(values)
    coder = _encoded(encoder, features, window, hop) if encoder else _statistics(settings, features, window, hop)
    real = read_all(find_recordings(clips, speakers), features, settings, tell)
    made = read_all(find_recordings(generated), features, settings, tell) if generated else []
    codes = [coder(s) for s in (*real, *made)]
    owners = [(s.recording.speaker, k >= len(real)) for k, s in enumerate((*real, *made)) for _ in codes[k]]
    stacked = np.concatenate(codes)
    unit = stacked / np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), 1e-12)
    draw(tsne(unit, perplexity), owners, features, out)
    click.echo(f"{out}: {len(owners)} codes of {len({o[0] for o in owners})} speakers, {len(real) + len(made)} clips")
    if halves:
        _print_halves(real, features)


def _statistics(settings: Settings, features: str, window: int, hop: int) -> Callable[[Sequence52or68], Float]:
    """A clip -> (W, K) codes of its windows, as StyleSim makes them."""
    from lipsync_eval.features.style.code import window_codes
    from lipsync_eval.features.style.constants import load

    constants = load(settings, features)
    return lambda s: constants.standardise(window_codes(constants.sequence(s.raw, s.index), s.index, window, hop))


def _encoded(path: Path, features: str, window: int, hop: int) -> Callable[[Sequence52or68], Float]:
    """A clip -> (W, 128) codes of its windows, by a trained encoder.

    Raises:
        UsageError: it was trained on other features.
    """
    import numpy as np

    from lipsync_eval.errors import UsageError
    from lipsync_eval.features.style.training import load

    trained = load(path)
    if trained.constants.features != features:
        raise UsageError(
            f"{path} was trained on {trained.constants.features}; give --features {trained.constants.features}"
        )

    def codes(s: Sequence52or68) -> Float:
        starts = range(0, max(len(s.index) - window, 0) + 1, hop)
        return np.stack([trained.style(s.part(start, start + window)) for start in starts])

    return codes


def draw(places: Float, owners: Sequence[tuple[str, bool]], features: str, out: Path) -> None:
    """Write the picture.

    Args:
        places: (N, 2).
        owners: speaker, and whether the code is of a generated video, for each place.
        features: for the title.
        out: the suffix gives the format.

    Raises:
        UsageError: it cannot be written.
    """
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from lipsync_eval.errors import UsageError

    speakers = sorted({speaker for speaker, _ in owners})
    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colours = _colours(len(speakers))
    for k, speaker in enumerate(speakers):
        for generated, mark in ((False, "o"), (True, "X")):
            mine = np.array([owner == (speaker, generated) for owner in owners])
            if mine.any():
                label = f"{speaker} (generated)" if generated else speaker
                axes.scatter(
                    places[mine, 0],
                    places[mine, 1],
                    s=42,
                    marker=mark,
                    color=colours[k],
                    edgecolors="white",
                    linewidths=0.6,
                    label=label,
                )
    axes.set(title=f"Style codes ({features}), t-SNE", xticks=[], yticks=[])
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    try:
        figure.savefig(out, dpi=150)
    except (OSError, ValueError) as error:
        raise UsageError(f"{out} cannot be written: {error}") from error


def _colours(n: int) -> list[Any]:
    """n colours that can be told apart: tab10, tab20, then around the hue circle."""
    from matplotlib import colormaps

    if n <= 20:
        table = colormaps["tab10" if n <= 10 else "tab20"]
        return [table(k) for k in range(n)]
    return [colormaps["hsv"](k / n) for k in range(n)]


def _print_halves(sequences: Sequence[Sequence52or68], features: str) -> None:
    from lipsync_eval.features.style.code import LEAST
    from lipsync_eval.features.style.compare import halves

    long = [s for s in sequences if len(s.index) >= 2 * LEAST]
    for s in sequences:
        if s not in long:
            tell(s.recording, f"too short for halves ({len(s.index)} frames)")
    click.echo(table(halves(features, long)))


def table(found: Halves) -> str:
    """The matrix as text: rows first halves, columns second halves."""
    width = max(len(name) for name in found.names)
    lines = [
        "cosine of style codes, rows: first halves, columns: second halves, constants without the speakers compared"
    ]
    for name, row in zip(found.names, found.matrix, strict=True):
        lines.append(name.ljust(width) + "".join(f"{x:7.2f}" for x in row))
    lines.append(
        f"same clip {found.within:.3f}, different speakers {found.between:.3f}, own half ranked first {found.ranked_first:.0%}"
    )
    return "\n".join(lines)
