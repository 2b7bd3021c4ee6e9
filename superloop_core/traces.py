"""Traces, arrays over timesteps by name, and TraceView: what a plugin says of a trace, for pictures."""

import fnmatch
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from superloop_core.errors import SuperloopError, TraceError, did_you_mean, message
from superloop_core.limits import check_file, check_unpacked
from superloop_core.runs import replace_file

if TYPE_CHECKING:
    import numpy as np

KINDS = {
    "slots": "contents of slots that stay in their places: the last two axes are slots and their numbers",
    "stack": "the same, of slots that move: slot 0 is the top",
    "tape": "the same, of slots that turn under a head: slot 0 is under it",
    "weights": "a number for each slot, or for each row of a source: the last axis",
    "links": "a number for each pair of slots, [to, from]: the last two axes",
    "actions": "shares of actions: the last axis",
    "position": "places on the slots or the rows that the weights of the same part are for",
    "scalar": "numbers, each by itself: gates, strengths",
    "vector": "vectors without slots: keys, states of cells, read vectors",
}
SEQUENCE, TIMESTEP = "sequence", "timestep"  # the first two axes of every trace
META = "__superloop__"  # in a file: what is no array, as JSON
INPUTS, REACHED, RESULTS = "inputs.", "__reached__.", "__results__."  # in a file, before the names


@attrs.frozen(init=False)
class TraceView:
    """What a trace is, and its axes: ``TraceView("weights", "head", "slot")``.

    Args:
        kind: one of :data:`KINDS`.
        axes: the names of its axes after sequence and timestep. An axis named as a source of the system runs
            over the rows of that source.
        optional: whether some settings leave the trace out.

    Raises:
        SuperloopError: there is no such kind, or it needs more axes.
    """

    kind: str
    axes: tuple[str, ...]
    optional: bool

    def __init__(self, kind: str, *axes: str, optional: bool = False):
        if kind not in KINDS:
            raise SuperloopError(f"no kind of trace {kind!r}{did_you_mean(kind, KINDS)}")
        if len(axes) < (needed := 2 if kind in ("slots", "stack", "tape", "links") else 1):
            raise SuperloopError(f"a trace of the kind {kind!r} has {needed} axes or more: {axes}")
        self.__attrs_init__(kind, axes, optional)  # type: ignore[attr-defined]


def guess_view(sizes: tuple[int | None, ...]) -> TraceView:
    """Return a view for a trace of which nothing is said, by its sizes after sequence and timestep."""
    if len(sizes) < 2:
        return TraceView("scalar" if sizes in ((), (1,)) else "vector", "number")
    return TraceView("slots", *(f"axis {index}" for index in range(len(sizes) - 2)), "slot", "number")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Traces(Mapping[str, "np.ndarray"]):
    """What a model did, as arrays by name, each ``(sequence, timestep, ...)``.

    A trace of a state or of a read vector at t holds what the cells saw at step t; the others are what step t
    made. Where several loops were called, the names begin with the name of the loop's layer; a second call
    of a layer is ``name#2``. Padded timesteps repeat the last valid one.

    Args:
        arrays: the traces.
        views: what each trace is.
        labels: names of the entries of the last axis, of some traces.
        states: names of the traces that are of the state before a step.
        loops: the prefix of each loop's traces, ``""`` where there is one loop, and the name of its layer.
        inputs: what the model was given.
        reached: what reached each loop, after its prefix: ``inputs``, ``mask`` where there was one, and the
            sources.
        results: what the model returned: an array, or a dict or a list of arrays.
        extra: further arrays of a file, such as ``targets``.
    """

    arrays: Mapping[str, "np.ndarray"]
    views: Mapping[str, TraceView] = attrs.field(factory=dict)
    labels: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    states: frozenset[str] = frozenset()
    loops: Mapping[str, str] = attrs.field(factory=lambda: {"": ""})
    inputs: Mapping[str, "np.ndarray"] = attrs.field(factory=dict)
    reached: Mapping[str, "np.ndarray"] = attrs.field(factory=dict)
    results: Any = None
    extra: Mapping[str, "np.ndarray"] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        guesses = {name: guess_view(array.shape[2:]) for name, array in self.arrays.items()}
        views = {name: self.views.get(name, guess) for name, guess in guesses.items()}
        # What a plugin or a file says may be wrong.
        fitting = (name for name, view in views.items() if len(view.axes) == self.arrays[name].ndim - 2)
        views = guesses | {name: views[name] for name in fitting}
        object.__setattr__(self, "views", views)

    def __getitem__(self, name: str) -> "np.ndarray":
        if name not in self.arrays:
            raise TraceError(f"no trace {name!r}{did_you_mean(name, self.arrays)}")
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __repr__(self) -> str:
        lines = ["Traces"]
        for name, array in self.arrays.items():
            axes = zip(self.axes[name], array.shape, strict=False)
            sizes = ", ".join(f"{axis} {size}" for axis, size in axes)
            lines.append(f"  {name}: {sizes} ({self.kinds[name]})")
        return "\n".join(lines)

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The names of each trace's axes: ``("sequence", "timestep", "head", "slot")``."""
        return {name: (SEQUENCE, TIMESTEP, *view.axes) for name, view in self.views.items()}

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of each trace, one of :data:`KINDS`."""
        return {name: view.kind for name, view in self.views.items()}

    def select(self, *patterns: str) -> "Traces":
        """Return the traces that some names or patterns match, such as ``"memo.*"``.

        Raises:
            TraceError: one matches nothing.
        """
        chosen: dict[str, None] = {}
        for pattern in patterns:
            found = fnmatch.filter(self.arrays, pattern)
            if not found:
                raise TraceError(f"no trace {pattern!r}{did_you_mean(pattern, self.arrays)}")
            chosen |= dict.fromkeys(found)
        return attrs.evolve(self, arrays={name: self.arrays[name] for name in chosen})

    def loop_of(self, name: str) -> str:
        """Return the prefix of the loop that a trace is of."""
        return max((prefix for prefix in self.loops if name.startswith(prefix)), key=len, default="")

    def lengths(self, name: str) -> "np.ndarray | None":
        """Return how many timesteps are valid in each sequence of a trace, ``(sequence,)``; None: all.

        Timesteps after the last valid one are not counted, and padding before it is.
        """
        import numpy as np

        mask = self.reached.get(f"{self.loop_of(name)}mask")
        if mask is None:
            return None
        counted = np.where(mask, np.arange(1, mask.shape[1] + 1), 0).max(axis=1, initial=0)
        return np.asarray(counted)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an ``.npz`` file: each trace by its name, ``inputs.NAME``, and what :meth:`load` needs.

        Raises:
            OSError: it cannot be written; an older file stays.
            SuperloopError: the results are dicts or lists in others.
        """
        import numpy as np

        results = self.results
        form = "dict" if isinstance(results, Mapping) else "list" if isinstance(results, list) else "array"
        named = (
            results if isinstance(results, Mapping) else dict(enumerate(results if form == "list" else []))
        )
        if form == "array" and results is not None:
            named = {"": results}
        meta = {
            "traces": {name: [view.kind, *view.axes] for name, view in self.views.items()},
            "labels": {name: list(labels) for name, labels in self.labels.items()},
            "states": sorted(self.states),
            "loops": dict(self.loops),
            "results": form,
        }
        if nested := [str(name) for name, array in named.items() if not hasattr(array, "dtype")]:
            raise SuperloopError(
                f"the results of the model hold others under {nested[0]!r}, which a file of traces cannot; "
                "save attrs.evolve(traces, results=None)"
            )
        arrays = {
            **self.arrays,
            **self.extra,
            **{INPUTS + name: array for name, array in self.inputs.items()},
            **{REACHED + name: array for name, array in self.reached.items()},
            **{f"{RESULTS}{name}": array for name, array in named.items()},
            META: np.array(json.dumps(meta)),
        }

        def write(new: Path) -> None:
            with new.open("wb") as file:  # NumPy would add a suffix to a name
                np.savez_compressed(file, **arrays)

        replace_file(Path(path), write)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Traces":
        """Read a file that :meth:`save` or ``superloop trace`` wrote, also one of an older version.

        Raises:
            OSError: the file cannot be opened.
            TraceError: it is no such file.
        """
        import numpy as np

        try:
            size = check_file(Path(path))
            with zipfile.ZipFile(path) as archive:
                check_unpacked(sum(member.file_size for member in archive.infolist()), size)
            with np.load(path, allow_pickle=False) as saved:
                arrays = dict(saved)
            meta = json.loads(str(arrays.pop(META, "{}")))
            return cls(**_loaded(arrays, meta))
        except OSError:
            raise
        except Exception as error:  # NumPy raises many kinds of errors on a broken file
            raise TraceError(f"{path}: is no file of traces: {message(error)}") from error


def _loaded(arrays: dict[str, Any], meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the class; files of older versions have no ``meta``."""
    by_prefix: dict[str, dict[str, Any]] = {INPUTS: {}, REACHED: {}, RESULTS: {}}
    views = {name: TraceView(*view) for name, view in meta.get("traces", {}).items()}
    for name in [name for name in arrays if name not in views]:
        for prefix, found in by_prefix.items():
            if name.startswith(prefix):
                found[name.removeprefix(prefix)] = arrays.pop(name)
    traces = {name: array for name, array in arrays.items() if name in (views or set(arrays) - {"targets"})}
    results: Any = by_prefix[RESULTS]
    if meta.get("results") == "list":
        results = [results[key] for key in sorted(results, key=int)]
    elif meta.get("results") == "array" or not meta:
        results = results.get("")
    return {
        "arrays": traces,
        "views": views,
        "labels": {name: tuple(labels) for name, labels in meta.get("labels", {}).items()},
        "states": frozenset(meta.get("states", ())),
        "loops": dict(meta.get("loops", {"": ""})),
        "inputs": by_prefix[INPUTS],
        "reached": by_prefix[REACHED],
        "results": results,
        "extra": {name: array for name, array in arrays.items() if name not in traces},
    }
