import numpy as np
import pytest

from superloop_core import SuperloopError, TraceError, Traces, TraceView


@pytest.fixture
def traces():
    rng = np.random.default_rng(0)
    return Traces(
        arrays={
            "a.memo.cells": rng.normal(size=(2, 5, 4, 3)),
            "b.memo.cells": rng.normal(size=(2, 5, 4, 3)),
            "b.memo.actions": rng.random((2, 5, 2)),
            "b.memo.gate": rng.random((2, 5, 1)),
        },
        views={
            "a.memo.cells": TraceView("stack", "slot", "number"),
            "b.memo.actions": TraceView("actions", "action"),
        },
        labels={"b.memo.actions": ("push", "pop")},
        states=frozenset({"a.memo.cells", "b.memo.cells"}),
        loops={"a.": "a", "b.": "b"},
        inputs={"words": np.array([[1, 2], [3, 4]])},
        reached={"a.inputs": rng.normal(size=(2, 5, 1)), "b.mask": np.arange(5) < np.array([[3], [5]])},
        results={"tags": rng.normal(size=(2, 5)), "score": rng.normal(size=2)},
        extra={"targets": np.array([0, 1])},
    )


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("form", [dict, list, None, np.asarray])
def test_a_file_gives_back_everything(tmp_path, traces, form):
    results = {dict: traces.results, list: list(traces.results.values())}.get(form)
    results = np.arange(3) if form is np.asarray else results
    object.__setattr__(traces, "results", results)
    traces.save(tmp_path / "traces.npz")
    loaded = Traces.load(tmp_path / "traces.npz")
    assert same(traces, loaded)
    for name in ("inputs", "reached", "extra"):
        assert same(getattr(traces, name), getattr(loaded, name))
    for name in ("views", "labels", "states", "loops"):
        assert getattr(traces, name) == getattr(loaded, name)
    if form is dict:
        assert same(results, loaded.results)
    else:
        assert type(loaded.results) is type(results)
        np.testing.assert_equal(loaded.results, results)


def test_a_file_has_the_names_of_an_older_version_s(tmp_path, traces):
    traces.save(tmp_path / "traces.npz")
    with np.load(tmp_path / "traces.npz") as file:
        assert {*traces, "inputs.words", "targets"} < set(file)
        np.testing.assert_array_equal(file["b.memo.actions"], traces["b.memo.actions"])


def test_a_file_of_an_older_version_is_read_and_its_views_are_guessed(tmp_path):
    arrays = {
        "memo.cells": np.ones((2, 5, 1, 4, 3)),
        "memo.gate": np.ones((2, 5, 1)),
        "outputs": np.ones((2, 5, 3)),
    }
    np.savez(tmp_path / "old.npz", targets=np.ones(2), **{"inputs.inputs": np.ones((2, 5))}, **arrays)
    loaded = Traces.load(tmp_path / "old.npz")
    assert same(loaded, arrays)
    assert (list(loaded.inputs), list(loaded.extra)) == (["inputs"], ["targets"])
    assert loaded.kinds == {"memo.cells": "slots", "memo.gate": "scalar", "outputs": "vector"}
    assert loaded.axes["memo.cells"] == ("sequence", "timestep", "axis 0", "slot", "number")


def test_what_does_not_fit_a_trace_is_not_believed():
    view = TraceView("links", "to", "from")
    assert Traces(arrays={"a": np.ones((1, 2, 3))}, views={"a": view}).kinds == {"a": "vector"}
    assert Traces(arrays={"a": np.ones((1, 2, 3, 3))}, views={"a": view}).kinds == {"a": "links"}


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(TraceError, match="is no file of traces"):
        Traces.load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x=np.array([object()]))
    with pytest.raises(TraceError, match="is no file of traces"):
        Traces.load(tmp_path / "b.npz")
    with pytest.raises(FileNotFoundError):
        Traces.load(tmp_path / "c.npz")


def test_a_file_that_cannot_be_written_leaves_the_older_one(tmp_path, traces, monkeypatch):
    path = tmp_path / "traces.npz"
    path.write_text("older")
    monkeypatch.setattr(np, "savez_compressed", lambda *a, **k: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        traces.save(path)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_traces_are_chosen_by_names_and_patterns(traces):
    assert list(traces.select("b.*", "a.memo.cells")) == [
        "b.memo.cells",
        "b.memo.actions",
        "b.memo.gate",
        "a.memo.cells",
    ]
    with pytest.raises(TraceError, match=r"no trace 'a.memo.cels'; did you mean 'a.memo.cells'"):
        traces.select("a.memo.cels")
    with pytest.raises(TraceError, match="did you mean"):
        traces["a.memo.cel"]
    assert "a.memo.cel" not in traces
    assert traces.get("nothing") is None


def test_the_mask_of_its_own_loop_says_how_long_a_sequence_is(traces):
    assert traces.lengths("a.memo.cells") is None
    np.testing.assert_array_equal(traces.lengths("b.memo.gate"), [3, 5])


def test_the_text_names_the_axes_and_sizes(traces):
    assert repr(traces).splitlines()[:2] == [
        "Traces",
        "  a.memo.cells: sequence 2, timestep 5, slot 4, number 3 (stack)",
    ]


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (("weight", "slot"), "no kind of trace 'weight'; did you mean 'weights'"),
        (("slots", "slot"), "has 2 axes or more"),
        (("weights",), "has 1 axes or more"),
    ],
)
def test_a_view_that_says_too_little_is_refused(view, message):
    with pytest.raises(SuperloopError, match=message):
        TraceView(*view)


def test_nested_results_are_refused_before_a_file_is_written(tmp_path):
    traces = Traces(arrays={"x": np.zeros((1, 2))}, results={"a": {"b": np.zeros(2)}})
    with pytest.raises(SuperloopError, match="results=None"):
        traces.save(tmp_path / "traces.npz")
    assert not list(tmp_path.iterdir())
