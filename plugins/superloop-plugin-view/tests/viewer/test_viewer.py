import re

import attrs
import numpy as np
import pytest
from superloop_plugin_view import Recording, view
from superloop_plugin_view.viewer.encoding import decode

from superloop_core import Traces, TraceView
from superloop_core.errors import SuperloopError, TraceError
from superloop_core.inspect.intervene import Intervention
from superloop_core.task import Annotation

EVIL = "<img src=x onerror=alert(1)>"
END = "</script><script>alert(2)</script>"


def numbers(array):
    return decode(array, tuple(array["shape"]))


def test_a_page_holds_every_trace_to_three_digits(every_kind, facts_of, array_of):
    traces = every_kind()
    page = view(traces)
    shown = [array for array in facts_of(page)["runs"][0]["arrays"] if array["kind"] != "source"]
    assert {array["name"] for array in shown} == set(traces)
    for name, trace in traces.items():
        np.testing.assert_allclose(
            numbers(array_of(page, name)).ravel(), trace.ravel(), rtol=2**-11, atol=1e-7
        )


def test_an_ntm_of_128_slots_and_100_timesteps_fits_in_two_megabytes_at_full_precision(ntm, facts_of):
    page = view(ntm())
    assert len(page.html.encode()) < 2_000_000
    assert {array["form"] for array in facts_of(page)["runs"][0]["arrays"]} == {"half"}


def test_more_is_rounded_and_then_left_out_and_the_page_says_so(ntm, facts_of):
    page = view(ntm(sequences=4))
    facts = facts_of(page)
    forms = {array["name"]: array["form"] for array in facts["runs"][0]["arrays"]}
    assert len(page.html.encode()) < 2_000_000
    assert forms["ntm.memory"] == "byte"
    assert forms["ntm.read_weights"] == "half"
    page = view(ntm(sequences=4), max_bytes=700_000)
    assert len(page.html.encode()) < 700_000
    assert facts_of(page)["left_out"] == ["ntm.memory"]


def test_a_page_needs_no_other_file_and_no_network(every_kind, elements):
    page = view(every_kind(), title="http://example.com")
    assert not [attrs for _, attrs in elements(page.html).tags if {"src", "href", "srcset"} & set(attrs)]
    rest = page.html.replace("http://example.com", "")
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|fetch\(|XMLHttp|WebSocket|import\(", rest)
    assert "default-src 'none'" in page.html


def test_names_and_tokens_of_a_stranger_are_text(elements, facts_of):
    traces = Traces(
        arrays={f"{EVIL}.{END}": np.ones((1, 3, 2)), "memo.cells": np.ones((1, 3, 2, 2))},
        views={"memo.cells": TraceView("stack", END, EVIL)},
        labels={f"{EVIL}.{END}": (EVIL, END)},
    )
    tokens = [[EVIL, END, "<!--"]]
    note = Annotation(title=END, system="memo", slots=(EVIL, END))
    page = view(traces, inputs=tokens, answers=tokens, title=EVIL + END, annotations=[note])
    found = elements(page.html)
    assert [tag for tag, _ in found.tags].count("script") == 2
    assert "img" not in [tag for tag, _ in found.tags]
    assert not set("<>&") & set(found.scripts[0])
    assert facts_of(page)["runs"][0]["tokens"]["inputs"] == tokens
    assert facts_of(page)["title"] == EVIL + END


def test_the_first_four_sequences_are_shown_or_those_chosen(every_kind, facts_of, array_of):
    traces = every_kind(sequences=6)
    rows = [one["row"] for one in facts_of(view(traces))["runs"][0]["sequences"]]
    assert rows == [0, 1, 2, 3]
    page = view(traces, sequences=[5, 1], names=["mine.*"])
    assert [one["row"] for one in facts_of(page)["runs"][0]["sequences"]] == [5, 1]
    np.testing.assert_allclose(
        numbers(array_of(page, "mine.board")), traces["mine.board"][[5, 1]], rtol=1e-3, atol=1e-6
    )


def test_a_wrong_answer_is_one_that_differs_from_a_target_that_is_there(facts_of):
    page = view(
        {"memo.h": np.ones((2, 3, 2))},
        inputs=[list("abc"), list("cba")],
        answers=np.array([[1, 2, 3], [1, 2, 3]]),
        targets=np.array([[1, 3, -1], [-1, -1, 0]]),
    )
    tokens = facts_of(page)["runs"][0]["tokens"]
    assert tokens["wrong"] == [[0, 1, 0], [0, 0, 1]]
    assert tokens["targets"] == [["1", "3", ""], ["", "", "0"]]


def test_large_numbers_are_whole_and_numbers_with_a_fraction_are_not_judged(facts_of):
    ids = np.full((1, 3), 12341)
    tokens = facts_of(view({"h": np.ones((1, 3, 2))}, answers=ids + 1, targets=ids))["runs"][0]["tokens"]
    assert tokens["answers"] == [["12342"] * 3]
    assert tokens["wrong"] == [[1, 1, 1]]
    tokens = facts_of(view({"h": np.ones((1, 1, 2))}, answers=[[-0.5]], targets=[[0.25]]))["runs"][0][
        "tokens"
    ]
    assert tokens["answers"] == [["-0.5"]]
    assert tokens["wrong"] == [[0]]


def test_a_page_has_the_timesteps_of_the_longest_loop(facts_of):
    traces = Traces(
        arrays={"encoder.h": np.ones((2, 6, 1)), "writer.h": np.ones((2, 10, 1))},
        loops={"encoder.": "encoder", "writer.": "writer"},
        reached={"encoder.mask": np.arange(6) < np.array([[2], [3]])},
    )
    assert [one["length"] for one in facts_of(view(traces))["runs"][0]["sequences"]] == [10, 10]


def test_tokens_may_be_vectors_and_functions_of_the_traces(array_of, facts_of):
    traces = Traces(arrays={"memo.h": np.ones((1, 2, 3))}, results=np.array([[[0.0, 1.0], [3.0, 2.0]]]))
    bits = np.array([[[1, 0], [-1, -1]]])
    page = view(traces, answers=lambda given: given.results.argmax(-1), targets=bits)
    assert facts_of(page)["runs"][0]["tokens"]["answers"] == [["1", "0"]]
    np.testing.assert_array_equal(numbers(array_of(page, "targets")), [[[1, 0], [np.nan, np.nan]]])


def test_weights_over_a_source_come_with_what_they_look_at(every_kind, array_of):
    page = view(every_kind())
    assert array_of(page, "look.weights")["source"] == "look_data"
    assert array_of(page, "look_data")["shape"] == [2, 1, 7, 2]


def test_a_sequence_ends_where_its_padding_begins(facts_of):
    mask = np.array([[True, True, False, False], [True, True, True, True]])
    traces = Traces(arrays={"memo.h": np.ones((2, 4, 3))}, reached={"mask": mask})
    assert [one["length"] for one in facts_of(view(traces))["runs"][0]["sequences"]] == [2, 4]


def test_an_intervention_is_seen_before_and_after_and_its_differences_keep_their_digits(array_of, facts_of):
    rng = np.random.default_rng(0)
    one = {"memo.h": rng.normal(size=(2, 5, 3)), "cells.0.h": rng.normal(size=(2, 5, 3))}
    other = {name: array.copy() for name, array in one.items()}
    other["memo.h"][1, 3:] += 1.2345e-6
    page = view(Intervention(before=Traces(arrays=one), after=Traces(arrays=other), at=3))
    facts = facts_of(page)
    assert [run["name"] for run in facts["runs"]] == ["before", "changed at 3"]
    assert facts["changes"] == {"memo.h": 3}
    (less,) = (array for array in facts["runs"][1]["arrays"] if array["kind"] == "less")
    assert less["name"] == "memo.h"  # the other is the same
    np.testing.assert_allclose(numbers(less), other["memo.h"] - one["memo.h"], rtol=1e-3, atol=1e-12)


def test_both_runs_keep_three_digits_and_their_difference_goes_first_where_there_is_no_room(facts_of):
    one, other = ({"memo.h": np.full((1, 2, 1), number)} for number in (1.0, 1.5e-6))
    arrays = facts_of(view(Recording(traces=one), Recording(traces=other)))["runs"][1]["arrays"]
    assert [array["kind"] for array in arrays] == ["scalar", "less"]
    np.testing.assert_allclose(numbers(arrays[0]), 1.5e-6, rtol=1e-3)
    rng = np.random.default_rng(0)
    one, other = ({"memo.h": rng.normal(size=(1, 100, 1000))} for _ in range(2))
    arrays = facts_of(view(Recording(traces=one), Recording(traces=other), max_bytes=700_000))["runs"][1][
        "arrays"
    ]
    assert [(array["kind"], array["form"]) for array in arrays] == [("vector", "half")]


def test_two_runs_of_other_shapes_are_seen_side_by_side(every_kind, facts_of):
    page = view(
        Recording(traces=every_kind(timesteps=5), name="short"),
        Recording(traces=every_kind(timesteps=9, seed=1), name="long"),
    )
    assert facts_of(page)["changes"] is None
    assert "less" not in {array["kind"] for array in facts_of(page)["runs"][1]["arrays"]}
    assert facts_of(page)["title"] == "short and long"


def test_what_a_recording_says_goes_before_what_is_said_of_all(facts_of):
    traces = {"memo.h": np.ones((1, 2, 3))}
    page = view(
        Recording(traces=traces, inputs=[["own", "own"]]), Recording(traces=traces), inputs=[["a", "b"]]
    )
    assert [run["tokens"]["inputs"][0][0] for run in facts_of(page)["runs"]] == ["own", "a"]


def test_mistakes_are_said():
    traces = {"memo.h": np.ones((2, 3, 4))}
    with pytest.raises(SuperloopError, match="no traces to view"):
        view({"memo.h": np.ones(3)})
    with pytest.raises(SuperloopError, match="from 0 to 1: 2"):
        view(traces, sequences=[2])
    with pytest.raises(SuperloopError, match="one or two recordings: 3"):
        view(traces, traces, traces)
    with pytest.raises(TraceError, match=r"did you mean 'memo\.h'"):
        view(traces, names="memo.i")
    with pytest.raises(TypeError, match="'input'"):
        view(traces, input=[["a"]])


def test_a_page_is_a_file_and_a_frame_in_a_notebook(tmp_path, elements):
    page = view({"memo.h": np.ones((1, 2, 3))}, title="<b>", path=tmp_path / "view.html")
    assert (tmp_path / "view.html").read_text(encoding="utf-8") == page.html
    frame = elements(page._repr_html_())
    assert [tag for tag, _ in frame.tags] == ["iframe"]
    assert frame.tags[0][1]["srcdoc"] == page.html
    assert "allow-same-origin" not in frame.tags[0][1]["sandbox"]
    assert len(repr(page)) < 100


def test_the_same_traces_make_the_same_page(every_kind):
    assert view(every_kind()).html == view(every_kind()).html
    assert attrs.evolve(view(every_kind())) == view(every_kind())


def test_the_same_infinity_in_both_runs_is_no_difference(facts_of):
    one, other = (Traces(arrays={"memo.log": np.array([[[-np.inf, number]]])}) for number in (1.0, 3.0))
    assert facts_of(view(one, one))["changes"] == {}
    facts = facts_of(view(one, other))
    (less,) = (array for array in facts["runs"][1]["arrays"] if array["kind"] == "less")
    np.testing.assert_array_equal(numbers(less).ravel(), [0, 2])
