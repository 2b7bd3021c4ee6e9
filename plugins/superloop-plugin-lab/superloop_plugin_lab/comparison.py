"""Runs beside each other: grouped over seeds, by what differs in their configs."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from superloop_core import ConfigError
from superloop_core.config import load_dict
from superloop_core.errors import os_reason
from superloop_plugin_lab.figures import headline_first
from superloop_plugin_lab.grouping import (
    ABSENT,
    Statistics,
    differences,
    figure_text,
    flat,
    short_keys,
    statistics_of,
)
from superloop_plugin_lab.results import metric_lines, read_summary
from superloop_plugin_lab.run_folder import RunFolder

SEED = "train.seed"


@attrs.frozen(kw_only=True)
class Group:
    """Runs whose configs differ in nothing but the seed.

    Args:
        settings: the values of the keys in which the groups differ.
        runs: the folders, and the summary of each; None: the run is not complete.
        headline: the name of the figure that decides their best weights.
    """

    settings: Mapping[str, Any]
    runs: Mapping[Path, Mapping[str, Any] | None]
    headline: str = "accuracy"

    @property
    def complete(self) -> int:
        """The number of runs that are complete."""
        return sum(summary is not None for summary in self.runs.values())

    @property
    def repeated(self) -> int:
        """The number of runs whose seed is that of a run before: they say nothing more of the deviation."""
        seeds = [load_dict(RunFolder(run).config).get("train", {}).get("seed", 0) for run in self.runs]
        return len(seeds) - len(set(seeds))

    @property
    def statistics(self) -> dict[str, Statistics]:
        """Of each final figure, over the runs that are complete."""
        return statistics_of(summary for summary in self.runs.values() if summary is not None)


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Return the run folders at paths, and those in folders at them, each once.

    Raises:
        ConfigError: there is none at or in one of them.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        runs = list(_runs_in(path))
        if not runs:
            raise ConfigError(
                f"{path}: no run folder is there or in it; give folders that `superloop train` wrote"
            )
        found.update({run.resolve(): run for run in runs if run.resolve() not in found})
    return list(found.values())


def _runs_in(path: Path) -> Iterator[Path]:
    if RunFolder(path).config.is_file():
        yield path
        return
    try:
        folders = [entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {os_reason(error)}") from error
    for folder in sorted(folders, key=_by_number):
        yield from _runs_in(folder)


def _by_number(path: Path) -> list[tuple[int, str]]:
    """``trial-2`` before ``trial-10``."""
    words = re.findall(r"\d+|\D+", path.name)
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in words]


def group_runs(runs: Iterable[Path]) -> list[Group]:
    """Group runs whose configs differ in nothing but the seed, in the order of the runs."""
    configs = {run: load_dict(RunFolder.find(run).config) | _files(run) for run in runs}
    keys = [key for key in differences(list(configs.values())) if key != SEED]
    groups: dict[str, dict[Path, dict[str, Any]]] = {}
    for run, config in configs.items():
        leaves = flat(config)
        settings = {key: leaves.get(key, "") for key in keys}
        groups.setdefault(repr(settings), {})[run] = settings
    return [
        Group(
            settings=next(iter(members.values())),
            runs={run: _summary(run) for run in members},
            headline=configs[next(iter(members))].get("train", {}).get("best") or "accuracy",
        )
        for members in groups.values()
    ]


def _files(run: Path) -> dict[str, str]:
    """Return a short checksum of the files that a run was trained on; nothing where sequences were drawn."""
    state = RunFolder(run).read_task_state()
    if state is None:
        return {}
    sums = "".join(sorted(map(str, state.get("files", {}).values())))
    return {"files": hashlib.sha256(sums.encode()).hexdigest()[:8]}


def _summary(run: Path) -> dict[str, Any] | None:
    """Return the summary of a run that is complete, else None."""
    if not RunFolder(run).is_final:
        return None
    summary = read_summary(run)
    return summary if summary.get("complete", True) else None


def group_names(groups: Sequence[Group]) -> list[str]:
    """Return a name for each group: its settings by short keys, ``units=16, kernel=cosine``."""
    keys = shown_keys(groups)
    return [
        ", ".join(f"{short}={text_of(group.settings[key])}" for key, short in keys.items())
        or next(iter(group.runs)).resolve().name
        for group in groups
    ]


def shown_keys(groups: Sequence[Group]) -> dict[str, str]:
    """Return the keys that tell groups apart, with their short forms.

    Where two have another plugin in one place, or one has none, the settings of the plugins say no more.
    """
    settings = [group.settings for group in groups]
    lists = {
        key for key in settings[0] for other in settings[0] if other.startswith(f"{key}.")
    }  # one is empty
    places = {key.removesuffix("use") for key in settings[0] if key.endswith(".use")}  # of other plugins
    return short_keys(
        key
        for key in settings[0]
        if key not in lists
        and (
            key.endswith(".use")
            or not any(key.startswith(place) for place in places)
            or all(of_group[key] != ABSENT for of_group in settings)
        )
    )


def text_of(value: Any) -> str:
    """Return a setting in words: a string as it is, a float with four digits, another value as in JSON."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str) and re.fullmatch(r"[a-z0-9-]+:[a-z0-9_.]+", value):
        return value.partition(":")[2]  # a plugin's name, without its distribution
    if value == ABSENT:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def table_of(groups: Sequence[Group]) -> tuple[list[str], list[list[str]], int]:
    """Return the header of a table of groups, its rows, and the number of columns that are settings."""
    names = figure_names(groups)
    keys = shown_keys(groups)
    header = [*keys.values(), "runs", *names]
    rows = []
    for group in groups:
        found = group.statistics
        whole = group.complete == len(group.runs)
        runs = str(len(group.runs)) if whole else f"{group.complete} of {len(group.runs)}"
        figures = [_mean_text(name, found[name]) if name in found else "" for name in names]
        rows.append([*(text_of(group.settings[key]) for key in keys), runs, *figures])
    return header, rows, len(keys)


def _mean_text(name: str, found: Statistics) -> str:
    mean = figure_text(name, found.mean)
    return mean if found.deviation is None else f"{mean} ± {figure_text(name, found.deviation)}"


def read_curve(run: Path, name: str) -> dict[int, float]:
    """Return a figure of a run by training step; a figure that is not finite is left out.

    Raises:
        ConfigError: the run has no figure of the name.
    """
    lines = [line for line in metric_lines(run) if "step" in line and "failed" not in line]
    curve = {line["step"]: float(line[name]) for line in lines if line.get(name) is not None}
    if not curve and lines:
        names = dict.fromkeys(key for line in lines for key in line if key != "step")
        raise ConfigError(f"--metric {name}: {run} has no such figure; it has {', '.join(names)}")
    return curve


def figure_names(groups: Sequence[Group]) -> list[str]:
    """Return the names of all final figures of groups, that of the first one's headline first."""
    names = dict.fromkeys(name.removeprefix("test_") for group in groups for name in group.statistics)
    return [f"test_{name}" for name in headline_first(names, groups[0].headline)]


def as_json(groups: Iterable[Group]) -> str:
    """Return groups as JSON: settings, runs and statistics."""
    rows = [
        {
            "settings": dict(group.settings),
            "runs": [str(run) for run in group.runs],
            "complete": group.complete,
            "figures": {name: attrs.asdict(found) for name, found in group.statistics.items()},
        }
        for group in groups
    ]
    return json.dumps(rows, indent=2, allow_nan=False, default=str)


def as_csv(groups: Sequence[Group]) -> str:
    """Return groups as CSV: a column for each key that differs and for each statistic of each figure."""
    fields = [field.name for field in attrs.fields(Statistics)]
    names = figure_names(groups)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *groups[0].settings,
            *("runs", "complete"),
            *(f"{name}_{field}" for name in names for field in fields),
        ]
    )
    for group in groups:
        found = group.statistics
        numbers = [getattr(found.get(name), field, None) for name in names for field in fields]
        settings = [
            value if isinstance(value, float) else text_of(value) for value in group.settings.values()
        ]
        writer.writerow([*settings, len(group.runs), group.complete, *numbers])
    return text.getvalue().rstrip("\n")


def as_latex(header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """Return a table in LaTeX, for the package booktabs.

    Args:
        header: names of the columns.
        rows: their texts.
        left: the first columns, which are words and not numbers.
    """
    columns = "l" * left + "r" * (len(header) - left)
    lines = [" & ".join(map(_escaped, row)) + r" \\" for row in (header, *rows)]
    table = [
        rf"\begin{{tabular}}{{{columns}}}",
        *(r"\toprule", lines[0], r"\midrule"),
        *lines[1:],
        *(r"\bottomrule", r"\end{tabular}"),
    ]
    return "\n".join(table)


LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
} | {character: f"\\{character}" for character in "&%$#_{}"}


def _escaped(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
