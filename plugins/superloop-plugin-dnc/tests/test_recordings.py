"""Tests against recorded answers and gradients of the code of Csordas and Schmidhuber."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from superloop_plugin_dnc import DNCConfig, allocation, content, dnc
from superloop_plugin_dnc.links import Links, follow, next_links, sharpen

from superloop_core import Sequence
from superloop_core.builder import dtype_policy

FOLDER = Path(__file__).parent / "recordings"
EPSILON = 1e-6  # of the recorded code: beside the product of two lengths, and the least usage


def recording(place):
    """Return the arrays of a case by ``kind/name``, and its inputs as tensors."""
    name, case = place.split("/")
    with np.load(FOLDER / f"{name}.npz") as arrays:
        recorded = {key.removeprefix(f"{case}/"): arrays[key] for key in arrays if key.startswith(f"{case}/")}
    return recorded, {key[3:]: tf.constant(array) for key, array in recorded.items() if key.startswith("in/")}


def similarity_of_the_code(memory, keys, strengths, masks):
    """The cosine with an epsilon beside the product of the lengths, not beside their squares."""
    keys, memory = keys * masks, memory[:, None] * masks[:, :, None]
    lengths = tf.norm(keys, axis=-1)[:, :, None] * tf.norm(memory, axis=-1)
    return strengths[:, :, None] * tf.reduce_sum(keys[:, :, None] * memory, axis=-1) / (lengths + EPSILON)


@pytest.fixture
def epsilons_of_the_code(monkeypatch):
    """Replace our two epsilons by those of the recorded code; return the allocations that were made."""
    made, ours = [], allocation.allocation

    def of_the_code(usage):
        made.append(ours(EPSILON + (1 - EPSILON) * usage))
        return made[-1]

    monkeypatch.setattr(content, "similarity", similarity_of_the_code)
    monkeypatch.setattr(dnc, "allocation", of_the_code)
    return made


def logit(share):
    return tf.math.log(share) - tf.math.log(1 - share)


def before_oneplus(x):
    return tf.math.log(tf.math.expm1(x - 1))


def matches(expected, found):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def check_gradients(tape, outputs, recorded, inputs, kind="grad"):
    loss = sum(tf.reduce_sum(output * recorded[f"G/{name}"]) for name, output in outputs.items())
    for name, slopes in tape.gradient(loss, inputs, unconnected_gradients="zero").items():
        expected = recorded[f"{kind}/{name}"]
        if name == "r_modes":  # ours sum to 1 whatever the logarithms are
            expected = expected - np.sum(expected * inputs[name], axis=-1, keepdims=True)
        np.testing.assert_allclose(slopes, expected, rtol=0, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("case", ["masked", "mask_min"])
def test_masked_content_is_recorded(case, monkeypatch):
    recorded, inputs = recording(f"dnc_masked_content/{case}")
    least = recorded["par/mask_min"]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        masks = least + (1 - least) * inputs["mask"]
        steps = [tf.unstack(one, axis=1) for one in (inputs["M"], inputs["key"], inputs["beta"], masks)]

        def weights():
            at_t = zip(*steps, strict=True)
            return tf.stack([content.content_weights(m, k, b, masks=mask) for m, k, b, mask in at_t], axis=1)

        ours = weights()
        monkeypatch.setattr(content, "similarity", similarity_of_the_code)
        theirs = weights()
        np.testing.assert_allclose(ours, recorded["out/w"], rtol=0, atol=2e-5)
        matches(recorded["out/w"], theirs)
        check_gradients(tape, {"w": theirs}, recorded, inputs)


def memory_of(recorded, **settings):
    """Return a DNC of the recorded sizes, and its state of a recorded memory with nothing in use."""
    batch, slots, width = recorded["par/M0"].shape
    with dtype_policy("float64"):
        system = dnc.DNC(DNCConfig(slots=slots, width=width, read_heads=2, masked=True, **settings))
    sequence = Sequence(batch_size=batch, timesteps=1, lengths=None, dtype="float64")
    return system, system.initial_state(sequence)


def control_of(config, t, **parts):
    """Return the control of a step, from parts ``(batch, timesteps, ...)``; the others are zeros."""
    batch = next(iter(parts.values())).shape[0]
    given = {name: tf.reshape(part[:, t], (batch, -1)) for name, part in parts.items()}
    zeros = {name: tf.zeros((batch, size), tf.float64) for name, size in config.interface.items()}
    return tf.concat([given.get(name, zero) for name, zero in zeros.items()], axis=-1)


def write_parts(inputs, prefix=""):
    return {
        "write_key": inputs[f"{prefix}key"],
        "write_strength": before_oneplus(inputs[f"{prefix}beta"]),
        "write_masks": logit(inputs[f"{prefix}mask"]),
        "erase": logit(inputs["erase"]),
        "write_vector": inputs["value"],
        "allocation_gate": logit(inputs["alloc_gate"]),
        "write_gate": logit(inputs["write_gate"]),
        "free_gates": logit(inputs["free"]),
    }


@pytest.mark.parametrize("usage_gradient", [True, False])
@pytest.mark.parametrize("case", ["dealloc", "no_dealloc"])
def test_deallocation_is_recorded(case, usage_gradient, epsilons_of_the_code):
    recorded, inputs = recording(f"dnc_dealloc/{case}")
    settings = {"deallocate": bool(recorded["par/dealloc"]), "usage_gradient": usage_gradient}
    system, state = memory_of(recorded, links="none", **settings)
    first = tf.constant(recorded["par/M0"])
    outputs = {"M": [], "w_write": []}
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        parts, state = write_parts(inputs), state._replace(memory=first)
        for t in range(12):
            state = state._replace(read_weights=inputs["read_prev"][:, t])
            _, state, _ = system.step(control_of(system.config, t, **parts), state, {})
            outputs["M"].append(state.memory)
            outputs["w_write"].append(state.write_weights)
        outputs["alloc"] = epsilons_of_the_code
        outputs = {name: tf.stack(steps, axis=1) for name, steps in outputs.items()}
        for name, output in outputs.items():
            matches(recorded[f"out/{name}"], output)
        matches(recorded["final/usage"], state.usage)
        kind = "grad" if usage_gradient else "grad_detached"
        check_gradients(tape, outputs, recorded, inputs, kind)


def test_sharpened_links_are_recorded():
    recorded, inputs = recording("dnc_link_sharpening/sharpened")
    batch, timesteps, slots = inputs["w_write"].shape
    links = Links(tf.zeros((batch, slots, slots), tf.float64), tf.zeros((batch, slots), tf.float64))
    outputs = {"backward_raw": [], "forward_raw": [], "backward": [], "forward": []}
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        for t in range(timesteps):
            links = next_links(links, inputs["w_write"][:, t])
            for way, raw in zip("bf", follow(links, inputs["read_prev"][:, t]), strict=True):
                name = {"b": "backward", "f": "forward"}[way]
                outputs[f"{name}_raw"].append(raw)
                outputs[name].append(sharpen(raw, inputs[f"sharp_{way}"][:, t]))
        outputs = {name: tf.stack(steps, axis=1) for name, steps in outputs.items()}
        for name, output in outputs.items():
            matches(recorded[f"out/{name}"], output)
        matches(recorded["final/L"], links.link)
        matches(recorded["final/p"], links.precedence)
        check_gradients(tape, outputs, recorded, inputs)


@pytest.mark.parametrize("usage_gradient", [True, False])
def test_all_three_changes_together_are_recorded(usage_gradient, epsilons_of_the_code):
    recorded, inputs = recording("dnc_mds/whole")
    system, state = memory_of(recorded, deallocate=True, sharpened=True, usage_gradient=usage_gradient)
    first, reads = tf.constant(recorded["par/M0"]), []
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        backward, found, forward = tf.unstack(tf.math.log(inputs["r_modes"]), axis=-1)
        parts = write_parts(inputs, "w_") | {
            "read_keys": inputs["r_key"],
            "read_strengths": before_oneplus(inputs["r_beta"]),
            "read_masks": logit(inputs["r_mask"]),
            "read_modes": tf.stack([backward, forward, found], axis=-1),
            "sharpness": before_oneplus(tf.stack([inputs["sharp_b"], inputs["sharp_f"]], axis=-1)),
        }
        state = state._replace(memory=first)
        for t in range(12):
            read, state, _ = system.step(control_of(system.config, t, **parts), state, {})
            reads.append(tf.reshape(read, (-1, 2, 4)))
        output = {"read": tf.stack(reads, axis=1)}
        matches(recorded["out/read"], output["read"])
        final = {"M": state.memory, "usage": state.usage, "L": state.links.link, "p": state.links.precedence}
        final |= {"w_write": state.write_weights, "w_read": state.read_weights}
        for name, tensor in final.items():
            matches(recorded[f"final/{name}"], tensor)
        kind = "grad" if usage_gradient else "grad_detached"
        check_gradients(tape, output, recorded, inputs, kind)
