"""MLflow: a run with a curve per metric in a store of files, or wherever a tracking URI says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lipsync_eval.errors import OutputError
from lipsync_eval.export.points import Series, package, scores_csv, signature_key, values
from lipsync_eval.results.names import printable
from lipsync_eval.version import __version__


def export(series: Series, out: Path | None, *, project: str, tracking_uri: str | None) -> str:
    """Log a series as one run of MLflow; returns the URI of the store and the run's id.

    A metric's signature is a tag, `lipsync_signature/psnr`; where it changes over the steps each step has a tag of its own,
    `lipsync_signature/psnr/1000`. The artifact scores.csv holds every value with its signature.

    Args:
        series: what to log.
        out: folder of the file store, where there is no `tracking_uri`.
        project: name of the experiment; made where it is not there.
        tracking_uri: as MLflow takes it.

    Raises:
        UsageError: MLflow is not installed.
        OutputError: the store cannot be reached or written.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    uri = tracking_uri or (out or Path("mlruns")).absolute().as_uri()
    if uri.startswith("file:"):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # recent versions (3.17) refuse without it
    tracking = package("mlflow.tracking", "mlflow", "mlflow-skinny")
    refused = package("mlflow.exceptions", "mlflow", "mlflow-skinny").MlflowException
    try:
        run = _log(tracking.MlflowClient(uri), series, project)
    except refused as error:
        raise OutputError(f"MLflow refused {uri}: {printable(str(error))}") from error
    return f"{uri} run {run}"


def _log(client: Any, series: Series, project: str) -> str:
    """Log a series; returns the run's id."""
    known = client.get_experiment_by_name(project)
    experiment = known.experiment_id if known is not None else client.create_experiment(project)
    run: str = client.create_run(experiment, run_name=printable(series.name)).info.run_id
    client.set_tag(run, "lipsync_eval.version", __version__)
    signatures: dict[str, dict[int, str]] = {}
    for point in series.points:
        for score in point.scores:
            signatures.setdefault(signature_key(score), {})[point.step] = score.signature
            for name, value in values(score).items():
                client.log_metric(run, name, value, step=point.step)
    for key, by_step in signatures.items():
        alike = len(set(by_step.values())) == 1
        for step, signature in by_step.items():
            client.set_tag(run, key if alike else f"{key}/{step}", signature)
    client.log_text(run, scores_csv(series), "scores.csv")
    client.set_terminated(run)
    return run
