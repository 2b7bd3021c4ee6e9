"""Named settings of the associative memory in fast weights, those of papers since 2024.

Each computes the recurrence of its paper, which is the memory of a layer there. The layer's convolutions,
its output gate and the norm of its output are no part of it. Queries have length 1, as in the papers; code
that divides reads by sqrt(key_size) gives smaller ones.
"""

from superloop_plugin_kv.key_value import KeyValue


class DeltaNet(KeyValue):
    """DeltaNet: the delta rule with keys and queries of length 1.

    ::

        W' = W (I - beta k k^T) + beta v k^T,  read = W' q
        k = silu(key) / |silu(key)|,  q likewise,  beta = sigmoid(strength)

    ``max_strength = 2`` lets the eigenvalue 1 - beta of a write be negative (Grazzi et al.), so that the
    memory can count modulo 2 by itself. In a loop it can make gradients through many timesteps explode.

    References: Yang et al., "Parallelizing Linear Transformers with the Delta Rule over Sequence Length",
    2024, https://arxiv.org/abs/2406.06484; Grazzi et al., "Unlocking State-Tracking in Linear RNNs Through
    Negative Eigenvalues", 2024, https://arxiv.org/abs/2411.12537
    """


class GatedDeltaNet(KeyValue):
    """Gated DeltaNet: the delta rule after a decay of the whole memory, from the control.

    ::

        W' = alpha W (I - beta k k^T) + beta v k^T,  read = W' q
        alpha = sigmoid(gate + 4)

    The error of a write is that of the decayed memory. alpha of the paper is exp(-a softplus(gate + b)),
    where each head trains a > 0 and b; here a = 1, and b is in the projection to the control.

    Reference: Yang, Kautz and Hatamizadeh, "Gated Delta Networks: Improving Mamba2 with Delta Rule", 2024,
    https://arxiv.org/abs/2412.06464
    """


class KDA(KeyValue):
    """Kimi Delta Attention: Gated DeltaNet with one decay for each number of a key.

    ::

        W' = W diag(alpha) (I - beta k k^T) + beta v k^T,  read = W' q
        alpha = sigmoid(gate + 4)                       (key_size,)

    The error of a write is that of the decayed memory; diag(alpha) and the write do not commute. alpha
    differs from the paper's as in :class:`GatedDeltaNet`; the paper's gate is also of low rank.

    Reference: Kimi Team, "Kimi Linear: An Expressive, Efficient Attention Architecture", 2025,
    https://arxiv.org/abs/2510.26692
    """


class DeltaProduct(KeyValue):
    """DeltaProduct: several writes of the delta rule in a timestep, then one read.

    ::

        W_j = W_{j-1} (I - beta_j k_j k_j^T) + beta_j v_j k_j^T,  j = 1 ... writes
        W'  = W_writes,  read = W' q,  beta_j = sigmoid(strength_j)

    ``gate = "scalar"`` is Gated DeltaProduct: W_0 = alpha W, once in a timestep. The paper has strengths up
    to 1 and up to 2; the latter, ``max_strength = 2``, makes a product of n writes any permutation of n + 1
    columns. In a loop they can make gradients through many timesteps explode, with a gate too; the default
    is 1.

    Reference: Siems et al., "DeltaProduct: Improving State-Tracking in Linear RNNs via Householder Products",
    2025, https://arxiv.org/abs/2502.10297
    """
