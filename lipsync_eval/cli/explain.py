"""`lipsync-eval explain RUN_A RUN_B`."""

from __future__ import annotations

import click

from lipsync_eval.cli.runs import read_runs
from lipsync_eval.results.names import printable


@click.command()
@click.argument("run_a", metavar="RUN[=NAME]")
@click.argument("run_b", metavar="RUN[=NAME]")
def explain(run_a: str, run_b: str) -> int:
    """Why the scores of two runs can or cannot be compared: the differing signature keys.

    Exit 0: every common metric can be compared. 2: at least one cannot.

    \b
    Example:
      lipsync-eval explain runs/a runs/b
    """
    from lipsync_eval.results.clips import same_real_videos
    from lipsync_eval.results.signature import MEANING, difference, parse_signature

    def say(text: str) -> None:
        click.echo(printable(text))

    a, b = read_runs([run_a, run_b])
    left, right = {s.metric: s for s in a.scores}, {s.metric: s for s in b.scores}
    different = False
    for metric in [m for m in left if m in right]:
        found = difference(left[metric].signature, right[metric].signature)
        different |= bool(found)
        say(f"{metric}: {'not comparable' if found else 'comparable'}")
        for key, (x, y) in found.items():
            say(f"  {key} ({MEANING.get(key, 'an option of this metric')}): {x or 'absent'} | {y or 'absent'}")
        for key, word in (("n", "clips scored"), ("v", "package version; metrics carry their own")):
            x, y = (parse_signature(s[metric].signature).get(key) for s in (left, right))
            if x != y:
                say(f"  {key} differs, which is allowed ({word}): {x} | {y}")
    for name, mine, other in (("only in " + run_a, left, right), ("only in " + run_b, right, left)):
        if extra := [m for m in mine if m not in other]:
            say(f"{name}: {', '.join(extra)}")
    if not same_real_videos(a, b):
        say("the real videos differ: clip-by-clip comparison is not possible")
    return 2 if different else 0
