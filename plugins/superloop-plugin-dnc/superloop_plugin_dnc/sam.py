"""Sparse access memory."""

from typing import Any, ClassVar, NamedTuple

import tensorflow as tf

from superloop_core import Sequence, System, TraceView, checkpoint
from superloop_core.builder import Tensor
from superloop_plugin_dnc.content import EPSILON
from superloop_plugin_dnc.settings import SAMConfig


class SAMState(NamedTuple):
    """The memory, when each slot was accessed last, and which slots were read last."""

    memory: Tensor  # (batch, slots, width)
    accessed: Tensor  # (batch, slots) of int32: the timestep of the last access, 0: never
    read_slots: Tensor  # (batch, heads, top_k) of int32
    read_weights: Tensor  # (batch, heads, top_k)
    timestep: Tensor  # (batch,) of int32


class SAM(System[SAMConfig]):
    """A memory that reads a few slots, and writes to these or to the one that was unused for longest.

    Each head reads ``top_k`` slots, S, and writes to those that it read in the last timestep or to a slot l
    of its own, the one least recently accessed (the next one for the next head; among equals, the first)::

        w     = alpha (gamma w_r + (1 - gamma) 1_l)           write weighting; w_r: of the last read
        M'    = M (1 - 1_l 1^T) + w a^T                       slot l is emptied first
        S     = the top_k slots with the largest cos(q, M'_i)
        w_r'  = softmax_S(beta cos(q, M'_i))                  read weighting, 0 outside of S
        r     = sum_S w_r'_i M'_i

    With several heads, all slots l are emptied, then all heads add; then all read. The control holds the
    queries q and the words a of all heads, then beta, alpha and gamma: alpha and gamma are sigmoids, beta =
    1 + softplus. An access is a timestep in which the weights on a slot, of all reads and writes, sum to more
    than ``threshold``. The choice of slots is a constant for the gradient, as in the paper. The cosine is 0
    for a slot or a query of zeros, and has a gradient: see ``content.py``.

    The paper finds similar slots by an approximate index, restores the memory in the backward pass by
    undoing sparse writes, and so takes a time that does not depend on the number of slots. Here all slots
    are compared, exactly, without a gradient, and the loop saves the memory at every timestep for its
    backward pass. But slots that nothing has touched are all alike, and the first of them is taken: in T
    timesteps at most T (heads + top_k) slots are touched. With ``slots = 0`` the memory has that many: the
    results are those of any larger number, and the time depends on T only.

    Reads, writes, erasure and accesses are those of the paper: its equations 4, 5 and 8 and its second
    definition of usage, with delta = ``threshold``. Four details are a choice:

    - beta is that of the NTM. The paper's controller computes no strength.
    - Read weights sum to 1 over S. The paper truncates weights that are normalized over all slots, but its
      index finds S only.
    - Equation 6 takes the slot with the smallest U. If U is the time since the last access, that is the slot
      accessed last. The text says the least recently accessed slot, which has the largest U: so it is here.
    - The equations have one head, the experiments 4. An access here counts the weights of all heads.

    Reference: Rae et al., 2016, https://arxiv.org/abs/1610.09027

    Traces: ``memory`` ``(batch, slots, width)``, ``accessed`` ``(batch, slots)``, ``read_slots`` and
    ``read_weights`` ``(batch, heads, top_k)``, ``timestep`` ``(batch,)``; ``write_slots``, l,
    ``write_gate``, alpha, and ``reuse_gate``, gamma, ``(batch, heads)``.
    """

    trace_views: ClassVar = {
        "memory": TraceView("slots", "slot", "number"),
        "accessed": TraceView("weights", "slot"),
        "read_slots": TraceView("scalar", "head", "choice"),
        "read_weights": TraceView("scalar", "head", "choice"),
        "write_slots": TraceView("scalar", "head"),
        "write_gate": TraceView("scalar", "head"),
        "reuse_gate": TraceView("scalar", "head"),
    }

    learned_fields = ("memory",)

    def initial_state(self, sequence: Sequence) -> SAMState:
        """Return an empty memory, of which nothing was read.

        Raises:
            SuperloopError: the number of slots depends on that of the timesteps, which is not known.
        """
        config, batch, dtype = self.config, sequence.batch_size, self.variable_dtype
        slots = config.slots or sequence.timesteps_for("slots") * (config.heads + config.top_k)
        return SAMState(
            memory=tf.zeros((batch, slots, config.width), dtype),
            accessed=tf.zeros((batch, slots), tf.int32),
            read_slots=tf.zeros((batch, config.heads, config.top_k), tf.int32),
            read_weights=tf.zeros((batch, config.heads, config.top_k), dtype),
            timestep=tf.zeros((batch,), tf.int32),
        )

    def step(
        self, control: Tensor, state: SAMState, constants: Any
    ) -> tuple[Tensor, SAMState, dict[str, Tensor]]:
        """Write, then read: control ``(batch, control_size)``."""
        del constants
        config = self.config
        heads, width = config.heads, config.width
        q, a, beta, gates = tf.split(control, [heads * width, heads * width, heads, 2 * heads], axis=-1)
        q, a = (tf.reshape(vectors, (-1, heads, width)) for vectors in (q, a))
        alpha, gamma = tf.split(tf.sigmoid(gates), 2, axis=-1)  # (batch, heads)

        unused = first_largest(tf.cast(-state.accessed, control.dtype), heads)  # (batch, heads)
        to_read = (alpha * gamma)[:, :, None] * state.read_weights  # (batch, heads, top_k)
        to_unused = alpha * (1 - gamma)  # (batch, heads)
        written = tf.concat([flat(state.read_slots), unused], axis=1)  # (batch, heads (top_k + 1))
        of_read = tf.reshape(to_read[..., None] * a[:, :, None], (-1, heads * config.top_k, width))
        added = tf.concat([of_read, to_unused[:, :, None] * a], axis=1)
        memory, slots, found = access(state.memory, unused, written, added, q, config.top_k)
        found = checkpoint(found)  # (batch, heads, top_k, width)

        lengths = tf.math.rsqrt(tf.reduce_sum(q * q, -1) + EPSILON)[:, :, None]
        lengths *= tf.math.rsqrt(tf.reduce_sum(found * found, -1) + EPSILON)  # (batch, heads, top_k)
        cosines = tf.reduce_sum(found * q[:, :, None], -1) * lengths
        weights = tf.nn.softmax((1 + tf.math.softplus(beta))[:, :, None] * cosines)
        read = tf.reshape(tf.reduce_sum(weights[..., None] * found, axis=2), (-1, heads * width))

        accessed, timestep = state.accessed, state.timestep + 1
        used = tf.concat([flat(to_read), to_unused, flat(weights)], axis=1)
        none = tf.zeros(tf.shape(accessed), used.dtype)
        touched = rows(tf.concat([written, flat(slots)], axis=1))
        total = tf.tensor_scatter_nd_add(none, touched, tf.stop_gradient(used))
        accessed = tf.where(total > config.threshold, timestep[:, None], accessed)
        traces = {"write_slots": unused, "write_gate": alpha, "reuse_gate": gamma}
        return read, SAMState(memory, accessed, slots, weights, timestep), traces


def access(
    memory: Tensor, unused: Tensor, written: Tensor, added: Tensor, q: Tensor, top_k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Empty slots, add to slots, then find those similar to queries.

    Its gradient changes a few rows of the gradient of the memory, and makes no other tensor of that size.

    Args:
        memory: ``(batch, slots, width)``.
        unused: slots to empty, ``(batch, heads)``, of which no two are equal.
        written: slots to add to, ``(batch, n)``; the same one may be there more than once.
        added: what to add, ``(batch, n, width)``.
        q: queries ``(batch, heads, width)``.
        top_k: number of slots to find for each query.

    Returns:
        the new memory; the slots found ``(batch, heads, top_k)``, and what is in them.
    """
    q = tf.stop_gradient(q)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(memory: Tensor, added: Tensor) -> Any:
        emptied = tf.gather(memory, unused, batch_dims=1)  # (batch, heads, width)
        changes = tf.concat([-emptied, added], axis=1)
        memory = tf.tensor_scatter_nd_add(memory, rows(tf.concat([unused, written], axis=1)), changes)
        slots = most_similar(memory, q, top_k)
        found = tf.gather(memory, slots, batch_dims=1)  # (batch, heads, top_k, width)

        def gradient(of_memory: Tensor, _: Any, of_found: Tensor) -> tuple[Tensor, Tensor]:
            of_found = tf.reshape(of_found, (-1, flat(slots).shape[1], of_found.shape[-1]))
            of_memory = tf.tensor_scatter_nd_add(of_memory, rows(flat(slots)), of_found)
            of_added = tf.gather(of_memory, written, batch_dims=1)
            return tf.tensor_scatter_nd_update(of_memory, rows(unused), tf.zeros_like(emptied)), of_added

        return (memory, slots, found), gradient

    memory, slots, found = run(memory, added)
    return memory, slots, found


def most_similar(memory: Tensor, q: Tensor, k: int) -> Tensor:
    """Return the k slots whose cosines with each query are the largest, ``(batch, heads, k)`` of int32."""
    scores = tf.matmul(q, memory, transpose_b=True)  # (batch, heads, slots)
    scores *= tf.math.rsqrt(tf.reduce_sum(memory * memory, axis=-1) + EPSILON)[:, None]
    return first_largest(scores, k)


def first_largest(x: Tensor, k: int) -> Tensor:
    """Return the places of the k largest of the last axis, the first among equals.

    They are saved for the backward pass, which then does not search again.
    """
    return tf.cast(checkpoint(tf.cast(tf.math.top_k(x, k).indices, x.dtype)), tf.int32)


def flat(x: Tensor) -> Tensor:
    """Return ``(batch, heads, top_k)`` as ``(batch, heads top_k)``."""
    return tf.reshape(x, (-1, x.shape[1] * x.shape[2]))


def rows(slots: Tensor) -> Tensor:
    """Return places ``(batch, n)`` of slots as places in tensors with a batch axis, ``(batch, n, 2)``."""
    of_batch = tf.broadcast_to(tf.range(tf.shape(slots)[0])[:, None], tf.shape(slots))
    return tf.stack([of_batch, slots], axis=-1)
