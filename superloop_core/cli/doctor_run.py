"""``superloop doctor RUN_DIR``: whether the files of a run folder are as the run wrote them."""

import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from superloop_core.cli.installed import installed_plugins
from superloop_core.cli.quiet import start_tensorflow
from superloop_core.config.reader import read_config
from superloop_core.errors import ConfigError, RunFolderError, printable, reason
from superloop_core.runs import FILES, LOCK, MANIFEST, Manifest, holder, kind_of, leftovers, locked

WHOLE = "as the run wrote it"
ACCEPT = "delete it, and record that: superloop doctor {run} --accept"
ANEW = f"{ACCEPT} && superloop resume {{run}}, which makes it anew from checkpoint.npz"
WITHOUT_A_COPY = {
    "config.toml": "mend it by hand",
    "metrics.jsonl": f"{ACCEPT}; its figures are lost, and the run can go on",
    "summary.json": ANEW,
    "checkpoint.npz": f"{ACCEPT}; the run can be measured, but not resumed",
    "model.keras": ANEW,
    "best.weights.h5": ANEW,
    "last.weights.h5": ANEW,
}


def check_run(folder: Path, *, accept: bool, as_json: bool) -> NoReturn:
    """Print the state of each file of a run folder, and end with 1 where one differs.

    Args:
        folder: the run folder.
        accept: record the files as they are, before that.
        as_json: print JSON.

    Raises:
        ConfigError: it is no run folder.
        RunFolderError: it cannot be read; or to accept, written, or a file that was changed cannot be read.
    """
    if kind_of(folder / ".") != "a folder":
        raise ConfigError(f"{folder}: no such folder; give a folder that `superloop train` wrote")
    if accept:
        _accept(folder)
    manifest = Manifest.read(folder)
    report = _report(folder, manifest)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        _print(report)
    sys.exit(1 if report["problems"] else 0)


def _accept(folder: Path) -> None:
    if kind_of(folder / FILES[0]) != "a file":
        raise ConfigError(f"{folder}: not a folder that `superloop train` wrote: no {FILES[0]}")
    with locked(folder):
        before = Manifest.read(folder)
        if before is not None:
            before.recover()
        accepted = Manifest.adopt(folder, before=before, accept=True)
        known = before.files if before else {}
        changed = (name for name, entry in accepted.files.items() if known.get(name) != entry)
        if refusals := list(filter(None, (_refusal(folder / name) for name in changed))):
            raise RunFolderError("\n".join(refusals))
        accepted.write({}, {})


def _refusal(path: Path) -> str:
    """Return why a file is not accepted: no command could read it; nothing if it can be read."""
    try:
        if path.suffix in READERS:
            READERS[path.suffix](path)
    except Exception as error:  # of any kind, of a damaged file
        move = f"put it back from a copy{_without_a_copy(path)}"
        return f"{path}: is not accepted, as it cannot be read: {reason(error)}; {move}"
    return ""


def _read_lines(path: Path) -> None:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not {"step", "final"} & json.loads(line).keys():
            raise ValueError(f"line {number} has no step")


def _read_arrays(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"{damaged} is damaged")


def _read_weights(path: Path) -> None:
    start_tensorflow()
    from superloop_core.layer.weights_file import WEIGHTS, open_archive, open_weights

    if path.suffix == ".h5":
        with open_weights(path):
            return
    with open_archive(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with open_weights(io.BytesIO(members[WEIGHTS])):
        return


READERS: dict[str, Callable[[Path], Any]] = {
    ".toml": lambda path: read_config(path, installed_plugins()),
    ".jsonl": _read_lines,
    ".json": lambda path: json.loads(path.read_bytes()),
    ".npz": _read_arrays,
    ".keras": _read_weights,
    ".h5": _read_weights,
}


def _report(folder: Path, manifest: Manifest | None) -> dict[str, Any]:
    present = [name for name in FILES if kind_of(folder / name) != "nothing"]
    found = manifest.differences() if manifest else {}
    recorded = {*manifest.files, *manifest.pending} if manifest else set()
    files = {}
    for name in FILES:
        if name in recorded:
            files[name] = found.get(name, _accepted(manifest, name))
        elif name in present:
            files[name] = f"is not in {MANIFEST}"
    notes = []
    if manifest is None:
        notes.append(
            f"there is no {MANIFEST}, so nothing could be compared: a folder of version 0.1 has none, and "
            "any other has lost it; put it back from a copy, or write one for the files as they are: --accept"
        )
    elif manifest.pending:
        notes.append("a write was cut short; `superloop resume` completes it")
    if (owner := holder(folder)) is not None:
        notes.append(f"{LOCK}: {owner}")
    if left := [path.name for path in leftovers(folder)]:
        notes.append(f"left by writes that were cut short, or under way: {', '.join(left)}")
    return {
        "run_folder": str(folder),
        "run": manifest.run if manifest else None,
        "files": files,
        "notes": notes,
        "problems": [f"{folder / name}: {found[name]}{_without_a_copy(folder / name)}" for name in found],
    }


def _without_a_copy(path: Path) -> str:
    """Return the next move for a file of which there is no copy."""
    move = WITHOUT_A_COPY.get(path.name, "")
    return f"; without a copy, {move.format(run=path.parent)}" if move else ""


def _accepted(manifest: Manifest | None, name: str) -> str:
    entry = manifest.files.get(name) if manifest else None
    return "changed by a person, and accepted" if entry and entry.accepted else WHOLE


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    folder = report["run_folder"]
    rows = {"run folder": folder, "run": report["run"] or "unknown", **report["files"]}
    width = max(map(len, rows)) + 2
    console = Console(soft_wrap=True)  # a path must not be broken or cut
    for name, value in rows.items():
        console.print(Text.assemble((f"{name:<{width}}", "bold"), printable(value)))
    for note in report["notes"]:
        console.print(Text.assemble(("note: ", "bold"), printable(note)))
    console.print()
    if not report["problems"]:
        if report["run"]:
            console.print(Text("No problem was found.", style="green"))
        return
    for problem in report["problems"]:
        console.print(Text.assemble(("problem: ", "bold red"), printable(problem)))
    console.print(
        Text(
            "Put each file back from a copy of the folder. If a person changed it on purpose, record the "
            f"files as they are: superloop doctor {printable(folder)} --accept"
        )
    )
