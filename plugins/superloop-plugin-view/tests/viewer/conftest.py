"""Fixtures of the viewer: traces of all kinds, and what a page holds."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from superloop_core import Traces, TraceView


class Elements(HTMLParser):
    """The start tags of a page, and the texts of its scripts."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.scripts = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script":
            self.scripts.append(data)


@pytest.fixture
def elements():
    return Elements


@pytest.fixture
def facts_of():
    """Reads what the page's script reads."""
    return lambda page: json.loads(Elements(page.html).scripts[0])


@pytest.fixture
def array_of(facts_of):
    """Finds an array on a page, as it was encoded."""

    def find(page, name, run=0):
        return next(array for array in facts_of(page)["runs"][run]["arrays"] if array["name"] == name)

    return find


@pytest.fixture
def ntm():
    return make_ntm


@pytest.fixture
def every_kind():
    return make_every_kind


def make_ntm(sequences=1, timesteps=100, slots=128, width=20, seed=0):
    """Traces of an NTM of random numbers, which cannot be compressed."""
    rng = np.random.default_rng(seed)
    shape = (sequences, timesteps)
    return Traces(
        arrays={
            "ntm.memory": rng.normal(size=(*shape, slots, width)).astype("float32"),
            "ntm.read_weights": rng.dirichlet(np.ones(slots), size=(*shape, 1)).astype("float32"),
            "ntm.write_weights": rng.dirichlet(np.ones(slots), size=(*shape, 1)).astype("float32"),
            "cells.0.h": rng.normal(size=(*shape, 100)).astype("float32"),
        },
        views={
            "ntm.memory": TraceView("slots", "slot", "number"),
            "ntm.read_weights": TraceView("weights", "head", "slot"),
            "ntm.write_weights": TraceView("weights", "head", "slot"),
        },
        states=frozenset(["ntm.memory", "ntm.read_weights"]),
    )


def make_every_kind(sequences=2, timesteps=12, seed=0):
    """Traces of each kind, as of several systems in one loop."""
    rng = np.random.default_rng(seed)

    def normal(*sizes):
        return rng.normal(size=(sequences, timesteps, *sizes))

    def shares(*sizes):
        return rng.dirichlet(np.ones(sizes[-1]), size=(sequences, timesteps, *sizes[:-1]))

    depth = np.arange(6)[:, None]
    stack = normal(2, 6, 3) * (depth < np.arange(timesteps)[:, None, None, None])
    stack[..., 4:, :] = 0
    return Traces(
        arrays={
            "memo.cells": stack,
            "memo.actions": shares(2, 3),
            "tape.cells": normal(1, 9, 2),
            "tape.displacement": normal(1),
            "dnc.memory": normal(5, 4),
            "dnc.usage": rng.random((sequences, timesteps, 5)),
            "dnc.read_weights": shares(2, 5),
            "dnc.link": shares(5, 5),
            "look.weights": shares(7),
            "look.position": np.cumsum(rng.random((sequences, timesteps, 1)), axis=1) / 2,
            "look.read": normal(4),
            "mine.board": normal(3, 4, 5),
            "mine.mood": rng.normal(size=(sequences, timesteps)),
            "cells.0.h": normal(16),
            "outputs": normal(3),
        },
        views={
            "memo.cells": TraceView("stack", "stack", "slot", "number"),
            "memo.actions": TraceView("actions", "stack", "action"),
            "tape.cells": TraceView("tape", "tape", "slot", "number"),
            "tape.displacement": TraceView("scalar", "tape"),
            "dnc.memory": TraceView("slots", "slot", "number"),
            "dnc.usage": TraceView("weights", "slot"),
            "dnc.read_weights": TraceView("weights", "head", "slot"),
            "dnc.link": TraceView("links", "slot", "slot before"),
            "look.weights": TraceView("weights", "data"),
            "look.position": TraceView("position", "place"),
        },
        labels={"memo.actions": ("push", "pop", "stay")},
        states=frozenset(["memo.cells", "tape.cells", "dnc.memory", "look.position"]),
        reached={"look_data": rng.normal(size=(sequences, 7, 2))},
    )
