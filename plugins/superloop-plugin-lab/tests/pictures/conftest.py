"""Fixtures of pictures: a task that annotates, traces, and the panels that are drawn of them."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from superloop_plugin_lab.pictures.traces import draw_traces

from superloop_core.task import Annotation, Batch

TIMESTEPS, SLOTS = 5, 3


class Pointing:
    """A task with a target slot for each sequence; every second one is correct."""

    traces = ()

    def __init__(self, system="tape"):
        self.system = system

    def correct(self, targets, results):
        return np.arange(len(targets)) % 2 == 0

    def annotate(self, batch, row):
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
        position = np.cumsum(rng.random((rows, TIMESTEPS, 1)), axis=1)
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
def figures(monkeypatch):
    """Every figure that is saved."""
    saved = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, path: (saved.append(self), save(self, path)))
    return saved


@pytest.fixture
def draw(tmp_path, figures):
    """Draws traces, and gives the figure and the traces left out."""

    def run(task, traces, slot_names=None, **inputs):
        rows = len(next(iter(traces.values())))
        batch = Batch(inputs=inputs, targets=np.zeros(rows))
        left_out = draw_traces(task, batch, traces, tmp_path / "picture.png", slot_names)
        return figures[-1], left_out

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
        return [axes for axes in figure.axes if axes.images]

    return run
