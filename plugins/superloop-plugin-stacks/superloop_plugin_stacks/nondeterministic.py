"""The nondeterministic stack."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System
from superloop_core.builder import Tensor
from superloop_plugin_stacks import NondeterministicStackConfig
from superloop_plugin_stacks.capacity import timesteps_of


class NondeterministicStackState(NamedTuple):
    """What all runs of the automaton left on their stacks.

    A *top* is a pair (symbol, state), numbered ``symbol * states + state``. A *link* is what lies right
    below a top: the top of ``age`` timesteps ago that it was pushed on, numbered ``(age - 1) * tops + top``.
    """

    below: Tensor  # (batch, symbols, (capacity - 1) * states, links): of the tops of ages 0, 1, ...
    alpha: Tensor  # (batch, tops): of the tops now
    vectors: Tensor  # (batch, capacity - 1, width): pushed 0, 1, ... timesteps ago


class NondeterministicStack(System):
    """A pushdown automaton whose runs, as many as there are, are all followed at once.

    At each timestep the control gives weights to what the automaton may do in state q under the top
    symbol x: *push* y and go to state r, *replace* x by y and go to r, *pop* x and go to r. The stack
    answers with the weight of all runs that end in state r with the top symbol y, for each r and y. At
    t = 0 it is in state 0, with symbol 0 at the bottom, which can be replaced and never be popped. By
    the papers' names::

        gamma[i->j] = [i = j-1] push_j + gamma[i->j-1] replace_j
                    + sum_{i<k<j-1} gamma[i->k] (gamma[k->j-1] pop_j)
        alpha[j]    = sum_{j-D<=i<j} alpha[i] gamma[i->j]
        read        = alpha[j] / sum alpha[j]

    alpha[i] gamma[i->j][qx->ry] is the weight of the runs that have (r, y) on top at j, right above the
    (q, x) that was on top at i. Such weights vanish or overflow in a few hundred timesteps. What is kept are
    their shares, all in [0, 1], among the runs of a timestep and among those that have (r, y) on top then::

        alpha'[j] = alpha[j] / sum alpha[j]
        below[i->j][qx->ry] = alpha[i][q,x] gamma[i->j][qx->ry] / alpha[j][r,y]

    This is exact: every reading is the papers', and so is its gradient. What is on top with a share of
    less than 2e-13 of all (3e-103 in float64) forgets what lies below it. Where no run is left, because
    all of them popped the bottom or what D lost, the reading is 0 from then on.

    ``capacity`` is the papers' window D: the stack knows what was pushed at most D timesteps ago, or
    beneath a run no longer than that. It is one with the size of the table, where i and j are counted
    back from now: what is older falls off its end. ``capacity = 0`` keeps everything.

    With ``width > 0`` each push takes a vector along, sigmoid(value); a replaced symbol keeps the vector
    that it was pushed with. The reading is then, for each state and symbol, the vector on top, weighed
    by the share of runs: ``sum_i v[i+1] alpha[i] gamma[i->j] / sum alpha[j]``. (The paper's table
    zeta[i->j] is gamma[i->j] v[i+1] throughout, since the top of such runs was pushed at i + 1; so only v
    is kept.) The bottom's vector is learned.

    The control holds, for each top, the scores of pushes (to each top), of replaces (to each top) and of
    pops (to each state), and then the value to push. Weights are their softmax for each top
    (``normalize``), or their exp.

    References: DuSell and Chiang, 2020, https://arxiv.org/abs/2010.04674 (softmax; read ``"symbols"``);
    2022, https://arxiv.org/abs/2109.01982 (exp; read ``"states_and_symbols"``; the window); 2023,
    https://arxiv.org/abs/2210.01343 (vectors)

    Traces: ``alpha`` ``(batch, tops)``, where the top (symbol, state) is ``symbol * states + state``;
    ``below`` ``(batch, symbols, (capacity - 1) * states, (capacity - 1) * tops)``; ``vectors``
    ``(batch, capacity - 1, width)``, the newest first; ``push`` and ``replace`` ``(batch, tops, tops)`` and
    ``pop`` ``(batch, tops, states)``, for each top the shares of all that the runs do at a timestep.
    """

    learned_fields = ()  # shares must sum to 1; of the vectors, the bottom's is learned as it is

    def __init__(self, config: NondeterministicStackConfig):
        super().__init__(config)
        # A gradient holds three quotients by shares, which must not overflow.
        self._tiny = float(np.cbrt(np.finfo(self.variable_dtype).tiny))

    @property
    def slot_names(self) -> dict[str, tuple[str, ...]]:
        """The tops: a symbol, and where there are several states, a state."""
        states, symbols = self.config.states, self.config.symbols
        tops = (f"{symbol}, {state}" for symbol in range(symbols) for state in range(states))
        names = tuple(tops) if states > 1 else tuple(map(str, range(symbols)))
        return dict.fromkeys(("alpha", "push", "replace", "pop"), names)

    def build(self, input_size: int) -> None:
        """Make the vector at the bottom, before its sigmoid."""
        del input_size
        if self.config.width:
            self.bottom = self.add_weight(shape=(self.config.width,), initializer="zeros", name="bottom")

    def initial_state(self, sequence: Sequence) -> NondeterministicStackState:
        """Start with symbol 0 at the bottom, in state 0, on top of what never was."""
        config, batch = self.config, sequence.batch_size
        rows = config.capacity - 1 if config.capacity else timesteps_of(sequence)
        sizes = [(config.symbols, rows * config.states, rows * config.tops), (config.tops,)]
        below, alpha = (self._first_of_each_row(batch, size) for size in sizes)
        vectors = ops.zeros((batch, rows, config.width), dtype=self.variable_dtype)
        if config.width:
            first = tf.pad(tf.sigmoid(self.bottom)[None, None], [[0, 0], [0, rows - 1], [0, 0]])
            vectors = vectors + first
        return NondeterministicStackState(below, alpha, vectors)

    def _first_of_each_row(self, batch: Any, shape: tuple[Any, ...]) -> Tensor:
        """One 1 in each row, at its first place, and zeros."""
        one = tf.ones((batch, *[1] * len(shape)), self.variable_dtype)
        return tf.pad(one, [[0, 0], *([0, size - 1] for size in shape)])

    def step(
        self, control: Tensor, state: NondeterministicStackState, constants: Any
    ) -> tuple[Tensor, NondeterministicStackState, dict[str, Tensor]]:
        """Let every run do what it may, and read: control ``(batch, tops * (2 * tops + states) + width)``."""
        del constants
        config, (below, alpha, vectors) = self.config, state
        symbols, states, tops = config.symbols, config.states, config.tops
        links = ops.shape(below)[-1]

        scores, value = ops.split(control, [config.actions], axis=-1)
        weights = self._weights(ops.reshape(scores, (-1, tops, 2 * tops + states)), alpha)
        actions = alpha[:, :, None] * weights
        push, replace_pop = ops.split(actions, [tops], axis=-1)

        newest = ops.reshape(below[:, :, :states], (-1, tops, links))
        moved = tf.matmul(replace_pop, newest, transpose_a=True)  # (batch, tops + states, links)
        replaced, uncovered = ops.split(moved, [tops], axis=1)
        # What a pop uncovers is on top again, and what lies below that is known by its age. Links begin
        # with age 1, and ``below`` with 0, which no pop uncovers.
        uncovered = ops.reshape(uncovered, (-1, states, links // tops, symbols, states))
        uncovered = ops.transpose(uncovered, (0, 3, 1, 2, 4))
        uncovered = ops.reshape(uncovered, (-1, symbols, states, links // symbols))
        uncovered = tf.pad(uncovered[..., :-states], [[0, 0], [0, 0], [0, 0], [states, 0]])
        popped = tf.matmul(uncovered, below)  # (batch, symbols, states, links)

        pushed = ops.reshape(ops.transpose(push, (0, 2, 1)), (-1, symbols, states, tops))
        shares = ops.reshape(replaced, (-1, symbols, states, links)) + popped
        shares = ops.concatenate([pushed, shares], axis=-1)  # (batch, symbols, states, tops + links)
        shares = shares * self._inverse(ops.sum(shares, axis=(1, 2, 3), keepdims=True))
        of_tops = ops.sum(shares, axis=-1, keepdims=True)  # (batch, symbols, states, 1)

        newest = shares[..., :-tops] * self._inverse(of_tops)
        older = tf.pad(below[:, :, :-states, :-tops], [[0, 0], [0, 0], [0, 0], [tops, 0]])
        below = ops.concatenate([newest, older], axis=2)
        alpha = ops.reshape(of_tops, (-1, tops))
        read = of_tops
        if config.width:
            known = ops.concatenate([tf.sigmoid(value)[:, None], vectors], axis=1)  # (batch, capacity, width)
            ages = ops.sum(ops.reshape(shares, (-1, tops, links // tops + 1, tops)), axis=-1)
            read = ops.reshape(ages @ known, (-1, symbols, states, config.width))
            vectors = known[:, :-1]
        if config.read == "symbols":
            read = ops.sum(read, axis=2)
        read = ops.reshape(read, (-1, config.output_size))
        done = actions * self._inverse(ops.sum(actions, axis=(1, 2), keepdims=True))
        named = zip(("push", "replace", "pop"), ops.split(done, [tops, 2 * tops], axis=-1), strict=True)
        return read, NondeterministicStackState(below, alpha, vectors), dict(named)

    def _weights(self, scores: Tensor, alpha: Tensor) -> Tensor:
        """The softmax of ``(batch, tops, actions)``, or their exp, divided so that some run has one of 1."""
        if self.config.normalize:
            return tf.nn.softmax(scores)
        there = (alpha > self._tiny)[:, :, None]
        shares = scores + ops.log(ops.maximum(alpha, self._tiny))[:, :, None]
        greatest = ops.max(ops.where(there, shares, scores.dtype.min), axis=(1, 2), keepdims=True)
        return ops.exp(tf.minimum(scores - tf.stop_gradient(greatest), -np.log(self._tiny)))

    def _inverse(self, share: Tensor) -> Tensor:
        """1 / share, and 0 of what is hardly there."""
        there = share > self._tiny
        return ops.where(there, 1 / ops.where(there, share, 1), 0)
