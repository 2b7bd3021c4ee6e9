"""A page that shows what a memory did, timestep by timestep."""

import base64
import hashlib
import html
import json
import os
import webbrowser
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np

from superloop_core import Traces
from superloop_core.errors import SuperloopError
from superloop_core.runs import replace_file
from superloop_core.task import Annotation
from superloop_core.traces import guess_view
from superloop_plugin_view.viewer.encoding import DIGITS, MAX_NUMBERS, as_real, encode_byte, encode_half

MAX_SEQUENCES = 4
MAX_BYTES = 2_000_000
NARROWEST, HEIGHT = 320, 900  # pixels, in a notebook
TOKENS = ("inputs", "answers", "targets")

Tokens: TypeAlias = (
    Any  # texts or integers, or vectors: (sequence, timestep[, number]); or a function of the traces
)


@attrs.frozen(kw_only=True, eq=False)
class Recording:
    """Traces to view, and what is known of their sequences. Give two of them to :func:`view` to compare runs.

    Args:
        traces: those of :func:`superloop_core.trace`, or arrays by name, each ``(sequence, timestep, ...)``.
        name: of the run, for people.
        inputs: the input of each timestep: texts or integers ``(sequence, timestep)``, or vectors
            ``(sequence, timestep, number)``; or a function that returns them, given the traces.
        answers: what the model answered, likewise.
        targets: what would have been correct, likewise. An empty text, or a number below 0, is none.
        wrong: whether each answer is wrong, ``(sequence, timestep)``; None: where it is a token that differs
            from its target.
        correct: whether each sequence was answered correctly; None: not said.
        annotations: a title for each sequence, and labels of the slots of a system.
    """

    traces: Traces | Mapping[str, np.ndarray]
    name: str = ""
    inputs: Tokens = None
    answers: Tokens = None
    targets: Tokens = None
    wrong: Any = None
    correct: Sequence[bool | None] | None = None
    annotations: Sequence[Annotation] | None = None


@attrs.frozen
class Page:
    """A page: ``page.save("view.html")``. A notebook shows it.

    Args:
        html: the whole page, which needs no other file and no network.
    """

    html: str = attrs.field(repr=lambda text: f"{len(text):,} characters")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page.

        Raises:
            OSError: it cannot be written; an older file stays.
        """
        replace_file(Path(path), lambda new: new.write_text(self.html, encoding="utf-8"))

    def open(self, path: str | os.PathLike[str]) -> None:
        """Write the page, and open it in the browser."""
        self.save(path)
        webbrowser.open(Path(path).absolute().as_uri())

    def _repr_html_(self) -> str:
        """Return a frame that holds the page, for notebooks."""
        style = f"width:100%;min-width:{NARROWEST}px;height:{HEIGHT}px;border:0"
        return (
            f'<iframe title="superloop view" sandbox="allow-scripts allow-modals" style="{style}" '
            f'srcdoc="{html.escape(self.html)}"></iframe>'
        )


def view(
    *recordings: Any,
    names: Collection[str] | str | None = None,
    sequences: Iterable[int] | None = None,
    title: str = "",
    max_bytes: int = MAX_BYTES,
    path: str | os.PathLike[str] | None = None,
    **known: Any,
) -> Page:
    """Return a page that shows traces at each timestep: stacks, tapes, slots with heads, and heat maps over time.

    What is drawn follows from the kind and the axes of each trace, which its plugin says. Two recordings, or two
    sequences, can be seen side by side, locked in time, and as a difference.

    ::

        traces = superloop_core.trace(model, words)
        view(traces, inputs=words, answers=model.predict(words).argmax(-1), targets=tags)
        view(traces, path="view.html")
        view(superloop_core.intervene(model, words, at=5, set={"memo.cells": 0}), inputs=words)
        view(Recording(traces=one, name="seed 0"), Recording(traces=other, name="seed 1"))

    Args:
        recordings: one or two of: traces, arrays by name, a :class:`Recording`; or one result of
            :func:`superloop_core.intervene`.
        names: names or patterns of the traces to show; None: all.
        sequences: rows of the batch; None: the first four.
        title: of the page.
        max_bytes: of the page. The largest traces get 8 bits a number instead of 16, then they are left out; the page
            says so.
        path: a file to write.
        known: the arguments of :class:`Recording`, such as ``inputs``, for recordings that do not say them.

    Raises:
        SuperloopError: there is nothing to show, or more than two recordings.
        TraceError: a name matches no trace.
        OSError: the file cannot be written.
    """
    shown = [_recording(one, known) for one in _both(recordings)]
    if not 1 <= len(shown) <= 2:
        raise SuperloopError(f"view takes one or two recordings: {len(shown)}")
    runs = [_Run.of(one, names, sequences, index) for index, one in enumerate(shown)]
    changes = _first_changes(runs)
    if changes is not None:
        _take_differences(*runs)
    facts = {
        "title": title or " and ".join(run.name for run in runs if run.name) or "What the memory did",
        "runs": [run.facts for run in runs],
        "changes": changes,
    }
    page = Page(_fit(facts, [part for run in runs for part in run.parts], max_bytes))
    if path is not None:
        page.save(path)
    return page


def _both(recordings: Sequence[Any]) -> list[Any]:
    """Return the recordings; those before and after, of an intervention."""
    if len(recordings) == 1 and hasattr(recordings[0], "before") and hasattr(recordings[0], "after"):
        change = recordings[0]
        return [
            Recording(traces=change.before, name="before"),
            Recording(traces=change.after, name=f"changed at {change.at}"),
        ]
    return list(recordings)


def _recording(given: Any, known: Mapping[str, Any]) -> Recording:
    """Return a recording with what is known of all."""
    if unknown := set(known) - set(attrs.fields_dict(Recording)) | ({"traces"} & set(known)):
        raise TypeError(f"view() got an unexpected argument {min(unknown)!r}")
    if not isinstance(given, Recording):
        return Recording(traces=given, **known)
    rest = {name: value for name, value in known.items() if getattr(given, name) in (None, "")}
    return attrs.evolve(given, **rest)


@attrs.define(eq=False)
class _Part:
    """An array of a run, before it is encoded."""

    array: np.ndarray
    facts: dict[str, Any]


@attrs.define(eq=False)
class _Run:
    """What the page says of a recording."""

    name: str
    traces: Traces
    rows: list[int]
    facts: dict[str, Any]
    parts: list[_Part]

    @classmethod
    def of(
        cls, given: Recording, names: Collection[str] | str | None, rows: Iterable[int] | None, index: int
    ) -> "_Run":
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
        lengths = traces.lengths(drawn[0])
        tokens, of_vectors = _tokens(given, traces, chosen)
        run = {
            "name": given.name,
            "timesteps": timesteps,
            "sequences": [
                _sequence(given, row, timesteps if lengths is None else int(lengths[row])) for row in chosen
            ],
            "tokens": tokens,
            "arrays": [],
        }
        for part in parts + of_vectors:
            part.facts["run"] = index
        return cls(given.name, traces, chosen, run, parts + of_vectors)


def _trace_part(traces: Traces, name: str, rows: list[int]) -> _Part:
    array = traces[name][rows]
    kind, axes = traces.views[name].kind, list(traces.views[name].axes)
    if len(axes) != array.ndim - 2:  # a stranger's view is wrong, or there are no axes
        guess = guess_view(array.shape[2:])
        kind, axes = guess.kind, list(guess.axes)
    own = name.removeprefix(traces.loop_of(name))
    return _Part(
        array if array.ndim > 2 else array[..., None],
        {
            "name": name,
            "part": name.rpartition(".")[0],
            "of_cell": own.startswith("cells.") and own.count(".") == 2,
            "kind": kind,
            "axes": axes,
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


def _source_part(traces: Traces, name: str, rows: list[int]) -> _Part:
    array = traces.reached[name][rows]
    array = array.reshape(len(rows), 1, array.shape[1], -1)  # the same at each timestep
    facts = {"name": name, "part": "", "of_cell": False, "kind": "source", "axes": ["row", "number"]}
    return _Part(array, {**facts, "labels": [], "state": False})


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


def _tokens(given: Recording, traces: Traces, rows: list[int]) -> tuple[dict[str, Any], list[_Part]]:
    """Return the tokens as texts by row, and vectors as arrays."""
    found: dict[str, Any] = {}
    vectors: list[_Part] = []
    values: dict[str, list[Any]] = {}
    for name in TOKENS:
        value = getattr(given, name)
        value = value(traces) if isinstance(value, Callable) else value  # type: ignore[arg-type]
        if value is None:
            continue
        values[name] = [value[row] for row in rows]
        if np.ndim(values[name][0][0] if len(values[name][0]) else 0) == 0:
            found[name] = [[_text(token) for token in line] for line in values[name]]
            continue
        facts = {"name": name, "part": "", "of_cell": False, "kind": "tokens", "axes": ["number"]}
        vectors.append(_Part(_vectors(name, values[name]), {**facts, "labels": [], "state": False}))
    if given.wrong is not None:
        found["wrong"] = [[int(bool(one)) for one in given.wrong[row]] for row in rows]
    elif "answers" in found and "targets" in found:
        pairs = zip(found["answers"], found["targets"], strict=True)
        found["wrong"] = [
            [int(bool(target) and answer != target) for answer, target in zip(*lines, strict=False)]
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
    """Return a token's text; a number below 0 is none."""
    token = token.item() if isinstance(token, np.generic) else token
    if isinstance(token, int | float) and not isinstance(token, bool):
        return "" if token < 0 else f"{token:.4g}"
    return "" if token is None else str(token)


def _first_changes(runs: Sequence[_Run]) -> dict[str, int] | None:
    """Return the timestep at which each trace of two runs first differs; None: they are not the same traces."""
    if len(runs) < 2 or any(len(run.rows) != len(runs[0].rows) for run in runs):
        return None
    one, other = ({name: run.traces[name][run.rows] for name in run.traces} for run in runs)
    if {name: array.shape for name, array in one.items()} != {
        name: array.shape for name, array in other.items()
    }:
        return None
    changes = {}
    for name, array in one.items():
        differs = (array != other[name]) & ~((array != array) & (other[name] != other[name]))  # NaN is NaN
        moved = differs.any(axis=(0, *range(2, array.ndim)))
        if moved.any():
            changes[name] = int(moved.argmax())
    return dict(sorted(changes.items(), key=lambda item: item[1]))


def _take_differences(before: _Run, after: _Run) -> None:
    """Replace the arrays of the second run by their differences, so that those keep 3 digits of their own."""
    there = {(part.facts["name"], part.facts["kind"]): part.array for part in before.parts}
    for part in after.parts:
        base = there.get((part.facts["name"], part.facts["kind"]))
        if base is not None and base.shape == part.array.shape:
            less = as_real(part.array) - as_real(base)
            if np.isfinite(less).all():
                part.array, part.facts["less"] = less, True


def _fit(facts: dict[str, Any], parts: list[_Part], max_bytes: int) -> str:
    """Return the page, with arrays rounded or left out until it is small enough."""
    left_out: list[str] = []
    encoded: list[dict[str, Any]] = []
    for part in parts:
        if part.array.size > MAX_NUMBERS:
            left_out.append(part.facts["name"])
            continue
        encoded.append({"part": part, **encode_half(part.array)})

    def room() -> int:
        return max_bytes - len(_page(facts, [], left_out)) - 300 * len(encoded)

    def total() -> int:
        return sum(len(one["data"]) for one in encoded)

    while total() > room() and (wide := [one for one in encoded if one["form"] == "half"]):
        largest = max(wide, key=lambda one: len(one["data"]))
        if len(largest["data"]) < total() / 50:  # rounding small ones saves nothing
            break
        place = encoded.index(largest)
        encoded[place] = {"part": largest["part"], **encode_byte(largest["part"].array)}
    while total() > room() and len({one["part"].facts["name"] for one in encoded}) > 1:
        largest = max(encoded, key=lambda one: len(one["data"]))
        name = largest["part"].facts["name"]
        encoded = [one for one in encoded if one["part"].facts["name"] != name]  # of both runs
        left_out.append(name)
    return _page(facts, encoded, left_out)


def _page(facts: dict[str, Any], encoded: list[dict[str, Any]], left_out: list[str]) -> str:
    runs = [
        {**run, "arrays": [_array_facts(one) for one in encoded if one["part"].facts["run"] == index]}
        for index, run in enumerate(facts["runs"])
    ]
    data = json.dumps(
        {**facts, "runs": runs, "left_out": list(dict.fromkeys(left_out)), "rounding": DIGITS},
        separators=(",", ":"),
    )
    here = resources.files("superloop_plugin_view.viewer")
    template, script, style = (
        here.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "viewer.js", "viewer.css")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    values = {
        "title": html.escape(facts["title"]),
        "digest": digest,
        "style": style,
        "script": script,
        "data": data.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"),
    }
    pieces = template.split("%%")  # text, name, text, name, ... text
    return "".join(values[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def _array_facts(one: dict[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in one["part"].facts.items() if name != "run"}
    sizes = list(one["part"].array.shape)
    return {**own, "shape": sizes, **{name: value for name, value in one.items() if name != "part"}}
