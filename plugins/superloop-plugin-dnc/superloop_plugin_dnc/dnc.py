"""The differentiable neural computer."""

from typing import Any, ClassVar, NamedTuple

import tensorflow as tf

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_dnc.allocation import allocation, next_usage
from superloop_plugin_dnc.content import content_weights
from superloop_plugin_dnc.interface import interface
from superloop_plugin_dnc.links import Links, follow, next_links
from superloop_plugin_dnc.settings import DNCConfig


class DNCState(NamedTuple):
    """The memory, the usage of its slots, where it was written and read last, and in which order."""

    memory: Tensor  # (batch, slots, width)
    usage: Tensor  # (batch, slots)
    write_weights: Tensor  # (batch, slots)
    read_weights: Tensor  # (batch, read_heads, slots)
    links: Links | tuple[()]  # () without links


class DNC(System[DNCConfig]):
    """A memory that allocates the slots it writes to, and is read by content or in the order of the writes.

    In the paper's letters, with the write weighting w^w and the read weightings w^r of the last step::

        psi   = prod_r (1 - f^r w^r)                              retention
        u'    = (u + w^w - u w^w) psi                             usage
        w^w'  = g^w (g^a a(u') + (1 - g^a) C(M, k^w, beta^w))     write weighting
        M'    = M (1 - w^w' e^T) + w^w' v^T
        L'_ij = (1 - w^w'_i - w^w'_j) L_ij + w^w'_i p_j           links, 0 on the diagonal
        p'    = (1 - sum_i w^w'_i) p + w^w'                       precedence
        b, f  = L'^T w^r,  L' w^r                                 backward, forward
        w^r'  = pi_1 b + pi_2 C(M', k^r, beta^r) + pi_3 f         read weightings, for each head
        r     = M'^T w^r'                                         read vectors, side by side

    C is in ``content.py``, a in ``allocation.py``, L in ``links.py``. The control is the interface vector, in
    the order of the settings' ``interface``; its read modes are ordered backward, forward, content. Without
    links there are no read modes: w^r' = C(M', k^r, beta^r).

    Sparse links, after Rae et al., keep the ``top_k`` largest entries of each row of L' and of p'. Here the
    DNC's own L is cut, and serves both directions. The cut entries are stored as zeros: sparse links and
    reads by ``top_k`` change the results, and cost time rather than save it.

    References: Graves et al., 2016, https://doi.org/10.1038/nature20101; sparse links and reads: Rae et al.,
    2016, https://arxiv.org/abs/1610.09027

    Traces: ``memory`` ``(batch, slots, width)``, ``usage``, ``write_weights`` and ``precedence``
    ``(batch, slots)``, ``read_weights`` ``(batch, read_heads, slots)``, ``link`` ``(batch, slots, slots)``;
    ``allocation_gate`` and ``write_gate`` ``(batch, 1)``, ``free_gates`` ``(batch, read_heads)``,
    ``read_modes`` ``(batch, read_heads, 3)``: backward, forward, content.
    """

    learned_fields = ("memory",)

    trace_views: ClassVar = {
        "memory": TraceView("slots", "slot", "number"),
        "usage": TraceView("weights", "slot"),
        "write_weights": TraceView("weights", "slot"),
        "precedence": TraceView("weights", "slot", optional=True),
        "read_weights": TraceView("weights", "head", "slot"),
        "link": TraceView("links", "slot", "slot before", optional=True),
        "allocation_gate": TraceView("scalar", "gate"),
        "write_gate": TraceView("scalar", "gate"),
        "free_gates": TraceView("scalar", "head"),
        "read_modes": TraceView("actions", "head", "mode", optional=True),
    }

    @property
    def slot_names(self) -> dict[str, tuple[str, ...]]:
        """The read modes."""
        return {"read_modes": ("backward", "forward", "content")}

    def state_names(self, state: DNCState) -> list[str]:
        """Return the names of the state's tensors; those of the links stand beside the others."""
        return [name.removeprefix("links.") for name in super().state_names(state)]

    def initial_state(self, sequence: Sequence) -> DNCState:
        """Return an empty memory with no slot in use: zeros."""
        batch, config = sequence.batch_size, self.config
        slots, heads = config.slots, config.read_heads

        def zeros(*shape: int) -> Tensor:
            return tf.zeros((batch, *shape), self.variable_dtype)

        return DNCState(
            memory=zeros(slots, config.width),
            usage=zeros(slots),
            write_weights=zeros(slots),
            read_weights=zeros(heads, slots),
            links=() if config.links == "none" else Links(zeros(slots, slots), zeros(slots)),
        )

    def step(
        self, control: Tensor, state: DNCState, constants: Any
    ) -> tuple[Tensor, DNCState, dict[str, Tensor]]:
        """Free and allocate, write, link, then read: control ``(batch, control_size)``."""
        del constants
        config = self.config
        k_r, beta_r, k_w, beta_w, e, v, f, g_a, g_w, pi = interface(control, config)

        u = next_usage(state.usage, state.write_weights, state.read_weights, f)  # (batch, slots)
        c = tf.squeeze(content_weights(state.memory, k_w, beta_w), axis=1)  # (batch, slots)
        w = g_w * (g_a * allocation(u) + (1 - g_a) * c)  # (batch, slots)
        memory = state.memory * (1 - w[:, :, None] * e[:, None]) + w[:, :, None] * v[:, None]

        w_r = content_weights(memory, k_r, beta_r, config.top_k)  # (batch, read_heads, slots)
        named = {"allocation_gate": g_a, "write_gate": g_w, "free_gates": f}
        links = state.links
        if isinstance(links, Links) and pi is not None:
            links = next_links(links, w, config.top_k if config.links == "sparse" else 0)
            backward, forward = follow(links, state.read_weights)
            w_r = pi[:, :, 0:1] * backward + pi[:, :, 1:2] * forward + pi[:, :, 2:3] * w_r
            named["read_modes"] = pi

        read = tf.reshape(tf.matmul(w_r, memory), [-1, config.output_size])
        return read, DNCState(memory, u, w, w_r, links), named
