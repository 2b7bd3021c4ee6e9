"""Fixtures of pictures: sequences that are annotated, traces, and the panels that are drawn of them."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from superloop_plugin_view import choose_traces, plot

from superloop_core import Traces
from superloop_core.task import Annotation

TIMESTEPS, SLOTS = 5, 3


class Pointing:
    """Annotates a target slot for each sequence; every second one is correct."""

    def __init__(self, system="tape"):
        self.system = system

    def annotate(self, row):
        slots = tuple(f"{row}{slot}" for slot in range(SLOTS))
        return Annotation(title=f"row {row}", system=self.system, slots=slots, target=row % SLOTS)


@pytest.fixture
def pointing():
    return Pointing


@pytest.fixture
def attention():
    """Makes the traces of an attention of 3 slots in 5 timesteps."""

    def make(rows):
        rng = np.random.default_rng(0)
        position = np.cumsum(rng.random((rows, TIMESTEPS, 1)), axis=1) / 2
        return {
            "cells.0.h": rng.normal(size=(rows, TIMESTEPS, 7)),
            "outputs": rng.normal(size=(rows, TIMESTEPS, 7)),
            "tape.control": rng.normal(size=(rows, TIMESTEPS, 1)),
            "tape.position": position,
            "tape.read": rng.normal(size=(rows, TIMESTEPS, 4)),
            "tape.weights": 1 / (1 + (position - np.arange(SLOTS)) ** 2),
        }

    return make


@pytest.fixture
def registers():
    """Makes the traces of a memory of 4 slots of width 2."""

    def make(rows):
        rng = np.random.default_rng(1)
        return {
            "scratch.memory": rng.normal(size=(rows, TIMESTEPS, 4, 2)),
            "scratch.write_weights": rng.random((rows, TIMESTEPS, 4)),
        }

    return make


@pytest.fixture
def draw(tmp_path):
    """Draws traces into ``picture.png``, and gives the figure and the traces left out."""

    def run(task, arrays, slot_names=None, lengths=None, views=None, **options):
        rows = len(next(iter(arrays.values())))
        reached = {} if lengths is None else {"mask": np.arange(TIMESTEPS) < lengths[:, None]}
        traces = Traces(arrays=arrays, reached=reached, views=views or {})
        figure = plot(
            traces,
            correct=[row % 2 == 0 for row in range(rows)],
            annotations=[task.annotate(row) for row in range(rows)],
            labels=slot_names,
            path=tmp_path / "picture.png",
            **options,
        )
        return figure, choose_traces(traces).left_out

    return run


@pytest.fixture
def drawn(draw, tmp_path):
    """Draws traces, checks the file, and gives the heat maps."""

    def run(task, traces, slot_names=None):
        figure, _ = draw(task, traces, slot_names)
        pixels = imread(tmp_path / "picture.png")
        width, height = figure.get_size_inches()
        assert pixels.shape[:2] == (round(height * 150), round(width * 150))
        assert len(np.unique(pixels[::4, ::4, :3].reshape(-1, 3), axis=0)) > 20
        assert isinstance(figure, Figure)
        return [axes for axes in figure.axes if axes.images]

    return run
