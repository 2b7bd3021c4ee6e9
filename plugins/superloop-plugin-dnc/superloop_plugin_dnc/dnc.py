"""The differentiable neural computer."""

from typing import Any, NamedTuple

import tensorflow as tf

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_dnc.allocation import allocation, next_usage, retention
from superloop_plugin_dnc.content import content_weights
from superloop_plugin_dnc.interface import interface
from superloop_plugin_dnc.links import Links, follow, next_links, sharpen
from superloop_plugin_dnc.settings import DNCConfig


class DNCState(NamedTuple):
    """The memory, the usage of its slots, where it was written and read last, and in which order."""

    memory: Tensor  # (batch, slots, width)
    usage: Tensor  # (batch, slots)
    write_weights: Tensor  # (batch, slots); (batch, write_heads, slots) with several write heads
    read_weights: Tensor  # (batch, read_heads, slots)
    links: Links | tuple[()]  # () without links; with an axis of write heads where there are several


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

    Several write heads, as in DeepMind's code: all look up the old memory, and allocate one after the other,
    each from the usage that the allocations before leave; they erase by the product and add the sum. Each has
    links of its own, two of the read modes, and its part of the control after that of the head before::

        u'    = (1 - (1 - u) prod_i (1 - w^w_i)) psi
        w^w'_i = g^w_i (g^a_i a(u_i) + (1 - g^a_i) C(M, k^w_i, beta^w_i))
        u_{i+1} = u_i + (1 - u_i) g^a_i g^w_i a(u_i),  u_1 = u'
        M'    = M prod_i (1 - w^w'_i e_i^T) + sum_i w^w'_i v_i^T

    The three changes of Csordas and Schmidhuber are settings. With ``masked``, C compares k * m and M_i * m,
    where each key has a mask m, a sigmoid of its control; the other two are::

        M'      = M (1 - w^w' e^T) psi 1^T + w^w' v^T           deallocate
        b, f    = S(L'^T w^r, s_b),  S(L' w^r, s_f)             sharpened
        S(d, s) = (d + 1e-6)^s / sum_i (d_i + 1e-6)^s

    S has no 1e-6 in the paper; with it, as in its code, links to nowhere read all slots alike. S also makes
    the reads along the links weightings that sum to 1. The order of the usages is a constant for the
    gradient. DeepMind's code, and that of Csordas and Schmidhuber, also stop the gradient from u' to w^w,
    which is ``usage_gradient = false``; the papers do not say so. DeepMind's code clips what the LSTM returns
    and its state to [-20, 20]; here ``clip`` clips the control, which is what a memory sees of the cells.

    References: Graves et al., 2016, https://doi.org/10.1038/nature20101, and its code,
    https://github.com/google-deepmind/dnc; sparse links and reads: Rae et al., 2016,
    https://arxiv.org/abs/1610.09027; masks, deallocation and sharpening: Csordas and Schmidhuber, 2019,
    https://arxiv.org/abs/1904.10278

    Traces: ``memory`` ``(batch, slots, width)``, ``usage``, ``write_weights`` and ``precedence``
    ``(batch, slots)``, ``read_weights`` ``(batch, read_heads, slots)``, ``link`` ``(batch, slots, slots)``;
    ``allocation_gate`` and ``write_gate`` ``(batch, write_heads)``, ``free_gates`` ``(batch, read_heads)``,
    ``read_modes`` ``(batch, read_heads, 3)``: backward, forward, content. With several write heads,
    ``write_weights``, ``precedence`` and ``link`` have an axis ``write_heads`` after the batch, and the read
    modes are those backward along the links of each head, forward, and content. Where they are used,
    ``read_masks`` and ``write_masks`` ``(batch, heads, width)`` and ``sharpness``
    ``(batch, read_heads, 2 write_heads)``, backward and then forward.
    """

    learned_fields = ("memory",)

    @property
    def trace_views(self) -> dict[str, TraceView]:
        """What the traces are; with several write heads some have an axis for these."""
        writes = ("write head",) if self.config.write_heads > 1 else ()
        return {
            "memory": TraceView("slots", "slot", "number"),
            "usage": TraceView("weights", "slot"),
            "write_weights": TraceView("weights", *writes, "slot"),
            "precedence": TraceView("weights", *writes, "slot", optional=True),
            "read_weights": TraceView("weights", "head", "slot"),
            "link": TraceView("links", *writes, "slot", "slot before", optional=True),
            "allocation_gate": TraceView("scalar", "gate"),
            "write_gate": TraceView("scalar", "gate"),
            "free_gates": TraceView("scalar", "head"),
            "read_modes": TraceView("actions", "head", "mode", optional=True),
        }

    @property
    def slot_names(self) -> dict[str, tuple[str, ...]]:
        """The read modes."""
        return {"read_modes": self.config.read_modes}

    def state_names(self, state: DNCState) -> list[str]:
        """Return the names of the state's tensors; those of the links stand beside the others."""
        return [name.removeprefix("links.") for name in super().state_names(state)]

    def initial_state(self, sequence: Sequence) -> DNCState:
        """Return an empty memory with no slot in use: zeros."""
        batch, config = sequence.batch_size, self.config
        slots, heads = config.slots, config.read_heads
        writes = (config.write_heads,) if config.write_heads > 1 else ()

        def zeros(*shape: int) -> Tensor:
            return tf.zeros((batch, *shape), self.variable_dtype)

        links = Links(zeros(*writes, slots, slots), zeros(*writes, slots)) if config.links != "none" else ()
        return DNCState(
            memory=zeros(slots, config.width),
            usage=zeros(slots),
            write_weights=zeros(*writes, slots),
            read_weights=zeros(heads, slots),
            links=links,
        )

    def step(
        self, control: Tensor, state: DNCState, constants: Any
    ) -> tuple[Tensor, DNCState, dict[str, Tensor]]:
        """Free and allocate, write, link, then read: control ``(batch, control_size)``."""
        del constants
        config = self.config
        k_r, beta_r, k_w, beta_w, e, v, f, g_a, g_w, pi, m_r, m_w, s = interface(control, config)

        psi = retention(state.read_weights, f)  # (batch, slots)
        last = self._heads(state.write_weights)
        u = next_usage(state.usage, last if config.usage_gradient else map(tf.stop_gradient, last), psi)
        c = content_weights(state.memory, k_w, beta_w, masks=m_w)  # (batch, write_heads, slots)
        w = self._write_weights(u, c, g_a, g_w)  # for each write head (batch, slots)
        memory = write(state.memory, w, e, v, psi if config.deallocate else None)

        w_r = content_weights(memory, k_r, beta_r, config.top_k, m_r)  # (batch, read_heads, slots)
        named = {"allocation_gate": g_a, "write_gate": g_w, "free_gates": f}
        named |= {"read_masks": m_r, "write_masks": m_w} if config.masked else {}
        links = state.links
        if isinstance(links, Links) and pi is not None:
            top_k = config.top_k if config.links == "sparse" else 0
            before = map(Links, *map(self._heads, links))
            each = [next_links(of_head, w_head, top_k) for of_head, w_head in zip(before, w, strict=True)]
            ways = [follow(of_head, state.read_weights) for of_head in each]
            backward, forward = zip(*ways, strict=True)
            reads = [*backward, *forward]
            if s is not None:
                reads = [sharpen(weights, s[:, :, way]) for way, weights in enumerate(reads)]
                named["sharpness"] = s
            terms = [pi[:, :, way : way + 1] * weights for way, weights in enumerate([*reads, w_r])]
            w_r = sum(terms[1:], terms[0])
            links = Links(*map(joined, zip(*each, strict=True)))
            named["read_modes"] = pi

        read = tf.reshape(tf.matmul(w_r, memory), [-1, config.output_size])
        return read, DNCState(memory, u, joined(w), w_r, links), named

    def _heads(self, tensor: Tensor) -> list[Tensor]:
        """Split a tensor of the state by write heads, of which a single one has no axis."""
        return tf.unstack(tensor, axis=1) if self.config.write_heads > 1 else [tensor]

    def _write_weights(self, u: Tensor, c: Tensor, g_a: Tensor, g_w: Tensor) -> list[Tensor]:
        """Return each write head's weighting; those before it use the slots that they allocate."""
        weights = []
        for head in range(self.config.write_heads):
            of_a, of_w = g_a[:, head : head + 1], g_w[:, head : head + 1]
            a = allocation(u)
            weights.append(of_w * (of_a * a + (1 - of_a) * c[:, head]))
            if head + 1 < self.config.write_heads:
                u = u + (1 - u) * of_a * of_w * a
        return weights


def joined(heads: Any) -> Tensor:
    """Stack a tensor of each write head along a new axis after the batch; a single one gets no axis."""
    return tf.stack(heads, axis=1) if len(heads) > 1 else heads[0]


def write(memory: Tensor, w: list[Tensor], e: Tensor, v: Tensor, psi: Tensor | None) -> Tensor:
    """Erase with all write heads and the retention, then add with all heads."""
    kept = 1 - w[0][:, :, None] * e[:, 0, None]
    for head, weights in enumerate(w[1:], 1):
        kept *= 1 - weights[:, :, None] * e[:, head, None]
    if psi is not None:
        kept *= psi[:, :, None]
    memory = memory * kept
    for head, weights in enumerate(w):
        memory += weights[:, :, None] * v[:, head, None]
    return memory
