"""`lipsync-eval explain RUN_A RUN_B`."""

from __future__ import annotations

from pathlib import Path

import click

_MEANING = {
    "agg": "how clips became one number",
    "align": "what was done with unlike lengths",
    "audio": "whose sound was scored",
    "faces": "landmark backend and detector",
    "face": "which face was followed",
    "feat": "extractor and weights",
    "fps": "frame rate",
    "metric": "metric and its version",
    "proto": "crop protocol and its options",
    "reference": "content of what --reference names",
}


@click.command()
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
def explain(run_a: Path, run_b: Path) -> int:
    """Why the scores of two runs can or cannot be compared: the differing signature keys.

    Exit 0: every common metric can be compared. 2: at least one cannot.

    \b
    Example:
      lipsync-eval explain runs/a runs/b
    """
    from lipsync_eval.results.schema import load_result
    from lipsync_eval.results.signature import difference, parse_signature

    a, b = load_result(run_a), load_result(run_b)
    left, right = {s.metric: s for s in a.scores}, {s.metric: s for s in b.scores}
    different = False
    for metric in [m for m in left if m in right]:
        found = difference(left[metric].signature, right[metric].signature)
        different |= bool(found)
        click.echo(f"{metric}: {'not comparable' if found else 'comparable'}")
        for key, (x, y) in found.items():
            click.echo(f"  {key} ({_MEANING.get(key, 'an option of this metric')}): {x or 'absent'} | {y or 'absent'}")
        for key, word in (("n", "clips scored"), ("v", "package version; metrics carry their own")):
            x, y = (parse_signature(s[metric].signature).get(key) for s in (left, right))
            if x != y:
                click.echo(f"  {key} differs, which is allowed ({word}): {x} | {y}")
    for name, mine, other in (("only in " + str(run_a), left, right), ("only in " + str(run_b), right, left)):
        if extra := [m for m in mine if m not in other]:
            click.echo(f"{name}: {', '.join(extra)}")
    if a.data.gt_digest != b.data.gt_digest:
        click.echo("the real videos differ (data.gt_digest): clip-by-clip comparison is not possible")
    return 2 if different else 0
