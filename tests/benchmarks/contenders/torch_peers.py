"""Memories in PyTorch, eager, on all cores: the package dnc, and the others written here from their papers.

Those written here take their time steps in Python, as PyTorch's users do, and compute all heads, slots and
rows of a timestep at once.
"""

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


def nondeterministic_stack(batch, timesteps=40, width=0):
    """An LSTM of 256 units with 2 states and 3 symbols."""
    return fitted(Loop(256, NondeterministicStack(2, 3, width)), batch, timesteps)


if __name__ == "__main__":
    run({f.__name__: f for f in (ntm, sam, dnc, neural_stack, nondeterministic_stack)})
