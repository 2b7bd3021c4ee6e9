"""Tests of the gated slots: recorded answers and gradients, the equations in NumPy, and worked steps."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_slots import GatedSlotsConfig
from superloop_plugin_slots.gated_slots import GatedSlots, GatedSlotsState

from superloop_core import Sequence
from superloop_core.builder import dtype_policy

RECORDED = Path(__file__).parent / "recordings" / "gsa.npz"
SURE = 1000.0  # of a gate or a strength; a sigmoid of it is 1


def gated_slots(**config):
    """Return gated slots that compute in float64."""
    with dtype_policy("float64"):
        return GatedSlots(GatedSlotsConfig(**config))


def run(system, controls):
    """Step through controls ``(timesteps, batch, control)``; return the reads and the last state."""
    sequence = Sequence(batch_size=controls.shape[1], timesteps=None, lengths=None, dtype="float64")
    state, reads = system.initial_state(sequence), []
    for control in controls:
        read, state, _ = system.step(tf.constant(control, tf.float64), state, {})
        reads.append(read.numpy())
    return np.stack(reads), state


def logit(share):
    return tf.math.log(share) - tf.math.log(1 - share)


@pytest.mark.parametrize("case", ["tied", "untied_start"])
def test_reads_slots_and_gradients_are_the_recorded_ones(case):
    with np.load(RECORDED) as arrays:
        recorded = {key.removeprefix(f"{case}/"): arrays[key] for key in arrays if key.startswith(f"{case}/")}
    inputs = {key[3:]: tf.constant(array) for key, array in recorded.items() if key.startswith("in/")}
    batch, timesteps, key_size = inputs["k"].shape
    width, slots = inputs["v"].shape[-1], inputs["alpha"].shape[-1]
    system = gated_slots(key_size=key_size, width=width, slots=slots, strength=case.partition("_")[0])
    start = {
        "K0": tf.constant(recorded.get("par/K0", np.zeros((batch, key_size, slots)))),
        "V0": tf.constant(recorded.get("par/V0", np.zeros((batch, slots, width)))),
    }
    reads, keys, values = [], [], []
    with tf.GradientTape() as tape:
        tape.watch([inputs, start])
        query = inputs["q"] * recorded["par/scale"]
        parts = [inputs["k"], query, inputs["v"], logit(inputs["alpha"] ** system.config.damping)]
        parts += [logit(inputs["s"])] if "s" in inputs else []
        control = tf.concat(parts, axis=-1)
        state = GatedSlotsState(tf.transpose(start["K0"], (0, 2, 1))[:, None], start["V0"][:, None])
        for t in range(timesteps):
            read, state, _ = system.step(control[:, t], state, {})
            reads.append(read)
            keys.append(tf.transpose(state.keys[:, 0], (0, 2, 1)))
            values.append(state.values[:, 0])
        loss = tf.reduce_sum(tf.stack(reads, axis=1) * recorded["G/o"])
    np.testing.assert_allclose(np.stack(reads, axis=1), recorded["out/o"], rtol=0, atol=1e-9)
    for name, slots in (("K", keys), ("V", values)):
        np.testing.assert_allclose(slots[-1], recorded[f"final/{name}"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(np.stack(slots[:4], 1), recorded[f"trace/{name}"], rtol=0, atol=1e-9)
    for name, slopes in tape.gradient(loss, inputs | start).items():
        if f"grad/{name}" in recorded:  # without a recorded start it has no gradient there
            np.testing.assert_allclose(slopes, recorded[f"grad/{name}"], rtol=0, atol=1e-8, err_msg=name)


def plain(config, controls):
    """Compute the equations, head by head and slot by slot."""
    n, m, d, width = config.heads, config.slots, config.key_size, config.width
    reads = np.zeros((*controls.shape[:2], n, width))
    for b in range(controls.shape[1]):
        keys, values = np.zeros((n, m, d)), np.zeros((n, m, width))
        for t in range(len(controls)):
            parts = np.split(controls[t, b], np.cumsum([n * d, n * d, n * width, n * m]))
            for h in range(n):
                k, q, v, gate = (part.reshape(n, -1)[h] for part in parts[:4])
                scores = np.zeros(m)
                for i in range(m):
                    alpha = (1 / (1 + np.exp(-gate[i]))) ** (1 / config.damping)
                    s = 1 - alpha
                    if config.strength == "untied":
                        s = 1 / (1 + np.exp(-parts[4].reshape(n, m)[h, i]))
                    keys[h, i] = alpha * keys[h, i] + s * k
                    values[h, i] = alpha * values[h, i] + s * v
                    scores[i] = keys[h, i] @ q
                powers = np.exp(scores)
                reads[t, b, h] = powers @ values[h] / sum(powers)
    return reads.reshape(*controls.shape[:2], -1)


CONFIGS = st.builds(
    GatedSlotsConfig,
    slots=st.integers(1, 4),
    key_size=st.integers(1, 3),
    width=st.integers(1, 3),
    heads=st.integers(1, 2),
    strength=st.sampled_from(["tied", "untied"]),
    damping=st.sampled_from([1.0, 8.0]),
)


@settings(max_examples=40, deadline=None)
@given(config=CONFIGS, seed=st.integers(0, 999))
def test_steps_compute_the_equations_for_all_settings(config, seed):
    controls = np.random.default_rng(seed).normal(scale=2, size=(4, 2, config.control_size))
    with dtype_policy("float64"):
        reads, _ = run(GatedSlots(config), controls)
    np.testing.assert_allclose(reads, plain(config, controls), rtol=1e-11, atol=1e-11)


def control_of(k, q, v, gates, strengths=()):
    return np.array([[*k, *q, *v, *gates, *strengths]], float)


def test_a_slot_with_an_open_gate_holds_its_entry_while_another_is_overwritten():
    """Of two slots the first takes the first entry and keeps it; the second takes every one after that."""
    system = gated_slots(slots=2, key_size=2, width=1)
    first = control_of([30, 0], [1, 0], [5], [-SURE, SURE])
    others = [control_of([0, 30], [1, 0], [t], [SURE, -SURE]) for t in range(50)]
    latest = control_of([0, 30], [0, 1], [99], [SURE, -SURE])
    reads, state = run(system, np.array([first, *others, latest]))
    np.testing.assert_allclose(reads[1:-1, 0, 0], np.full(50, 5), atol=1e-9)  # under the key of the first
    np.testing.assert_allclose(reads[-1, 0, 0], 99, atol=1e-9)
    np.testing.assert_allclose(state.values[0, 0, :, 0], [5, 99], atol=1e-12)


def test_tied_slots_are_means_and_untied_ones_sums():
    """Gates of 0 with a damping of 1 are alpha = 1/2."""
    entry = ([2], [0], [8], [0])
    _, tied = run(gated_slots(slots=1, key_size=1, width=1, damping=1.0), np.array([control_of(*entry)] * 2))
    np.testing.assert_allclose([tied.keys[0, 0, 0, 0], tied.values[0, 0, 0, 0]], [1.5, 6])
    system = gated_slots(slots=1, key_size=1, width=1, damping=1.0, strength="untied")
    _, untied = run(system, np.array([control_of(*entry, [SURE])] * 2))
    np.testing.assert_allclose([untied.keys[0, 0, 0, 0], untied.values[0, 0, 0, 0]], [3, 12])


def test_a_gate_of_zero_keeps_92_percent():
    system = gated_slots(slots=2, key_size=1, width=1)
    state = system.initial_state(Sequence(batch_size=1, timesteps=None, lengths=None, dtype="float64"))
    _, _, traces = system.step(tf.zeros((1, system.control_size), tf.float64), state, {})
    np.testing.assert_allclose(traces["decay"], np.full((1, 1, 2), 0.5 ** (1 / 8)))
    np.testing.assert_allclose(traces["write_strength"], np.full((1, 1, 2), 1 - 0.5 ** (1 / 8)))


@pytest.mark.parametrize("wrong", ["slots", "key_size", "width", "heads", "damping"])
def test_invalid_settings_are_rejected(wrong):
    with pytest.raises(ValueError, match=wrong):
        GatedSlotsConfig(**{wrong: 0})
