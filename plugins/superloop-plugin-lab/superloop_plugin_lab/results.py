"""The figures of a run folder, for programs: a data frame of its metrics, and its summary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superloop_core import ConfigError
from superloop_core.runs import check_files

if TYPE_CHECKING:
    import pandas


def read_metrics(run: str | Path) -> pandas.DataFrame:
    """Return the figures of a run while it trained, a row for each step with figures.

    The index is ``step``. Columns are ``train_loss``, ``train_accuracy``, ``learning_rate``,
    ``validation_loss``, ``validation_accuracy``, ``validation_NAME`` of each metric, and with a curriculum
    ``longest``; NaN where a step has no such figure. The files of version 0.1 are given the same names. The
    final figures are in :func:`read_summary`.

    Args:
        run: its folder; it may still be training.

    Raises:
        ConfigError: there is no run folder.
        ImportError: pandas is not installed.
        RunFolderError: the metrics are not as the run wrote them.
    """
    try:
        import pandas
    except ImportError as error:
        what = "read_metrics needs pandas: pip install superloop-plugin-lab[pandas]"
        raise ImportError(what) from error
    rows: dict[int, dict[str, Any]] = {}
    for line in metric_lines(Path(run)):
        if "step" in line and "failed" not in line:
            rows.setdefault(line["step"], {}).update(line)
    frame = pandas.DataFrame(list(rows.values()), columns=None if rows else ["step"])
    return frame.set_index("step").astype("float64")


def read_summary(run: str | Path) -> dict[str, Any]:
    """Return the final figures of a run: ``test_loss``, ``test_accuracy``, ``test_NAME``, and facts about it.

    The facts are ``steps``, ``seconds``, ``best_step``, ``complete``, ``stopped_early``, ``seed``,
    ``versions``, and ``higher_is_better`` of each figure of which it is known.

    A folder of version 0.1 has no summary; what its metrics hold of this is returned, in the
    names of today.

    Args:
        run: its folder.

    Raises:
        ConfigError: there is no run folder, or training has not ended.
        RunFolderError: the summary is not as the run wrote it.
    """
    folder = Path(run)
    check_files(folder, "summary.json")
    if (folder / "summary.json").is_file():
        summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        return summary
    final = next((line for line in metric_lines(folder) if "final" in line), None)
    if final is None:
        raise ConfigError(f"{folder}: training has not ended; end it: superloop resume {folder}")
    return {name: value for name, value in final.items() if name != "final"}


def metric_lines(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics, in the names of today.

    Raises:
        ConfigError: there is no run folder.
        RunFolderError: the metrics are not as the run wrote them.
    """
    from superloop_plugin_lab.figures import in_new_names
    from superloop_plugin_lab.run_folder import RunFolder

    check_files(folder, "metrics.jsonl")
    return in_new_names(RunFolder.find(folder).read_metrics())
