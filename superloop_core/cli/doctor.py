"""``superloop doctor``."""

import importlib.util
import json
import os
import platform
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions, version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click

from superloop_core.cli.doctor_run import check_run
from superloop_core.cli.installed import installed_plugins
from superloop_core.cli.streams import table_console
from superloop_core.errors import printable, reason
from superloop_core.registry.discovery import versions_installed
from superloop_core.registry.hookspecs import ENTRY_POINT_GROUP
from superloop_core.registry.records import (
    PluginRecord,
    UnusablePlugin,
    metadata_folder,
    name_and_version,
)
from superloop_core.registry.registry import Registry

PACKAGES = (
    "superloop-core", "tensorflow", "keras", "numpy", "attrs", "cattrs", "pluggy", "click", "h5py",
)  # fmt: skip
VARIABLES = (
    "SUPERLOOP_", "KERAS_", "TF_CONFIG", "TF_ENABLE_", "TF_FORCE_", "TF_GPU_", "TF_NUM_", "TF_USE_",
    "TF_XLA_", "XLA_", "CUDA_VISIBLE_DEVICES", "SLURM_STEP_",
)  # fmt: skip

SLOW = 1.0  # seconds of an import that are worth a warning

# In a process of its own: TensorFlow may crash where a driver is broken, and writes to the terminal.
PROBE = """
import json, sys
import tensorflow as tf
report = {"gpus": [gpu.name for gpu in tf.config.list_physical_devices("GPU")], "xla": ""}
try:
    tf.function(lambda x: x + 1, jit_compile=True)(tf.zeros([2]))
except Exception as error:
    report["xla"] = f"{type(error).__name__}: {error}"
print(json.dumps(report))
"""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program to read.")
@click.option("--quick", is_flag=True, help="Do not start TensorFlow to look for XLA and GPUs.")
@click.argument("run", required=False, type=click.Path(path_type=Path), metavar="[RUN_DIR]")
@click.option(
    "--accept",
    is_flag=True,
    help="Record the files of RUN_DIR as they are, where they were changed on purpose.",
)
def doctor(as_json: bool, quick: bool, run: Path | None, accept: bool) -> None:
    """Check versions, plugins, the environment, XLA and GPUs; or with RUN_DIR, the files of a run folder.

    The exit status is 1 where there is a problem. A plugin that is broken or slow is a warning only, as all
    else works.
    """
    if run is not None:
        check_run(run, accept=accept, as_json=as_json)
    if accept:
        raise click.UsageError("--accept needs a RUN_DIR")
    registry, found = installed_plugins(), list(distributions())
    findings = list(_findings(registry, found))
    problems = [text for level, text in findings if level == "problem"]
    devices: dict[str, Any] = {} if quick else _devices()
    if failure := devices.get("error") or devices.get("xla"):
        problems.append(f"TensorFlow: {failure}")
    report = {
        "problems": problems,
        "warnings": [text for level, text in findings if level == "warning"],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in PACKAGES},
        "plugins": {
            state: [f"{p.distribution}:{p.name}" for p in listed]
            for state, listed in (
                ("ready", registry.records), ("blocked", registry.blocked), ("broken", registry.broken),
            )
        },
        "environment": {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)},
        "devices": devices,
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        _print(report)
    sys.exit(1 if problems else 0)


def _findings(registry: Registry, found: list[Distribution]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong: problems, and warnings of single plugins, which stop nothing else."""
    for sentence in (*registry.conflicts, *registry.unmatched, *versions_installed(found, PACKAGES)):
        yield "problem", sentence
    for name in PACKAGES:
        if _version(name) is None:
            yield "problem", f"{name} is not installed: pip install {name}"
    for distribution in found:
        where = metadata_folder(distribution)
        if name_and_version(distribution)[0] is None:
            yield (
                "warning",
                f"{where} has no name that can be read: remove it, and install the distribution again",
            )
            continue
        try:
            for problem in stale(distribution):
                yield "problem", problem
        except Exception as error:
            yield "warning", f"{where} cannot be read, so install the distribution again: {reason(error)}"
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        yield "problem", f"KERAS_BACKEND is {backend!r}, but superloop_core runs on TensorFlow: unset it"
    for plugin in registry.broken:
        yield "warning", f"{plugin.distribution} {plugin.version} is broken: {plugin.reason}"
    loaded: list[PluginRecord | UnusablePlugin] = [*registry.records, *registry.broken]
    for name, seconds in {plugin.distribution: plugin.seconds for plugin in loaded}.items():
        if seconds > SLOW:
            advice = "what is heavy should be imported by the module of its factory"
            yield "warning", f"{name} takes {seconds:.1f} s to import whenever plugins are listed: {advice}"


def stale(distribution: Distribution) -> Iterator[str]:
    """Yield the problems of a plugin distribution's installation."""
    name, _ = name_and_version(distribution)
    entry_points = {e.name: e.value for e in distribution.entry_points if e.group == ENTRY_POINT_GROUP}
    if str(name).startswith("superloop-plugin-") and not entry_points:
        yield f"{name} has no entry point in the group {ENTRY_POINT_GROUP}, so none of it is found"
    if not entry_points:
        return
    folder = _editable_folder(distribution)
    if folder is None:
        return
    again = f"pip install -e {folder}"
    if not folder.is_dir():
        yield f"{name} is installed from {folder}, which is gone: pip uninstall {name}"
        return
    declared = _declared(folder)
    if declared is not None and declared != entry_points:
        yield f"{name} was installed with the entry points {entry_points}; now they are {declared}: {again}"
    for value in entry_points.values():
        package = value.partition(":")[0].partition(".")[0]
        if importlib.util.find_spec(package) is None:
            yield f"{name}'s entry point names {package!r}, which cannot be found: {again}"


def _editable_folder(distribution: Distribution) -> Path | None:
    """The folder that a distribution was installed from with ``pip install -e``; None for any other."""
    text = distribution.read_text("direct_url.json")
    report = json.loads(text) if text else {}
    if not report.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(report["url"]).path))


def _declared(folder: Path) -> Mapping[str, str] | None:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return None  # nothing to compare with
    declared: Mapping[str, str] = project.get("entry-points", {}).get(ENTRY_POINT_GROUP, {})
    return declared


def _devices() -> dict[str, Any]:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, env=environment)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it ended with the status {done.returncode}"]
        return {"error": lines[-1]}
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def _version(name: str) -> str | None:
    try:
        return version(name)
    except Exception:  # it is not there, or its metadata cannot be read
        return None


def _print(report: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    devices, environment = report["devices"], report["environment"]
    rows = {
        "python": f"{report['python']} on {report['platform']}",
        "packages": ", ".join(f"{name} {number or 'missing'}" for name, number in report["versions"].items()),
        "plugins": ", ".join(f"{len(names)} {state}" for state, names in report["plugins"].items()),
        "blocked": ", ".join(report["plugins"]["blocked"]),
        "environment": ", ".join(f"{name}={value}" for name, value in environment.items()) or "nothing set",
    }
    if "gpus" in devices:
        xla = "XLA fails" if devices["xla"] else "XLA works"
        rows["devices"] = f"{', '.join(devices['gpus']) or 'CPU only'}; {xla}"
    grid = Table.grid(padding=(0, 2))
    for name, fact in rows.items():
        if fact:
            grid.add_row(Text(name, style="bold"), Text(printable(fact)))
    console = table_console()
    console.print(grid)
    console.print()
    if not report["problems"] and not report["warnings"]:
        console.print(Text("No problem was found.", style="green"))
    for problem in report["problems"]:
        console.print(Text.assemble(("problem: ", "bold red"), printable(problem)))
    for warning in report["warnings"]:
        console.print(Text.assemble(("warning: ", "bold yellow"), printable(warning)))
