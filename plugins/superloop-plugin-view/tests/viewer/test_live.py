"""The page that a server changes: what it answers, and to whom."""

import http.client
import json
import re
import threading
from urllib.parse import urlencode, urlsplit

import keras
import numpy as np
import pytest
from superloop_plugin_view import view, what_if

import superloop_core
from superloop_core import Superloop, SuperloopError

X = np.random.default_rng(0).normal(size=(3, 6, 2)).astype("float32")
SET = {"kind": "set", "at": "2", "set": "memo.cells", "entry": "0, 1", "value": "3, -1", "row": "1"}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    stack = {"use": "stack", "id": "memo", "depth": 4, "width": 2}
    loop = Superloop(inputs=2, outputs=2, cells=[{"use": "lstm", "units": 3}], systems=[stack])
    symbols = keras.Input((None, 2))
    return keras.Model(symbols, loop(symbols))


@pytest.fixture(scope="module")
def live(model):
    with what_if(model, X) as server:
        yield server


@pytest.fixture
def ask(live):
    """Sends a request; returns the status and the text."""

    def send(fields=None, path=None, **headers):
        address = urlsplit(live.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        body = None if fields is None else fields if isinstance(fields, str) else urlencode(fields)
        form = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        connection.request("POST" if body else "GET", path or address.path, body, form | headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    return send


def facts(text):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text)[1])


def arrays(one):
    return [run["arrays"] for run in one["runs"]]


def test_it_begins_with_the_page_of_the_model_and_a_panel(model, ask):
    status, text = ask()
    assert status == 200
    assert arrays(facts(text)) == arrays(facts(view(superloop_core.trace(model, X)).html))
    options = set(re.findall(r"<option[^>]*>([^<]*)</option>", text.partition("</form>")[0]))
    assert {"memo.cells", "memo.read", "memo.control", "cells.0.h", "memo", "all", "0", "2"} <= options
    assert "form-action 'self'" in text


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        (SET, {"set": {"memo.cells": lambda old: put(old, (0, 1), [3, -1])}, "rows": [1]}),
        (
            SET | {"entry": "0, 0, 1", "value": "2.5", "row": "all"},
            {"set": {"memo.cells": lambda old: put(old, (0, 0, 1), 2.5)}},
        ),
        (SET | {"set": "memo.control", "entry": "", "value": "0"}, {"set": {"memo.control": 0}, "rows": [1]}),
        ({"kind": "off", "at": "2", "off": "memo", "row": "0"}, {"off": ["memo"], "rows": [0]}),
        ({"kind": "swap", "at": "2", "swap": "memo", "row": "0", "other": "2"}, {"swap": {"memo": (0, 2)}}),
    ],
    ids=["a row", "a number", "a control", "off", "swap"],
)
def test_a_change_shows_what_intervene_gives_to_the_last_bit(fields, change, model, ask):
    status, text = ask(fields)
    assert status == 200
    expected = facts(view(superloop_core.intervene(model, X, at=2, **change)).html)
    shown = facts(text)
    assert arrays(shown) == arrays(expected)
    assert shown["changes"] == expected["changes"] != {}
    assert [run["name"] for run in shown["runs"]] == ["before", "changed at 2"]
    assert shown["at"] == 2


def put(old, places, value):
    new = old.copy()
    new[(slice(None), *places)] = value
    return new


def test_a_number_set_to_what_it_was_changes_nothing(model, ask):
    was = float(superloop_core.trace(model, X)["memo.cells"][1, 2, 0, 0, 0])
    _, text = ask(SET | {"entry": "0, 0, 0", "value": repr(was)})
    assert facts(text)["changes"] == {}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"value": "much"}, "value must be a number, or numbers separated by commas: &#x27;much&#x27;"),
        ({"value": "1, 2, 3"}, "the entry (0, 1) has the shape (2), which 3 numbers do not fit"),
        ({"entry": "0, 4"}, "has the shape (1, 4, 2), without an entry (0, 4)"),
        ({"entry": "-1"}, "entry must be a whole number from 0 on: &#x27;-1&#x27;"),
        ({"at": "6"}, "at must be from 0 to 5, the last timestep: 6"),
        ({"at": "soon"}, "timestep must be a whole number from 0 on: &#x27;soon&#x27;"),
        ({"set": "memo.celsl"}, "did you mean &#x27;memo.cells&#x27;?"),
        ({"kind": "all"}, "kind must be one of set, off, swap: &#x27;all&#x27;"),
        ({"kind": "swap", "swap": "memo", "row": "1", "other": "1"}, "two different sequences"),
        ({"at": "1" * 5000}, "timestep must be a whole number from 0 on"),
        (
            {"kind": "swap", "swap": "memo", "row": "all", "other": "1"},
            "two different sequences: choose one, and not all",
        ),
    ],
)
def test_what_cannot_be_done_is_told_and_the_fields_stay(wrong, told, ask):
    status, text = ask(SET | wrong)
    assert (status, len(facts(text)["runs"])) == (400, 1)
    assert told in re.search(r'role="alert">(.*?)</p>', text)[1]
    if "value" in wrong:
        assert f'value="{wrong["value"]}"' in text


def test_only_pages_of_this_server_may_ask(live, ask):
    port = urlsplit(live.url).port
    assert ask(path="/")[0] == ask(path="/guess/")[0] == 404
    assert ask(Host=f"evil.example:{port}")[0] == 404
    assert ask(SET, Origin="http://evil.example")[0] == 404
    assert ask(SET, Origin=f"http://127.0.0.1:{port}")[0] == 200
    assert ask("x" * 100_001)[0] == 413
    assert "What if" not in ask(path="/")[1]


def test_a_file_has_no_panel(model):
    page = view(superloop_core.trace(model, X)).html
    assert "form-action 'none'" in page
    assert "<form" not in page


def test_a_server_ends_and_its_port_is_free_again(model):
    live = what_if(model, X)
    port = urlsplit(live.url).port
    with pytest.raises(SuperloopError, match=f"port {port} cannot be used: .*; choose another, or 0"):
        what_if(model, X, port=port)
    threading.Timer(0.1, live._server.shutdown).start()
    live.wait()
    what_if(model, X, port=port).close()
    assert live.url in live._repr_html_()


def test_what_a_state_cannot_hold_and_what_fails_in_the_model_is_told():
    loop = Superloop(
        inputs=2,
        outputs=1,
        cells=[{"use": "dense", "units": 2}],
        systems=[{"use": "sam", "id": "m", "slots": 6}],
    )
    loop(X)
    with what_if(loop, X) as live:
        form = {"kind": "set", "at": "1", "row": "all", "entry": ""}
        for value, told in [
            ("0.5", "holds numbers of int32, and 0.5 is none"),
            ("1e12", "holds numbers of int32, and 1000000000000.0 is none"),
            ("nan", "holds numbers of int32, and nan is none"),
            ("9999", "Error: "),
        ]:
            status, text = live.answer(urlencode(form | {"set": "m.read_slots", "value": value}))
            assert (status, told in text) == (400, True), value
        assert live.answer(urlencode(form | {"set": "m.read_slots", "value": "3"}))[0] == 200


def test_the_padding_cannot_be_changed_and_fixed_answers_are_refused(model):
    masked = keras.Sequential([keras.layers.Masking(), *model.layers[1:]])
    x = X.copy()
    x[1, 4:] = 0
    with what_if(masked, x) as live:
        status, text = live.answer(urlencode(SET | {"at": "4"}))
        assert (status, "timestep 4 is padding of sequence 1, which has 4 timesteps" in text) == (400, True)
        assert live.answer(urlencode(SET | {"at": "4", "row": "0"}))[0] == 200
    with pytest.raises(SuperloopError, match="'answers' would stay the same after a change"):
        what_if(model, X, answers=np.zeros((3, 6)))
