"""What a page holds of a recording: arrays with what they are, tokens, and facts of the sequences."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import attrs
import numpy as np

from superloop_core import Traces
from superloop_core.errors import SuperloopError
from superloop_plugin_view.viewer.encoding import as_real
from superloop_plugin_view.viewer.recording import Recording

MAX_SEQUENCES = 4
TOKENS = ("inputs", "answers", "targets")


@attrs.define(eq=False)
class Part:
    """An array of a run, before it is encoded."""

    array: np.ndarray
    facts: dict[str, Any]


@attrs.define(eq=False)
class Run:
    """What the page says of a recording."""

    name: str
    traces: Traces
    rows: list[int]
    facts: dict[str, Any]
    parts: list[Part]

    @classmethod
    def of(
        cls, given: Recording, names: Collection[str] | str | None, rows: Iterable[int] | None, index: int
    ) -> "Run":
        """Collect what a recording holds; ``index`` is its place on the page.

        Raises:
            SuperloopError: there is nothing to view.
            TraceError: a name matches no trace.
        """
        traces = given.traces if isinstance(given.traces, Traces) else Traces(arrays=dict(given.traces))
        if names is not None:
            traces = traces.select(*([names] if isinstance(names, str) else names))
        drawn = [name for name, array in traces.items() if array.ndim >= 2 and array.size]
        if not drawn:
            raise SuperloopError("there are no traces to view")
        count = min(len(traces[name]) for name in drawn)
        chosen = list(range(min(count, MAX_SEQUENCES)) if rows is None else rows)
        if wrong := [row for row in chosen if not 0 <= row < count]:
            raise SuperloopError(f"sequences are numbered from 0 to {count - 1}: {wrong[0]}")
        if not chosen:
            raise SuperloopError("there are no sequences to view")
        parts = [_trace_part(traces, name, chosen) for name in drawn]
        sources = {part.facts["source"]: None for part in parts if part.facts["source"]}
        parts += [_source_part(traces, name, chosen) for name in sources]
        timesteps = max(traces[name].shape[1] for name in drawn)
        lengths = lengths_of(traces, drawn)
        tokens, of_vectors = _tokens(given, traces, chosen)
        run = {
            "name": given.name,
            "timesteps": timesteps,
            "sequences": [_sequence(given, row, int(lengths[row])) for row in chosen],
            "tokens": tokens,
            "arrays": [],
        }
        for part in parts + of_vectors:
            part.facts["run"] = index
        return cls(given.name, traces, chosen, run, parts + of_vectors)


def lengths_of(traces: Traces, names: list[str]) -> np.ndarray:
    """Return the timesteps of each sequence in the loop that has the most, ``(sequence,)``."""
    found = []
    for name in names:
        lengths, (count, timesteps) = traces.lengths(name), traces[name].shape[:2]
        found.append(np.full(count, timesteps) if lengths is None else lengths)
    count = min(map(len, found))
    longest: np.ndarray = np.max([lengths[:count] for lengths in found], axis=0)
    return longest


def _trace_part(traces: Traces, name: str, rows: list[int]) -> Part:
    array = traces[name][rows]
    own = name.removeprefix(traces.loop_of(name))
    return Part(
        array if array.ndim > 2 else array[..., None],
        {
            "name": name,
            "part": name.rpartition(".")[0],
            "of_cell": own.startswith("cells.") and own.count(".") == 2,
            "kind": traces.views[name].kind,
            "axes": list(traces.views[name].axes),
            "labels": list(traces.labels.get(name, ())),
            "state": name in traces.states,
            "source": _source(traces, name),
        },
    )


def _source(traces: Traces, name: str) -> str:
    """Return the name of the source whose rows a trace of weights is for; empty if there is none."""
    view, loop = traces.views[name], traces.loop_of(name)
    if view.kind != "weights":
        return ""
    id = name.removeprefix(loop).rpartition(".")[0].rpartition(".")[2]
    named = (f"{loop}{id}_{view.axes[-1]}", f"{loop}{view.axes[-1]}")
    return next((found for found in named if found in traces.reached), "")


def _source_part(traces: Traces, name: str, rows: list[int]) -> Part:
    array = traces.reached[name][rows]
    array = array.reshape(len(rows), 1, array.shape[1], -1)  # the same at each timestep
    facts = {"name": name, "part": "", "of_cell": False, "kind": "source", "axes": ["row", "number"]}
    return Part(array, {**facts, "labels": [], "state": False})


def _sequence(given: Recording, row: int, length: int) -> dict[str, Any]:
    note = None if given.annotations is None else given.annotations[row]
    correct = None if given.correct is None else given.correct[row]
    return {
        "row": row,
        "length": max(1, length),
        "correct": None if correct is None else bool(correct),
        "title": "" if note is None else note.title,
        "slots": [] if note is None else list(note.slots),
        "slots_of": "" if note is None else note.system,
        "target": None if note is None else note.target,
    }


def _tokens(given: Recording, traces: Traces, rows: list[int]) -> tuple[dict[str, Any], list[Part]]:
    """Return the tokens as texts by row, and vectors as arrays."""
    found: dict[str, Any] = {}
    vectors: list[Part] = []
    values: dict[str, list[Any]] = {}
    for name in TOKENS:
        value = getattr(given, name)
        value = value(traces) if callable(value) else value
        if value is None:
            continue
        values[name] = [value[row] for row in rows]
        if np.ndim(values[name][0][0] if len(values[name][0]) else 0) == 0:
            found[name] = [[_text(token) for token in line] for line in values[name]]
            continue
        facts = {"name": name, "part": "", "of_cell": False, "kind": "tokens", "axes": ["number"]}
        vectors.append(Part(_vectors(name, values[name]), {**facts, "labels": [], "state": False}))
    if given.wrong is not None:
        found["wrong"] = [[int(bool(one)) for one in given.wrong[row]] for row in rows]
    elif "answers" in found and "targets" in found:
        pairs = zip(values["answers"], values["targets"], strict=True)
        found["wrong"] = [
            [int(_is_wrong(answer, target)) for answer, target in zip(*lines, strict=False)]
            for lines in pairs
        ]
    return found, vectors


def _vectors(name: str, values: list[Any]) -> np.ndarray:
    """Return vectors; integers below 0 are no targets."""
    array = np.asarray(values)
    if name == "targets" and array.dtype.kind == "i":
        return np.where(array < 0, np.nan, array)
    return array


def _text(token: Any) -> str:
    """Return a token's text; an integer below 0 is none."""
    token = token.item() if isinstance(token, np.generic) else token
    if isinstance(token, float):
        return f"{token:.4g}"
    none = token is None or (isinstance(token, int) and token < 0)
    return "" if none else str(token)


def _is_wrong(answer: Any, target: Any) -> bool:
    """Whether an answer is not the target; numbers with a fraction are not judged."""
    answer, target = (one.item() if isinstance(one, np.generic) else one for one in (answer, target))
    if isinstance(answer, float) or isinstance(target, float):
        return False
    return bool(_text(target)) and _text(answer) != _text(target)


def first_changes(runs: Sequence[Run]) -> dict[str, int] | None:
    """Return the timestep at which each trace of two runs first differs; None: they have other traces."""
    if len(runs) < 2 or any(len(run.rows) != len(runs[0].rows) for run in runs):
        return None
    one, other = ({name: run.traces[name][run.rows] for name in run.traces} for run in runs)
    if {name: array.shape for name, array in one.items()} != {
        name: array.shape for name, array in other.items()
    }:
        return None
    changes = {}
    for name, array in one.items():
        moved = (~_equal(array, other[name])).any(axis=(0, *range(2, array.ndim)))
        if moved.any():
            changes[name] = int(moved.argmax())
    return dict(sorted(changes.items(), key=lambda item: item[1]))


def differences(before: Run, after: Run) -> list[Part]:
    """Return what the traces of the second run are more than those of the first, where they differ.

    Computed from rounded numbers, small differences of large numbers would have no digits.
    """
    there = {(part.facts["name"], part.facts["kind"]): part.array for part in before.parts}
    found = []
    for part in after.parts:
        base = there.get((part.facts["name"], part.facts["kind"]))
        if base is not None and base.shape == part.array.shape and part.facts["kind"] != "tokens":
            with np.errstate(invalid="ignore"):  # the same infinity twice
                less = np.where(_equal(part.array, base), 0.0, as_real(part.array) - as_real(base))
            if less.any():
                found.append(Part(less, {**part.facts, "kind": "less"}))
    return found


def _equal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return where numbers are equal; NaN is NaN."""
    return np.asarray((one == other) | ((one != one) & (other != other)))
