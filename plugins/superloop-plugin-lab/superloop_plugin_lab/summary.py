"""``summary.json``: the final figures of a run, and where they come from."""

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from superloop_plugin_lab.experiment import Experiment
from superloop_plugin_lab.figures import directions, prefixed
from superloop_plugin_lab.measurement import Measurement
from superloop_plugin_lab.run_folder import finite


def summary_of(experiment: Experiment, final: Measurement, **facts: Any) -> Callable[[Path], Any]:
    """Return the function that writes the summary to a path.

    Args:
        experiment: its seed and its versions are written.
        final: the figures, ``test_NAME``.
        facts: about the run.
    """
    libraries = {"python": platform.python_version(), "keras": keras.__version__, "numpy": np.__version__}
    known = {name: higher for name, higher in directions(experiment.metrics).items() if higher is not None}
    summary = {
        **prefixed("test", final.figures),
        **facts,
        "higher_is_better": prefixed("test", known),
        "seed": experiment.settings.seed,
        "versions": {**experiment.config.plugins, **libraries, "tensorflow": tf.__version__},
    }
    text = json.dumps(finite(summary), indent=2, allow_nan=False)
    return lambda path: path.write_text(f"{text}\n", encoding="utf-8")
