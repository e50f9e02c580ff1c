"""A private model without code: a table with a command in baselines.toml.

    [mine]
    repo = "."
    python = "/envs/mine/bin/python"
    command = ["{python}", "generate.py", "--video", "{video}", "--audio", "{audio}", "--out", "{output}"]

Each item of the list is one argument; {python} alone becomes the interpreter's own command. Names: python, video, video_mp4,
audio, reference, output, work, repo, device, seed, id, job (a JSON file with all of these) and every option.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

from lipsync_eval.baselines.base import REFERENCES, Adapter, BaselineError, Job, Record
from lipsync_eval.baselines.environments import Environment
from lipsync_eval.errors import ParseError

_NAMES = ("video", "video_mp4", "audio", "reference", "output", "work", "repo", "device", "seed", "id", "job")


def template_adapter(environment: Environment) -> Adapter:
    """An Adapter from a table that has `command`.

    Raises:
        ParseError: the command is empty, not made of texts, or names something that does not exist; `reference` is none of
            given, own-frame, drawn, none.
    """
    table = environment.template
    command = table.get("command")
    if not isinstance(command, list) or not command or not all(isinstance(c, str) for c in command):
        raise ParseError(
            f'[{environment.name}] command: expected a list of texts, e.g. ["{{python}}", "generate.py", "--out", "{{output}}"]'
        )
    known = {*_NAMES, "python", *environment.options}
    for item in command:
        for name in _fields(environment.name, item):
            if name not in known:
                raise ParseError(
                    f"[{environment.name}] command: {{{name}}} is not known; known: {', '.join(sorted(known))}"
                )
    reference = table.get("reference", "given" if any("{reference}" in item for item in command) else "")
    if reference not in REFERENCES:
        raise ParseError(
            f"[{environment.name}] reference {reference!r}: expected one of {', '.join(filter(None, REFERENCES))}"
        )
    record = Record(
        name=environment.name,
        title=str(table.get("title", environment.name)),
        repository="",
        commit="",
        licence=str(table.get("licence", "private")),
        paper=str(table.get("paper", "none")),
        python="its own",
        torch="its own",
        weights=(),
        imports=(),
        entry="",
        gpu=False,
        fps=str(table.get("fps", "25 in, 25 out expected")),
        resolution=str(table.get("resolution", "its own")),
        audio="16 kHz mono",
        reference=reference,
        needs=tuple(map(str, table.get("needs", ("video", "audio")))),
        options=dict.fromkeys(environment.options, "set in baselines.toml"),
        checked="a template of the user's",
        notes=(),
    )
    return Adapter(record=record, command=lambda job: _fill(command, job))


def _fill(command: Sequence[str], job: Job) -> list[str]:
    values = (
        {name: str(getattr(job, name)) for name in _NAMES if name != "job"}
        | {"job": str(job.work / "job.json")}
        | dict(job.options)
    )
    filled: list[str] = []
    for item in command:
        if item == "{python}":
            filled += job.python
            continue
        try:
            filled.append(item.format_map(values | {"python": " ".join(job.python)}))
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise BaselineError(f"the command's item {item!r} cannot be filled ({error})") from error
    return filled


def _fields(name: str, item: str) -> list[str]:
    try:
        found = [field for _, field, _, _ in string.Formatter().parse(item) if field is not None]
    except ValueError as error:
        raise ParseError(f"[{name}] command: {item!r}: {error}; write {{{{ and }}}} for braces") from error
    for field in found:
        if not field.isidentifier():
            raise ParseError(f"[{name}] command: {{{field}}} is not a name")
    return found
