"""Keras's own recurrent cells, from settings."""

import keras

from superloop_plugin_cells import KerasCellConfig


def lstm(settings: KerasCellConfig) -> keras.layers.LSTMCell:
    """Long short-term memory; its state is ``h`` and ``c``, each ``(batch, units)``.

    Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997,
    https://doi.org/10.1162/neco.1997.9.8.1735
    """
    return _made(keras.layers.LSTMCell, settings)


def gru(settings: KerasCellConfig) -> keras.layers.GRUCell:
    """Gated recurrent unit; its state is ``h``, ``(batch, units)``.

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014,
    https://arxiv.org/abs/1406.1078
    """
    return _made(keras.layers.GRUCell, settings)


def simple_rnn(settings: KerasCellConfig) -> keras.layers.SimpleRNNCell:
    """Fully connected cell with tanh; its state is ``h``, ``(batch, units)``.

    Source: Elman, "Finding Structure in Time", 1990, https://doi.org/10.1207/s15516709cog1402_1
    """
    return _made(keras.layers.SimpleRNNCell, settings)


def _made(cell: type, settings: KerasCellConfig) -> keras.layers.Layer:
    return cell(settings.units, dropout=settings.dropout, recurrent_dropout=settings.recurrent_dropout)
