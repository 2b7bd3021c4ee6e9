"""Memories in PyTorch, eager, on all cores: the package dnc, and the others written here from their papers.

Those written here take their time steps in Python, as PyTorch's users do, and compute all heads, slots and
rows of a timestep at once.
"""

import math

import torch
from timing import run, timed
from torch import nn
from torch.nn.functional import one_hot, pad, softplus

SYMBOLS = 8


def fitted(model, batch, timesteps):
    """Time training with Adam and predicting: SYMBOLS numbers in at each timestep, and as many out."""
    torch.manual_seed(0)
    inputs = one_hot(torch.randint(SYMBOLS, (batch, timesteps)), SYMBOLS).float()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def train():
        optimizer.zero_grad()
        nn.functional.mse_loss(model(inputs), inputs).backward()
        optimizer.step()

    def predict():
        with torch.no_grad():
            model(inputs)

    return {"build": 0.0} | timed(train=train, predict=predict)


class Loop(nn.Module):
    """An LSTM cell and a memory, whose answer goes into the cell at the next timestep."""

    def __init__(self, units, memory):
        super().__init__()
        self.memory = memory
        self.cell = nn.LSTMCell(SYMBOLS + memory.output_size, units)
        self.control = nn.Linear(units, memory.control_size)
        self.outputs = nn.Linear(units, SYMBOLS)

    def forward(self, inputs):
        rows = inputs.shape[0]
        read, state = inputs.new_zeros(rows, self.memory.output_size), self.memory.start(rows)
        hidden = tuple(inputs.new_zeros(rows, self.cell.hidden_size) for _ in range(2))
        outputs = []
        for x in inputs.unbind(1):
            hidden = self.cell(torch.cat([x, read], -1), hidden)
            read, state = self.memory(self.control(hidden[0]), state)
            outputs.append(self.outputs(hidden[0]))
        return torch.stack(outputs, 1)


class Ntm(nn.Module):
    """One write head and one read head (Graves et al., 2014)."""

    def __init__(self, slots, width):
        super().__init__()
        self.slots, self.width = slots, width
        self.control_size = 2 * (width + 6) + 2 * width
        self.output_size = width

    def start(self, rows):
        weights = pad(torch.ones(rows, 2, 1), (0, self.slots - 1))
        return torch.full((rows, self.slots, self.width), 1e-6), weights

    def forward(self, control, state):
        memory, before = state
        width = self.width
        heads, erase, add = control.split([2 * (width + 6), width, width], -1)
        heads = heads.reshape(-1, 2, width + 6)
        key, beta, gate, shift, gamma = heads.split([width, 1, 1, 3, 1], -1)
        key, beta, gate = key.tanh(), softplus(beta), gate.sigmoid()
        shift, gamma = shift.softmax(-1), 1 + softplus(gamma)
        norms = key.norm(dim=-1, keepdim=True) * memory.norm(dim=-1)[:, None] + 1e-8
        content = (beta * (key @ memory.mT) / norms).softmax(-1)
        weights = gate * content + (1 - gate) * before
        turned = torch.stack([weights.roll(s, -1) for s in (-1, 0, 1)], -2)
        weights = ((shift[:, :, None] @ turned)[:, :, 0] + 1e-12) ** gamma
        weights = weights / weights.sum(-1, keepdim=True)
        write, read = weights[:, 0, :, None], weights[:, 1:]
        memory = memory * (1 - write * erase.sigmoid()[:, None]) + write * add.tanh()[:, None]
        return (read @ memory)[:, 0], (memory, weights)


class Sam(nn.Module):
    """One head that reads the 4 most similar of many slots (Rae et al., 2016); compares all slots."""

    def __init__(self, slots, width, top_k=4):
        super().__init__()
        self.slots, self.width, self.top_k = slots, width, top_k
        self.control_size = 2 * width + 3
        self.output_size = width

    def start(self, rows):
        memory, accessed = torch.zeros(rows, self.slots, self.width), torch.zeros(rows, self.slots)
        return memory, accessed, torch.zeros(rows, self.top_k).long(), torch.zeros(rows, self.top_k), 0

    def forward(self, control, state):
        memory, accessed, slots, weights, t = state
        rows = torch.arange(len(control))[:, None]
        query, word, beta, alpha, gamma = control.split([self.width, self.width, 1, 1, 1], -1)
        alpha, gamma = alpha.sigmoid(), gamma.sigmoid()
        unused = accessed.argmin(-1, keepdim=True)
        written = torch.cat([slots, unused], -1)
        shares = torch.cat([alpha * gamma * weights, alpha * (1 - gamma)], -1)
        memory = memory.index_put((rows, unused), torch.zeros(()))
        memory = memory.index_put((rows, written), shares[..., None] * word[:, None], accumulate=True)
        with torch.no_grad():
            scores = (memory @ query[..., None])[..., 0] / ((memory**2).sum(-1) + 1e-6).sqrt()
            slots = scores.topk(self.top_k).indices
        found = memory[rows, slots]
        norms = ((found**2).sum(-1) + 1e-6).sqrt() * ((query**2).sum(-1, keepdim=True) + 1e-6).sqrt()
        weights = ((1 + softplus(beta)) * (found @ query[..., None])[..., 0] / norms).softmax(-1)
        touched, total = torch.cat([written, slots], -1), torch.zeros_like(accessed)
        total.scatter_add_(1, touched, torch.cat([shares, weights], -1).detach())
        accessed = torch.where(total > 0.005, t + 1.0, accessed)
        return (weights[:, None] @ found)[:, 0], (memory, accessed, slots, weights, t + 1)


class NeuralStack(nn.Module):
    """A stack of strengths (Grefenstette et al., 2015)."""

    def __init__(self, width):
        super().__init__()
        self.control_size, self.output_size = width + 2, width

    def start(self, rows):
        return torch.zeros(rows, 0, self.output_size), torch.zeros(rows, 0)

    def forward(self, control, state):
        values, strengths = state  # the newest is last
        push, pop = control[:, :1].sigmoid(), control[:, 1:2].sigmoid()

        def above(strengths):
            return strengths.flip(-1).cumsum(-1).flip(-1) - strengths

        strengths = (strengths - (pop - above(strengths)).relu()).relu()
        values = torch.cat([values, control[:, None, 2:].tanh()], 1)
        strengths = torch.cat([strengths, push], 1)
        weights = torch.minimum(strengths, (1 - above(strengths)).relu())
        return (weights[:, None] @ values)[:, 0], (values, strengths)


class BabyNTM(nn.Module):
    """A memory that rotates, pushes and pops at once (Suzgun et al., 2019)."""

    def __init__(self, slots, width):
        super().__init__()
        self.slots, self.control_size, self.output_size = slots, 5 + width, width

    def start(self, rows):
        return torch.zeros(rows, self.slots, self.output_size)

    def forward(self, control, state):
        shares = control[:, :5].softmax(-1)
        down, up = pad(state[:, :-1], (0, 0, 1, 0)), pad(state[:, 1:], (0, 0, 0, 1))
        moved = torch.stack([state.roll(-1, 1), state.roll(1, 1), state, down, up], 1)
        state = (shares[:, None] @ moved.flatten(2)).reshape(state.shape)
        state = state + pad(control[:, None, 5:].sigmoid(), (0, 0, 0, self.slots - 1))
        return state[:, 0], state


class NondeterministicStack(nn.Module):
    """All runs of a pushdown automaton at once (DuSell and Chiang, 2020); with vectors (2023)."""

    def __init__(self, states, symbols, width=0):
        super().__init__()
        self.states, self.symbols, self.width = states, symbols, width
        pairs = states * symbols
        self.pairs = pairs
        self.control_size = pairs * (2 * pairs + states) + width
        self.output_size = pairs * (width or 1)

    def start(self, rows):
        first = one_hot(torch.zeros(rows, dtype=torch.long), self.pairs).float()  # (rows, pairs)
        gamma = (first[:, :, None] * first[:, None])[:, None, None]  # gamma[-1 -> 0]: (rows, i, k, qx, ry)
        zeta = torch.zeros(rows, 1, 1, self.pairs, self.pairs, self.width)
        return gamma, zeta, torch.stack([first, first], 1)  # alpha[-1], alpha[0]

    def forward(self, control, state):
        gamma, zeta, alpha = state
        rows, pairs, width = len(gamma), self.pairs, self.width
        scores, value = control.split([self.control_size - width, width], -1)
        weights = scores.reshape(rows, pairs, -1).softmax(-1)
        push, replace, pop = weights.split([pairs, pairs, self.states], -1)  # pop: (rows, qx, r)
        last = gamma[:, :, -1]  # gamma[i -> j - 1]: (rows, i, qx, sz)
        popped = (last[:, 1:] @ pop[:, None]).unflatten(2, (self.states, -1))  # (rows, k, u, y, r)
        before = gamma[:, :, :-1].unflatten(-1, (self.states, -1))  # gamma[i -> k]: (rows, i, k, qx, u, y)
        column = last @ replace[:, None] + torch.einsum("bikxuy,bkuyr->bixry", before, popped).flatten(-2)
        column = torch.cat([column, push[:, None]], 1)  # gamma[i -> j]: (rows, i, qx, ry)
        gamma = torch.cat([pad(gamma, (0, 0, 0, 0, 0, 0, 0, 1)), column[:, :, None]], 2)
        latest = (alpha[:, :, None] @ column)[:, :, 0].sum(1)  # alpha[j]: (rows, ry)
        total = latest.sum(-1, keepdim=True)
        if not width:
            return latest / total, (gamma, zeta, torch.cat([alpha, latest[:, None]], 1))
        before = zeta[:, :, :-1].unflatten(4, (self.states, -1))
        kept = torch.einsum("bixzv,bzy->bixyv", zeta[:, :, -1], replace)
        kept = kept + torch.einsum("bikxuyv,bkuyr->bixryv", before, popped).flatten(3, 4)
        kept = torch.cat([kept, (push[..., None] * value.sigmoid()[:, None, None])[:, None]], 1)
        zeta = torch.cat([pad(zeta, (0, 0, 0, 0, 0, 0, 0, 0, 0, 1)), kept[:, :, None]], 2)
        reading = torch.einsum("bix,bixyv->byv", alpha, kept) / total[..., None]
        return reading.flatten(1), (gamma, zeta, torch.cat([alpha, latest[:, None]], 1))


class Ring(nn.Module):
    """The last keys and values, read by softmax (Ramsauer et al., 2020)."""

    def __init__(self, slots, key_size, width, heads):
        super().__init__()
        self.slots, self.key_size, self.width, self.heads = slots, key_size, width, heads
        self.control_size, self.output_size = heads * (2 * key_size + width), heads * width

    def start(self, rows):
        shape = (rows, self.heads, self.slots)
        return torch.zeros(*shape, self.key_size), torch.zeros(*shape, self.width), 0

    def forward(self, control, state):
        keys, values, count = state
        sizes = [self.key_size, self.key_size, self.width]
        k, q, v = control.unflatten(-1, (self.heads, -1)).split(sizes, -1)
        here = one_hot(torch.tensor(count % self.slots), self.slots).bool()[:, None]
        keys, values = torch.where(here, k[:, :, None], keys), torch.where(here, v[:, :, None], values)
        scores = (keys @ q[..., None])[..., 0] / self.key_size**0.5
        empty = torch.arange(self.slots) > count
        weights = scores.masked_fill(empty, -torch.inf).softmax(-1)
        return (weights[:, :, None] @ values).flatten(1), (keys, values, count + 1)


class GatedSlots(nn.Module):
    """Gated slot attention (Zhang et al., 2024)."""

    def __init__(self, slots, key_size, width, heads):
        super().__init__()
        self.slots, self.key_size, self.width, self.heads = slots, key_size, width, heads
        self.control_size, self.output_size = heads * (2 * key_size + width + slots), heads * width

    def start(self, rows):
        shape = (rows, self.heads, self.slots)
        return torch.zeros(*shape, self.key_size), torch.zeros(*shape, self.width)

    def forward(self, control, state):
        keys, values = state
        sizes = [self.key_size, self.key_size, self.width, self.slots]
        k, q, v, gate = control.unflatten(-1, (self.heads, -1)).split(sizes, -1)
        alpha = (nn.functional.logsigmoid(gate) / 8).exp()[..., None]
        keys = alpha * keys + (1 - alpha) * k[:, :, None]
        values = alpha * values + (1 - alpha) * v[:, :, None]
        weights = (keys @ q[..., None])[..., 0].softmax(-1)
        return (weights[:, :, None] @ values).flatten(1), (keys, values)


class Lmu(nn.Module):
    """The linear memory of the Legendre memory unit (Voelker et al., 2019)."""

    def __init__(self, order, theta, signals):
        super().__init__()
        self.control_size, self.output_size = signals, signals * order
        i = torch.arange(order, dtype=torch.float64)
        later, sign = i[:, None] < i, (-1) ** (i[:, None] - i + 1)
        a = (2 * i + 1)[:, None] * torch.where(later, -1, sign)
        b = (2 * i + 1) * (-1) ** i
        a_d = torch.linalg.matrix_exp(a / theta)
        b_d = torch.linalg.solve(a, (a_d - torch.eye(order)) @ b)
        self.a_d, self.b_d = a_d.float(), b_d.float()

    def start(self, rows):
        return torch.zeros(rows, self.control_size, len(self.b_d))

    def forward(self, control, state):
        state = state @ self.a_d.mT + control[..., None] * self.b_d
        return state.flatten(1), state


class Ffm(nn.Module):
    """Fast and Forgetful Memory (Morad et al., 2023)."""

    def __init__(self, channels, contexts, width):
        super().__init__()
        self.sizes = [channels, width, channels, width]
        self.control_size, self.output_size = sum(self.sizes), width
        self.alpha = nn.Parameter(4.6 / torch.logspace(2, 0, channels))
        self.omega = nn.Parameter(2 * torch.pi / torch.logspace(0, 2, contexts))
        self.mix = nn.Linear(2 * channels * contexts, width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)

    def start(self, rows):
        return torch.zeros(rows, len(self.alpha), len(self.omega), dtype=torch.complex64)

    def forward(self, control, state):
        x, skip, in_gate, out_gate = control.split(self.sizes, -1)
        gamma = torch.exp(torch.complex(-self.alpha.abs()[:, None], self.omega[None]))
        state = gamma * state + (x * in_gate.sigmoid())[..., None]
        z = self.norm(self.mix(torch.view_as_real(state).flatten(1)))
        share = out_gate.sigmoid()
        return share * z + (1 - share) * skip, state


class Lru(nn.Module):
    """A linear recurrent unit (Orvieto et al., 2023), and a projection to the outputs."""

    def __init__(self, units):
        super().__init__()
        modulus, phase = 0.99 * torch.rand(units).sqrt(), 2 * torch.pi * torch.rand(units)
        self.nu, self.theta = nn.Parameter((-modulus.log()).log()), nn.Parameter(phase.log())
        self.gamma = nn.Parameter((1 - modulus**2).log() / 2)
        self.b = nn.Parameter(torch.randn(SYMBOLS, units, dtype=torch.complex64) / SYMBOLS**0.5)
        self.c = nn.Parameter(torch.randn(units, units, dtype=torch.complex64) * (2 / units) ** 0.5)
        self.d = nn.Linear(SYMBOLS, units, bias=False)
        self.outputs = nn.Linear(units, SYMBOLS)

    def forward(self, inputs):
        turn = torch.exp(torch.complex(-self.nu.exp(), self.theta.exp()))
        b = self.gamma.exp() * self.b
        state = torch.zeros(len(inputs), len(turn), dtype=torch.complex64)
        outputs = []
        for x in inputs.unbind(1):
            state = turn * state + x.to(state.dtype) @ b
            outputs.append(self.outputs((state @ self.c).real + self.d(x)))
        return torch.stack(outputs, 1)


class Mlstm(nn.Module):
    """Values under keys, weighted by exponential gates (Beck et al., 2024)."""

    def __init__(self, key_size, width):
        super().__init__()
        self.key_size, self.width = key_size, width
        self.control_size, self.output_size = 2 + 2 * key_size + width, width

    def start(self, rows):
        return (
            torch.zeros(rows, self.width, self.key_size),
            torch.zeros(rows, self.key_size),
            torch.zeros(rows, 1),
        )

    def forward(self, control, state):
        memory, n, m = state
        i, f, key, query, value = control.split([1, 1, self.key_size, self.key_size, self.width], -1)
        key = key / self.key_size**0.5
        decayed = nn.functional.logsigmoid(f + 4) + m
        m = torch.maximum(decayed, i)
        kept, added = (decayed - m).exp(), (i - m).exp()
        memory = kept[..., None] * memory + (added * value)[..., None] * key[:, None]
        n = kept * n + added * key
        divisor = torch.maximum((n * query).sum(-1, keepdim=True).abs(), (-m).exp()) + 1e-6
        return (memory @ query[..., None])[..., 0] / divisor, (memory, n, m)


class TttLinear(nn.Module):
    """A linear layer and a layer norm that learn in each timestep (Sun et al., 2024)."""

    def __init__(self, width):
        super().__init__()
        self.width = width
        self.control_size, self.output_size = 1 + 3 * width, width
        self.first = nn.Parameter(torch.randn(width, width))
        self.gain, self.offset = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def start(self, rows):
        return self.first.expand(rows, -1, -1), torch.zeros(rows, self.width)

    def normalized(self, weights, bias, x):
        u = (weights @ x[..., None])[..., 0] + bias
        deviation = (u.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()
        return (u - u.mean(-1, keepdim=True)) / deviation, deviation

    def forward(self, control, state):
        step, key, query, value = control.split([1, self.width, self.width, self.width], -1)
        key = nn.functional.normalize(key, dim=-1, eps=1e-6)
        normal, deviation = self.normalized(*state, key)
        d = self.gain * (self.gain * normal + self.offset - value + key)
        slope = d - d.mean(-1, keepdim=True) - normal * (d * normal).mean(-1, keepdim=True)
        change = step.sigmoid() / 2 * slope / deviation
        state = state[0] - change[..., None] * key[:, None], state[1] - change
        return query + self.gain * self.normalized(*state, query)[0] + self.offset, state


class Titans(nn.Module):
    """A linear memory that learns with momentum, and forgets (Behrouz et al., 2025)."""

    def __init__(self, key_size, width, momentum=0.5):
        super().__init__()
        self.key_size, self.width, self.momentum = key_size, width, momentum
        self.step = (1 - momentum) ** 2 / (1 + momentum)  # twice the largest step length
        self.control_size, self.output_size = 3 + 2 * key_size + width, width

    def start(self, rows):
        return torch.zeros(rows, self.width, self.key_size), torch.zeros(rows, self.width, self.key_size)

    def forward(self, control, state):
        memory, last = state
        theta, eta, alpha, key, query, value = control.split(
            [1, 1, 1, self.key_size, self.key_size, self.width], -1
        )
        theta, eta, alpha = theta.sigmoid() * self.step, eta.sigmoid() * self.momentum, (alpha - 4).sigmoid()
        key, query = (nn.functional.normalize(x, dim=-1, eps=1e-6) for x in (key, query))
        error = (memory @ key[..., None])[..., 0] - value
        last = eta[..., None] * last - (theta * error)[..., None] * key[:, None]
        memory = (1 - alpha[..., None]) * memory + last
        return (memory @ query[..., None])[..., 0], (memory, last)


class Slstm(nn.Module):
    """A cell with exponential gates and a normalizer, one head (Beck et al., 2024)."""

    def __init__(self, units):
        super().__init__()
        self.units = units
        self.gates, self.outputs = nn.Linear(SYMBOLS + units, 4 * units), nn.Linear(units, SYMBOLS)

    def forward(self, inputs):
        h, c, n, m = (inputs.new_zeros(len(inputs), self.units) for _ in range(4))
        outputs = []
        for t, x in enumerate(inputs.unbind(1)):
            i, f, z, o = self.gates(torch.cat([x, h], -1)).chunk(4, -1)
            decayed = nn.functional.logsigmoid(f) + m
            m = torch.maximum(decayed, i) if t else i
            kept, added = (decayed - m).clamp(max=0).exp(), (i - m).exp()
            c, n = kept * c + added * z.tanh(), kept * n + added
            h = o.sigmoid() * c / n
            outputs.append(self.outputs(h))
        return torch.stack(outputs, 1)


class GatedDelta(nn.Module):
    """Gated DeltaNet with 1 gate (Yang et al., 2024), KDA with ``key_size`` gates (Kimi Team, 2025), or
    DeltaProduct without one (Siems et al., 2025).
    """

    def __init__(self, key_size, width, writes=1, gates=1):
        super().__init__()
        self.key_size, self.width, self.writes, self.gates = key_size, width, writes, gates
        self.control_size, self.output_size = writes * (1 + key_size + width) + key_size + gates, width

    def start(self, rows):
        return torch.zeros(rows, self.width, self.key_size)

    def forward(self, control, memory):
        n, d = self.writes, self.key_size
        strengths, keys, query, values, gate = control.split([n, n * d, d, n * self.width, self.gates], -1)
        if self.gates:
            memory = (gate + 4).sigmoid()[:, None] * memory
        keys, query = (nn.functional.silu(x.unflatten(-1, (-1, d))) for x in (keys, query))
        keys, query = (nn.functional.normalize(x, dim=-1, eps=1e-6) for x in (keys, query))
        values, strengths = values.unflatten(-1, (n, -1)), strengths.sigmoid()
        for strength, key, value in zip(strengths.unbind(1), keys.unbind(1), values.unbind(1), strict=True):
            error = value - (memory @ key[..., None])[..., 0]
            memory = memory + (strength[:, None] * error)[..., None] * key[:, None]
        return (memory @ query.mT)[..., 0], memory


class Rwkv7(nn.Module):
    """The memory of RWKV-7 (Peng et al., 2025)."""

    def __init__(self, key_size, width):
        super().__init__()
        self.key_size, self.width = key_size, width
        self.control_size, self.output_size = 5 * key_size + width, width

    def start(self, rows):
        return torch.zeros(rows, self.width, self.key_size)

    def forward(self, control, old):
        *channels, value = control.split([*5 * [self.key_size], self.width], -1)
        removal, key, query, rate, decay = channels
        removal, key, query = (
            nn.functional.normalize(x, dim=-1, eps=1e-6) for x in (key + removal, key, query)
        )
        rate, decay = rate.sigmoid(), torch.exp(-math.exp(-0.5) * (decay - 3.5).sigmoid())
        removed = (old @ removal[..., None]) * (rate * removal)[:, None]
        memory = old * decay[:, None] - removed + value[..., None] * (rate * key)[:, None]
        return (memory @ query[..., None])[..., 0], memory


class Mesa(nn.Module):
    """The memory of MesaNet, with an exact solve (von Oswald et al., 2025)."""

    def __init__(self, key_size, width):
        super().__init__()
        self.key_size, self.width = key_size, width
        self.control_size, self.output_size = 2 + 2 * key_size + width, width
        self.ridge = nn.Parameter(torch.full((key_size,), math.log(math.expm1(0.75))))

    def start(self, rows):
        return torch.zeros(rows, self.key_size, self.key_size), torch.zeros(rows, self.width, self.key_size)

    def forward(self, control, state):
        strength, key, query, value, gate = control.split([1, *2 * [self.key_size], self.width, 1], -1)
        key, query = (nn.functional.normalize(nn.functional.silu(x), dim=-1, eps=1e-6) for x in (key, query))
        beta, alpha = strength.sigmoid()[..., None], (gate + 4).sigmoid()[..., None]
        covariance, memory = state
        covariance = alpha * covariance + beta * key[..., None] * key[:, None]
        memory = alpha * memory + beta * value[..., None] * key[:, None]
        solved = torch.linalg.solve(covariance + torch.diag(0.25 + softplus(self.ridge)), query[..., None])
        return (memory @ solved)[..., 0], (covariance, memory)


class SelfReferential(nn.Module):
    """The self-referential weight matrix (Irie et al., 2022)."""

    def __init__(self, inputs, width):
        super().__init__()
        self.sizes = [width, inputs, inputs, 4]
        self.control_size, self.output_size = inputs, width
        first = torch.randn(inputs, sum(self.sizes)) * inputs**-0.5
        first[:, -4:] -= 1
        self.first = nn.Parameter(first)

    def start(self, rows):
        return self.first.expand(rows, -1, -1)

    def forward(self, control, weights):
        y, query, key, strength = (control.softmax(-1)[:, None] @ weights).split(self.sizes, -1)
        query, key, rates = query.softmax(-1), key.softmax(-1), strength.sigmoid()
        rates = rates.repeat_interleave(torch.tensor(self.sizes), -1)
        return y[:, 0], weights + key.mT * (rates * ((query - key) @ weights))


def ntm(batch, timesteps=40):
    """An LSTM of 100 units with a memory of 128 x 20."""
    return fitted(Loop(100, Ntm(128, 20)), batch, timesteps)


def sam(batch, timesteps=40, slots=4096):
    """An LSTM of 100 units with a sparse access memory of many slots of 16 numbers."""
    return fitted(Loop(100, Sam(slots, 16)), batch, timesteps)


def dnc(batch, timesteps=40):
    """The package dnc: an LSTM of 100 units, a memory of 128 x 20, 4 read heads."""
    from dnc import DNC

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.dnc = DNC(SYMBOLS, 100, num_layers=1, nr_cells=128, cell_size=20, read_heads=4)

        def forward(self, inputs):
            return self.dnc(inputs, (None, None, None), reset_experience=True)[0]

    return fitted(Model(), batch, timesteps)


def neural_stack(batch, timesteps=40):
    """An LSTM of 256 units with a neural stack of width 8."""
    return fitted(Loop(256, NeuralStack(8)), batch, timesteps)


def baby_ntm(batch, timesteps=40):
    """An LSTM of 256 units with a memory of 40 x 8."""
    return fitted(Loop(256, BabyNTM(40, 8)), batch, timesteps)


def nondeterministic_stack(batch, timesteps=40, width=0):
    """An LSTM of 256 units with 2 states and 3 symbols."""
    return fitted(Loop(256, NondeterministicStack(2, 3, width)), batch, timesteps)


def ring(batch, timesteps=40):
    """An LSTM of 100 units with 4 rings of 32 slots, of keys and values of 16 numbers."""
    return fitted(Loop(100, Ring(32, 16, 16, 4)), batch, timesteps)


def gated_slots(batch, timesteps=40):
    """An LSTM of 100 units with 4 memories of 32 slots, of keys and values of 16 numbers."""
    return fitted(Loop(100, GatedSlots(32, 16, 16, 4)), batch, timesteps)


def lmu(batch, timesteps=40):
    """An LSTM of 100 units with 8 signals of order 16, and a window of 32 timesteps."""
    return fitted(Loop(100, Lmu(16, 32.0, 8)), batch, timesteps)


def ffm(batch, timesteps=40):
    """An LSTM of 100 units with 32 channels in 4 contexts, which reads 32 numbers."""
    return fitted(Loop(100, Ffm(32, 4, 32)), batch, timesteps)


def lru(batch, timesteps=40):
    """A linear recurrent unit of 256 units, without a memory."""
    return fitted(Lru(256), batch, timesteps)


def mlstm(batch, timesteps=40):
    """An LSTM of 100 units with a matrix memory of 20 x 20."""
    return fitted(Loop(100, Mlstm(20, 20)), batch, timesteps)


def ttt_linear(batch, timesteps=40):
    """An LSTM of 100 units with a linear layer of 20 x 20 that learns."""
    return fitted(Loop(100, TttLinear(20)), batch, timesteps)


def titans(batch, timesteps=40):
    """An LSTM of 100 units with a linear memory of 20 x 20 that learns with momentum."""
    return fitted(Loop(100, Titans(20, 20)), batch, timesteps)


def slstm(batch, timesteps=40):
    """An sLSTM of 100 units, without a memory."""
    return fitted(Slstm(100), batch, timesteps)


def gated_deltanet(batch, timesteps=40):
    """An LSTM of 100 units with keys and values of 20 numbers."""
    return fitted(Loop(100, GatedDelta(20, 20)), batch, timesteps)


def kda(batch, timesteps=40):
    """An LSTM of 100 units with keys and values of 20 numbers, each number of a key with a gate."""
    return fitted(Loop(100, GatedDelta(20, 20, gates=20)), batch, timesteps)


def deltaproduct(batch, timesteps=40):
    """An LSTM of 100 units with keys and values of 20 numbers, two writes in a timestep."""
    return fitted(Loop(100, GatedDelta(20, 20, writes=2, gates=0)), batch, timesteps)


def rwkv7(batch, timesteps=40):
    """An LSTM of 100 units with keys and values of 20 numbers."""
    return fitted(Loop(100, Rwkv7(20, 20)), batch, timesteps)


def mesa(batch, timesteps=40):
    """An LSTM of 100 units with keys and values of 20 numbers."""
    return fitted(Loop(100, Mesa(20, 20)), batch, timesteps)


def self_referential(batch, timesteps=40):
    """An LSTM of 100 units with weights of 20 x 64 numbers."""
    return fitted(Loop(100, SelfReferential(20, 20)), batch, timesteps)


WORKS = (
    *(ntm, dnc, sam, neural_stack, nondeterministic_stack, baby_ntm),
    *(ring, gated_slots, lmu, ffm, lru),
    *(mlstm, ttt_linear, titans, slstm),
    *(gated_deltanet, kda, deltaproduct, rwkv7, mesa, self_referential),
)

if __name__ == "__main__":
    run({work.__name__: work for work in WORKS})
