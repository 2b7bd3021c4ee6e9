"""The nondeterministic stack."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_stacks.settings import NondeterministicStackConfig


class NondeterministicStackState(NamedTuple):
    """The stacks of all runs of the automaton.

    A *top* is a pair (symbol, state), numbered ``symbol * states + state``. A *link* is the top that lies
    right below another: one of ``age`` timesteps ago, numbered ``(age - 1) * tops + top``.
    """

    below: Tensor  # (batch, symbols, (capacity - 1) * states, links): for the tops of ages 0, 1, ...
    alpha: Tensor  # (batch, tops): the shares of the tops now
    vectors: Tensor  # (batch, capacity - 1, width): pushed 0, 1, ... timesteps ago


class NondeterministicStack(System[NondeterministicStackConfig]):
    """A pushdown automaton, all of whose runs are followed at once.

    At each timestep the control gives a weight to each action of the automaton in state q under the top
    symbol x: *push* y and go to state r, *replace* x by y and go to r, *pop* x and go to r. The read vector
    holds the weight of all runs that end in state r with the top symbol y, for each r and y. At t = 0 the
    state is 0, with symbol 0 at the bottom, which can be replaced but never popped. In the papers' letters::

        gamma[i->j] = [i = j-1] push_j + gamma[i->j-1] replace_j
                    + sum_{i<k<j-1} gamma[i->k] (gamma[k->j-1] pop_j)
        alpha[j]    = sum_{j-D<=i<j} alpha[i] gamma[i->j]
        read        = alpha[j] / sum alpha[j]

    alpha[i] gamma[i->j][qx->ry] is the weight of the runs that have (r, y) on top at j, right above the
    (q, x) that was on top at i. Such weights vanish or overflow in a few hundred timesteps. The state holds
    shares instead, all in [0, 1]: among the runs of a timestep, and among those with (r, y) on top::

        alpha'[j] = alpha[j] / sum alpha[j]
        below[i->j][qx->ry] = alpha[i][q,x] gamma[i->j][qx->ry] / alpha[j][r,y]

    This is exact: read vectors and gradients are those of the papers. A top with a share of less than 2e-13
    of all (3e-103 in float64) forgets what lies below it. Where no run is left, because all of them popped
    the bottom or a symbol older than D, the read vector is 0 from then on.

    ``capacity`` is the papers' window D: the stack knows the pushes of at most D timesteps ago, and those
    beneath a run of at most D timesteps. It is the size of the table, where i and j are counted back from
    now, so that older entries fall off its end. ``capacity = 0`` stores everything.

    With ``width > 0`` each push adds a vector, sigmoid(value); a replaced symbol keeps its vector. The read
    vector holds, for each state and symbol, the vector on top, weighted by the share of runs:
    ``sum_i v[i+1] alpha[i] gamma[i->j] / sum alpha[j]``. The paper's table zeta[i->j] equals
    gamma[i->j] v[i+1], since the top of such runs was pushed at i + 1; so only v is stored. The bottom's
    vector is learned.

    With ``bottom = "fixed"``, as in 2020, the sums go over i >= 0 only: the bottom of t = 0 is below other
    symbols and never on top again. A run that replaces it, or pops the last symbol above it, ends.

    The control holds, for each top, the scores of pushes (to each top), of replaces (to each top) and of
    pops (to each state), and then the value to push. Weights are their softmax for each top
    (``normalize``), or their exp.

    References: DuSell and Chiang, 2020, https://arxiv.org/abs/2010.04674 (softmax; read ``"symbols"``;
    bottom ``"fixed"``); 2022, https://arxiv.org/abs/2109.01982 (exp; read ``"states_and_symbols"``; the
    window); 2023, https://arxiv.org/abs/2210.01343 (vectors)

    Traces: ``alpha`` ``(batch, tops)``, where the top (symbol, state) is ``symbol * states + state``;
    ``below`` ``(batch, symbols, (capacity - 1) * states, (capacity - 1) * tops)``; ``vectors``
    ``(batch, capacity - 1, width)``, the newest first; ``push`` and ``replace`` ``(batch, tops, tops)`` and
    ``pop`` ``(batch, tops, states)``: for each top, the shares of the runs' actions at a timestep.
    """

    learned_fields = ()  # shares must sum to 1; the vector at the bottom is a weight

    trace_views: ClassVar = {
        "alpha": TraceView("weights", "top"),
        "below": TraceView("links", "symbol", "top", "link"),
        "vectors": TraceView("stack", "slot", "number"),
        "push": TraceView("actions", "top", "new top"),
        "replace": TraceView("actions", "top", "new top"),
        "pop": TraceView("actions", "top", "new state"),
    }

    def __init__(self, config: NondeterministicStackConfig):
        super().__init__(config)
        # The gradient has three divisions by shares, which must not overflow.
        self._tiny = float(np.cbrt(np.finfo(self.variable_dtype).tiny))

    @property
    def slot_names(self) -> dict[str, tuple[str, ...]]:
        """The tops: a symbol and, if there are several, a state."""
        states, symbols = self.config.states, self.config.symbols
        tops = (f"{symbol}, {state}" for symbol in range(symbols) for state in range(states))
        names = tuple(tops) if states > 1 else tuple(map(str, range(symbols)))
        return dict.fromkeys(("alpha", "push", "replace", "pop"), names)

    def build(self, input_size: int) -> None:
        """Make the vector at the bottom, before its sigmoid, if the bottom can be read."""
        del input_size
        if self.config.width and self.config.bottom == "replaceable":
            self.bottom = self.add_weight(shape=(self.config.width,), initializer="zeros", name="bottom")

    def initial_state(self, sequence: Sequence) -> NondeterministicStackState:
        """Start in state 0 with symbol 0 at the bottom, on top of a link that never existed.

        A fixed bottom is on top of no link.
        """
        config, batch = self.config, sequence.batch_size
        rows = config.capacity - 1 if config.capacity else sequence.timesteps_for("capacity")
        sizes = [(config.symbols, rows * config.states, rows * config.tops), (config.tops,)]
        below, alpha = (self._first_of_each_row(batch, size) for size in sizes)
        if config.bottom == "fixed":  # what replaces or uncovers a top takes its shares from this table
            below = ops.zeros_like(below)
        vectors = ops.zeros((batch, rows, config.width), dtype=self.variable_dtype)
        if config.width and config.bottom == "replaceable":
            first = tf.pad(tf.sigmoid(self.bottom)[None, None], [[0, 0], [0, rows - 1], [0, 0]])
            vectors = vectors + first
        return NondeterministicStackState(below, alpha, vectors)

    def _first_of_each_row(self, batch: Any, shape: tuple[Any, ...]) -> Tensor:
        """Return zeros with a 1 in the first place of each batch element."""
        one = tf.ones((batch, *[1] * len(shape)), self.variable_dtype)
        return tf.pad(one, [[0, 0], *([0, size - 1] for size in shape)])

    def step(
        self, control: Tensor, state: NondeterministicStackState, constants: Any
    ) -> tuple[Tensor, NondeterministicStackState, dict[str, Tensor]]:
        """Push, replace and pop in all runs, then read.

        The control is ``(batch, tops * (2 * tops + states) + width)``.
        """
        del constants
        config, (below, alpha, vectors) = self.config, state
        tops, states = config.tops, config.states

        scores, value = ops.split(control, [config.actions], axis=-1)
        weights = self._weights(ops.reshape(scores, (-1, tops, 2 * tops + states)), alpha)
        actions = alpha[:, :, None] * weights  # (batch, tops, 2 * tops + states)
        push, replace, pop = ops.split(actions, [tops, 2 * tops], axis=-1)

        # For each new top (y, r), what lies right below it: a top of now, or a link.
        stay_below = self._replaced(replace, below) + self._popped(pop, below)
        shares = ops.concatenate([self._pushed(push), stay_below], axis=-1)
        shares = shares * self._inverse(ops.sum(shares, axis=(1, 2, 3), keepdims=True))
        of_tops = ops.sum(shares, axis=-1, keepdims=True)  # (batch, symbols, states, 1): the new alpha

        newest = shares[..., :-tops] * self._inverse(of_tops)
        older = tf.pad(below[:, :, :-states, :-tops], [[0, 0], [0, 0], [0, 0], [tops, 0]])
        below = ops.concatenate([newest, older], axis=2)
        read, vectors = self._read(shares, of_tops, value, vectors)

        done = actions * self._inverse(ops.sum(actions, axis=(1, 2), keepdims=True))
        named = zip(("push", "replace", "pop"), ops.split(done, [tops, 2 * tops], axis=-1), strict=True)
        alpha = ops.reshape(of_tops, (-1, tops))
        return read, NondeterministicStackState(below, alpha, vectors), dict(named)

    def _pushed(self, push: Tensor) -> Tensor:
        """Put y on x: ``(batch, tops x, tops y)`` -> ``(batch, symbols, states, tops x)``."""
        config = self.config
        return ops.reshape(ops.transpose(push, (0, 2, 1)), (-1, config.symbols, config.states, config.tops))

    def _replaced(self, replace: Tensor, below: Tensor) -> Tensor:
        """Put y in the place of x; what lies below x stays: ``(batch, symbols, states, links)``."""
        config, links = self.config, ops.shape(below)[-1]
        replaced = tf.matmul(replace, self._below_tops(below), transpose_a=True)  # (batch, tops, links)
        return ops.reshape(replaced, (-1, config.symbols, config.states, links))

    def _popped(self, pop: Tensor, below: Tensor) -> Tensor:
        """Uncover what lies below x, in a state r: ``(batch, symbols, states, links)``."""
        config, links = self.config, ops.shape(below)[-1]
        symbols, states, tops = config.symbols, config.states, config.tops
        uncovered = tf.matmul(pop, self._below_tops(below), transpose_a=True)  # (batch, states, links)
        uncovered = ops.reshape(uncovered, (-1, states, links // tops, symbols, states))
        uncovered = ops.transpose(uncovered, (0, 3, 1, 2, 4))  # (batch, symbols, states r, ages, states)
        uncovered = ops.reshape(uncovered, (-1, symbols, states, links // symbols))
        # Links begin with age 1, and ``below`` with age 0, which no pop uncovers.
        uncovered = tf.pad(uncovered[..., :-states], [[0, 0], [0, 0], [0, 0], [states, 0]])
        return tf.matmul(uncovered, below)

    def _below_tops(self, below: Tensor) -> Tensor:
        """Return what lies below the tops of now, ``(batch, tops, links)``."""
        return ops.reshape(below[:, :, : self.config.states], (-1, self.config.tops, ops.shape(below)[-1]))

    def _read(self, shares: Tensor, of_tops: Tensor, value: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return the read vector ``(batch, output_size)``, and the vectors with the one that was pushed."""
        config = self.config
        read = of_tops  # (batch, symbols, states, 1)
        if config.width:
            known = ops.concatenate([tf.sigmoid(value)[:, None], vectors], axis=1)  # (batch, capacity, width)
            ages = ops.reshape(shares, (-1, config.tops, ops.shape(known)[1], config.tops))
            read = ops.sum(ages, axis=-1) @ known  # (batch, tops, width)
            read = ops.reshape(read, (-1, config.symbols, config.states, config.width))
            vectors = known[:, :-1]
        if config.read == "symbols":
            read = ops.sum(read, axis=2)
        return ops.reshape(read, (-1, config.output_size)), vectors

    def _weights(self, scores: Tensor, alpha: Tensor) -> Tensor:
        """Return the softmax of ``(batch, tops, actions)``, or the exp, scaled so that the largest is 1."""
        if self.config.normalize:
            return tf.nn.softmax(scores)
        there = (alpha > self._tiny)[:, :, None]
        shares = scores + ops.log(ops.maximum(alpha, self._tiny))[:, :, None]
        greatest = ops.max(ops.where(there, shares, scores.dtype.min), axis=(1, 2), keepdims=True)
        return ops.exp(tf.minimum(scores - tf.stop_gradient(greatest), -np.log(self._tiny)))

    def _inverse(self, share: Tensor) -> Tensor:
        """Return 1 / share, and 0 for negligible shares."""
        there = share > self._tiny
        return ops.where(there, 1 / ops.where(there, share, 1), 0)
