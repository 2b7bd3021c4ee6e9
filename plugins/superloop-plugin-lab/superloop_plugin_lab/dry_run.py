"""A dry run: what training does, once each, in a temporary folder."""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from superloop_core.task import StoredTask
from superloop_plugin_lab.diagnosis import TrainingError
from superloop_plugin_lab.experiment import Experiment
from superloop_plugin_lab.recorder import Recorder
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.training import Run


def print_dry_run(experiment: Experiment) -> None:
    """Take two training steps, measure, write a checkpoint, delete all, and print the times.

    Raises:
        TrainingError: a loss, a gradient or a weight is not finite.
    """
    with TemporaryDirectory(prefix="superloop-dry-run-") as path:
        folder = RunFolder.create(Path(path), default=Path(path))
        run = Run(experiment, folder)
        run.recorder = Recorder(experiment, folder, calls_back=False)  # trackers would keep the run
        with folder.writing():
            folder.begin(experiment.config)
            try:
                with run.recorder:
                    batch = run.next_batch()  # once: another may have another shape, and compile anew
                    first, second = (_seconds(lambda: run.take_step(batch)) for _ in range(2))
                    figures = run.log()
                    measuring, saving = _seconds(run.measure), _seconds(run.save)
            except TrainingError as error:
                reason, *_ = str(error).split("; ")
                raise TrainingError(f"dry run: {reason}; nothing was kept") from error
        kilobytes = folder.checkpoint.stat().st_size / 1000
    settings, task = experiment.settings, experiment.task
    count = task.count("validation") if isinstance(task, StoredTask) else settings.evaluate_on
    rows = {
        "dry run": "two steps, one measurement and one checkpoint; all files are deleted",
        "first step": f"{first:.3g} s, with compiling",
        "second step": f"{second:.3g} s; {settings.steps:,} steps take about {settings.steps * second:.3g} s",
        "measurement": f"{measuring:.3g} s, on {count:,} sequences",
        "checkpoint": f"{saving:.3g} s, {kilobytes:,.0f} kB",
        "figures": figures,
    }
    for name, value in rows.items():
        click.echo(f"{name:<13}{value}")


def _seconds(act: Callable[[], Any]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
