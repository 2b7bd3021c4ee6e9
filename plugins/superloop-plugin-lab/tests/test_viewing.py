import json
import re
import urllib.parse
import urllib.request

import numpy as np
import pytest
from superloop_plugin_lab.evaluation import trace_run
from superloop_plugin_lab.viewing import live_run, tokens_of, view_runs

from superloop_core import Batch, ConfigError


def facts_of(path):
    """What the page of a file holds."""
    return facts_in(path.read_text("utf-8"))


def facts_in(page):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page)[1])


def slots_of(facts):
    return [[one["slots"] for one in run["sequences"]] for run in facts["runs"]]


@pytest.fixture
def page_of(tmp_path):
    """Views runs, and returns what the page holds."""

    def view(*paths, **options):
        view_runs(paths, tmp_path / "deep" / "page.html", **options)
        return facts_of(tmp_path / "deep" / "page.html")

    return view


def test_a_page_holds_the_traces_and_what_the_task_says_of_its_sequences(run, page_of, tmp_path):
    arrays, _, _ = trace_run(run.path, tmp_path / "a.npz", sequences=3)
    facts = page_of(run.path, sequences=3)
    with np.load(arrays) as traces:
        numbers = traces["inputs.tape_data"].argmax(-1).astype(str).tolist()
        names = {name for name in traces if not name.startswith(("__", "inputs.", "targets"))}
    assert slots_of(facts) == [numbers]
    arrays = facts["runs"][0]["arrays"]
    assert {array["name"] for array in arrays} == names | {"tape_data"}
    sequences = facts["runs"][0]["sequences"]
    assert all(one["title"] == f"last 2 before the 9: slot {one['target']}" for one in sequences)
    assert all(isinstance(one["correct"], bool) for one in sequences)


def test_a_live_page_has_the_runs_sequences_before_and_after_a_change(run, page_of):
    plain = page_of(run.path, sequences=2)
    with live_run(run.path, sequences=2) as live:
        form = {"kind": "off", "at": 3, "off": "tape", "row": "all"}
        text = urllib.request.urlopen(live.url, urllib.parse.urlencode(form).encode()).read().decode()
    changed = facts_in(text)
    assert slots_of(changed) == slots_of(plain) * 2
    before, after = changed["runs"]
    assert before["tokens"] == plain["runs"][0]["tokens"]
    assert changed["changes"]["tape.read"] == 3
    assert before["arrays"] != after["arrays"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--live", "--out", "a.html"], "writes no file: leave out --out"),
        (["other", "--live"], "serves the page of one run"),
        (["--port", "8000"], "--port is of --live"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, told, run, superloop):
    code, _, err = superloop("view", run.path, *arguments)
    assert (code, told in " ".join(err.split())) == (2, True), err


def test_two_runs_are_seen_on_the_same_sequences(run, run_with_registers, page_of):
    facts = page_of(run.path, run_with_registers.path, sequences=2, seed=9)
    assert [one["name"] for one in facts["runs"]] == ["small", "registers"]
    first, second = slots_of(facts)
    assert first == second
    assert slots_of(page_of(run.path, sequences=2)) != [first]


def test_a_file_of_traces_may_stand_in_the_place_of_a_run(run, page_of, tmp_path):
    trace_run(run.path, tmp_path / "mine.npz", sequences=2)
    facts = page_of(tmp_path / "mine.npz", run.path, sequences=3)
    assert [len(one["sequences"]) for one in facts["runs"]] == [2, 2]
    with pytest.raises(ConfigError, match=r"none\.npz: cannot be read: "):
        page_of(tmp_path / "none.npz")
    with pytest.raises(ConfigError, match="no such folder"):
        page_of(tmp_path / "none")


def test_view_writes_a_page_named_after_the_run(superloop, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = superloop("view", run.path, "--sequences", 1)
    assert (code, out.strip()) == (0, "small.html")
    assert len(facts_of(tmp_path / "small.html")["runs"][0]["sequences"]) == 1
    code, _, err = superloop("view", run.path, run.path, run.path)
    assert code == 2
    assert "one or two runs can be viewed at once: 3" in err
    (tmp_path / "file").touch()
    code, _, err = superloop("view", run.path, "--out", tmp_path / "file" / "a.html")
    assert code == 2
    assert "cannot be written" in err


def test_classes_bits_and_numbers_are_answers_of_their_own_kinds():
    inputs = {"inputs": np.zeros((1, 3, 2))}
    outputs = np.array([[[5.0, -1.0], [-1.0, 5.0], [-1.0, 5.0]]])
    classes = tokens_of(None, Batch(inputs=inputs, targets=np.array([[0, 0, -1]])), {"outputs": outputs})
    np.testing.assert_array_equal(classes["answers"], [[0, 1, -1]])
    np.testing.assert_array_equal(classes["wrong"], [[False, True, False]])
    bits = np.array([[[1, 0], [1, 1], [-1, -1]]])
    found = tokens_of(None, Batch(inputs=inputs, targets=bits), {"outputs": outputs})
    np.testing.assert_array_equal(found["answers"], [[[1, 0], [0, 1], [np.nan, np.nan]]])
    np.testing.assert_array_equal(found["wrong"], [[False, True, False]])
    found = tokens_of(None, Batch(inputs=inputs, targets=outputs + 1), {"outputs": outputs})
    assert found["answers"] is outputs
    assert "wrong" not in found
    found = tokens_of(None, Batch(inputs={"data": bits}, targets=np.zeros(1)), {"outputs": outputs})
    assert found == {}


def test_a_task_may_say_its_own_tokens():
    class Spelling:
        def tokens(self, batch, results):
            return {"inputs": [["one"]]}

    batch = Batch(inputs={"inputs": np.zeros((1, 1), int)}, targets=np.zeros((1, 1), int))
    found = tokens_of(Spelling(), batch, {"outputs": np.zeros((1, 1, 2))})
    assert found["inputs"] == [["one"]]
    np.testing.assert_array_equal(found["targets"], [[0]])
