"""`lipsync-eval schema NAME`."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("name", required=False)
def schema(name: str | None) -> None:
    """Print the JSON Schema of a file; without NAME, list the schemas that there are.

    \b
    Examples:
      lipsync-eval schema results > results.schema.json
      lipsync-eval schema pairs
    """
    from lipsync_eval import schemas

    if name is None:
        for key, text in schemas.SCHEMAS.items():
            click.echo(f"{key:9} {text}")
    else:
        click.echo(json.dumps(schemas.schema(name), indent=2))
