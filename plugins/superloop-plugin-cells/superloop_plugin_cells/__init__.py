"""Cells: the original superloop's SGU, Keras's, four of the literature, a dense one, any that Keras knows."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from superloop_core import CellSpec, PartConfig, hookimpl
from superloop_plugin_cells import hookspecs
from superloop_plugin_cells.settings import (
    PACKAGES,
    DenseConfig,
    GruConfig,
    IndRnnConfig,
    KerasCellConfig,
    LayerNormLstmConfig,
    LstmConfig,
    MinGruConfig,
    PeepholeLstmConfig,
    RegisteredConfig,
    SguConfig,
    SimpleRnnConfig,
    UnitsConfig,
)

__all__ = [
    "PACKAGES",
    "DenseConfig",
    "GruConfig",
    "IndRnnConfig",
    "KerasCellConfig",
    "LayerNormLstmConfig",
    "LstmConfig",
    "MinGruConfig",
    "PeepholeLstmConfig",
    "RegisteredConfig",
    "SguConfig",
    "SimpleRnnConfig",
    "UnitsConfig",
]


@hookimpl
def superloop_add_hookspecs() -> ModuleType:
    """Specify ``superloop_keras_packages``."""
    return hookspecs


@hookimpl
def superloop_part_of(part: Any, kind: str) -> PartConfig | None:
    """Take a cell that is registered with Keras, as what ``use = "keras"`` makes."""
    from superloop_plugin_cells.registered import part_of

    return part_of(part) if kind == "cell" else None


@hookimpl
def superloop_register() -> Iterator[CellSpec]:
    """Register the ten cells."""
    yield CellSpec(
        name="sgu",
        config=SguConfig,
        factory="superloop_plugin_cells.sgu:sgu",
        summary="Simple gated unit of the original superloop (Csirmaz, 2018)",
        example={"units": 8},
        reference="Csirmaz, superloop, 2018, https://github.com/csirmaz/superloop",
    )
    yield CellSpec(
        name="lstm",
        config=LstmConfig,
        factory="superloop_plugin_cells.keras_cells:lstm",
        summary="Long short-term memory (Hochreiter and Schmidhuber, 1997)",
        example={"units": 8},
        reference="Hochreiter and Schmidhuber, 1997, https://doi.org/10.1162/neco.1997.9.8.1735",
    )
    yield CellSpec(
        name="gru",
        config=GruConfig,
        factory="superloop_plugin_cells.keras_cells:gru",
        summary="Gated recurrent unit (Cho et al., 2014)",
        example={"units": 8},
        reference="Cho et al., 2014, https://arxiv.org/abs/1406.1078",
    )
    yield CellSpec(
        name="simple_rnn",
        config=SimpleRnnConfig,
        factory="superloop_plugin_cells.keras_cells:simple_rnn",
        summary="Fully connected recurrent cell (Elman, 1990)",
        example={"units": 8},
        reference="Elman, 1990, https://doi.org/10.1207/s15516709cog1402_1",
    )
    yield CellSpec(
        name="peephole_lstm",
        config=PeepholeLstmConfig,
        factory="superloop_plugin_cells.peephole_lstm:peephole_lstm",
        summary="LSTM whose gates see the cell state (Gers and Schmidhuber, 2000)",
        example={"units": 8},
        reference="Gers, Schraudolph and Schmidhuber, 2002, https://www.jmlr.org/papers/v3/gers02a.html",
    )
    yield CellSpec(
        name="layer_norm_lstm",
        config=LayerNormLstmConfig,
        factory="superloop_plugin_cells.layer_norm_lstm:layer_norm_lstm",
        summary="LSTM with layer normalization (Ba, Kiros and Hinton, 2016)",
        example={"units": 8},
        reference="Ba, Kiros and Hinton, 2016, https://arxiv.org/abs/1607.06450",
    )
    yield CellSpec(
        name="min_gru",
        config=MinGruConfig,
        factory="superloop_plugin_cells.min_gru:min_gru",
        summary="Minimal gated unit, whose gate sees the inputs only (Feng et al., 2024)",
        example={"units": 8},
        reference="Feng et al., 2024, https://arxiv.org/abs/2410.01201",
    )
    yield CellSpec(
        name="indrnn",
        config=IndRnnConfig,
        factory="superloop_plugin_cells.indrnn:indrnn",
        summary="Independently recurrent units (Li et al., 2018)",
        example={"units": 8},
        reference="Li et al., 2018, https://arxiv.org/abs/1803.04831",
    )
    yield CellSpec(
        name="dense",
        config=DenseConfig,
        factory="superloop_plugin_cells.dense:dense",
        summary="Fully connected cell without a state, a feed-forward controller (Graves et al., 2014)",
        example={"units": 8},
        reference="Graves et al., 2014, https://arxiv.org/abs/1410.5401",
    )
    yield CellSpec(
        name="keras",
        config=RegisteredConfig,
        factory="superloop_plugin_cells.registered:registered",
        summary="Any cell in Keras's registry, of Keras or of an allowed package",
        example={"cell": "GRUCell", "config": {"units": 8}},
        reference="Keras, https://keras.io/api/layers/recurrent_layers/rnn",
    )
