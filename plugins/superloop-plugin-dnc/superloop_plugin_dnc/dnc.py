"""The differentiable neural computer."""

from typing import Any, NamedTuple

import tensorflow as tf

from superloop_core import Sequence, System
from superloop_core.builder import Tensor
from superloop_plugin_dnc.allocation import allocation, next_usage
from superloop_plugin_dnc.content import content_weights
from superloop_plugin_dnc.interface import interface
from superloop_plugin_dnc.links import follow, next_links


class DNCState(NamedTuple):
    """What is stored, how much the slots are in use, where it was written and read last, in which order."""

    memory: Tensor  # (batch, slots, width)
    usage: Tensor  # (batch, slots)
    write_weights: Tensor  # (batch, slots)
    read_weights: Tensor  # (batch, read_heads, slots)
    link: Tensor  # (batch, slots, slots)
    precedence: Tensor  # (batch, slots)


class UnlinkedState(NamedTuple):
    """The same without the order."""

    memory: Tensor  # (batch, slots, width)
    usage: Tensor  # (batch, slots)
    write_weights: Tensor  # (batch, slots)
    read_weights: Tensor  # (batch, read_heads, slots)


class DNC(System):
    """A memory that allocates the slots it writes to, and is read by content or in the order of the writes.

    ::

        u'  = (u + w - u w) prod_r (1 - f_r w_r)                  usage: what was written, less what is freed
        w'  = g_w (g_a a(u') + (1 - g_a) C(M, k_w, s_w))          where to write
        M'  = M (1 - w' e) + w' v                                 erase and write
        L'_ij = (1 - w'_i - w'_j) L_ij + w'_i p_j                 links, 0 on the diagonal
        p'  = (1 - sum w') p + w'                                 precedence: what was written last
        w_r' = m_1 L'^T w_r + m_2 L' w_r + m_3 C(M', k_r, s_r)    backward, forward, by content; of each head
        r   = w_r' M'                                             the reads, of all heads

    C is in ``content.py``, a in ``allocation.py``. The control is the interface vector, in the order of the
    settings' ``interface``. Without links there are no read modes: ``w_r' = C(M', k_r, s_r)``.

    Sparse links, after Rae et al., keep the ``top_k`` largest entries of each row of L' and of p'. Here it
    is the DNC's own L that is cut, and it serves both ways. What is cut is not stored sparsely: sparse links
    and reads by ``top_k`` change what is computed, and cost time rather than save it.

    References: Graves et al., 2016, https://doi.org/10.1038/nature20101; sparse links and reads: Rae et al.,
    2016, https://arxiv.org/abs/1610.09027

    Traces: ``memory`` ``(batch, slots, width)``, ``usage``, ``write_weights`` and ``precedence``
    ``(batch, slots)``, ``read_weights`` ``(batch, read_heads, slots)``, ``link`` ``(batch, slots, slots)``;
    ``allocation_gate`` and ``write_gate`` ``(batch, 1)``, ``free_gates`` ``(batch, read_heads)``,
    ``read_modes`` ``(batch, read_heads, 3)``: backward, forward, content.
    """

    learned_fields = ("memory",)

    @property
    def slot_names(self) -> dict[str, tuple[str, ...]]:
        """The modes of reading."""
        return {"read_modes": ("backward", "forward", "content")}

    def initial_state(self, sequence: Sequence) -> DNCState | UnlinkedState:
        """Start with an empty memory, nothing in use: zeros."""
        rows, config = sequence.batch_size, self.config
        slots, heads, linked = config.slots, config.read_heads, config.links != "none"
        shapes = [(rows, slots, config.width), (rows, slots), (rows, slots), (rows, heads, slots)]
        shapes += [(rows, slots, slots), (rows, slots)] if linked else []
        zeros = [tf.zeros(shape, self.variable_dtype) for shape in shapes]
        return DNCState(*zeros) if linked else UnlinkedState(*zeros)

    def step(
        self, control: Tensor, state: DNCState | UnlinkedState, constants: Any
    ) -> tuple[Tensor, DNCState | UnlinkedState, dict[str, Tensor]]:
        """Free and allocate, write, link, then read: control ``(batch, control_size)``."""
        del constants
        config, told = self.config, interface(control, self.config)

        usage = next_usage(state.usage, state.write_weights, state.read_weights, told.free_gates)
        by_content = content_weights(state.memory, told.write_key, told.write_strength)
        chosen = tf.concat([allocation(usage)[:, None], by_content], axis=1)  # (batch, 2, slots)
        shares = tf.stack([told.allocation_gate, 1 - told.allocation_gate], axis=-1)  # (batch, 1, 2)
        write_weights = tf.squeeze(tf.matmul(told.write_gate[:, None] * shares, chosen), axis=1)

        w = write_weights[:, :, None]  # (batch, slots, 1)
        memory = state.memory * (1 - w * told.erase[:, None]) + w * told.write_vector[:, None]

        read_weights = content_weights(memory, told.read_keys, told.read_strengths, config.top_k)
        named = {name: getattr(told, name) for name in ("allocation_gate", "write_gate", "free_gates")}
        links: tuple[Tensor, ...] = ()
        if config.links != "none":
            top_k = config.top_k if config.links == "sparse" else 0
            links = next_links(state.link, state.precedence, write_weights, top_k)
            backward, forward = follow(links[0], state.read_weights)
            m = tf.unstack(told.read_modes[..., None], axis=2)  # three, (batch, read_heads, 1)
            read_weights = m[0] * backward + m[1] * forward + m[2] * read_weights
            named["read_modes"] = told.read_modes

        read = tf.reshape(tf.matmul(read_weights, memory), [-1, self.output_size])
        new = type(state)(memory, usage, write_weights, read_weights, *links)
        return read, new, named
