"""Make the set: run with the code of commit 11931ab installed, in an empty folder.

    python make.py FOLDER
"""

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import superloop_core
from superloop_core import Model, Superloop, SuperloopCell
from superloop_core.registry import load_registry

ROWS, TIMESTEPS, SLOTS = 2, 4, 4
OUT = Path(sys.argv[1])


def drawn(shapes, seed=0):
    rng = np.random.default_rng(seed)
    sizes = {"inputs": TIMESTEPS}
    return {
        name: rng.normal(size=(ROWS, *(sizes.get(name, SLOTS) if n is None else n for n in shape))).astype("float32")
        for name, shape in shapes.items()
    }


def randomize(model, seed=1):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(rng.normal(scale=0.4, size=weight.shape))


def keep(name, model, feed):
    randomize(model)
    answer = model(feed["inputs"] if isinstance(feed, dict) and list(feed) == ["inputs"] else feed)
    arrays = {f"feed/{key}": array for key, array in feed.items()} if isinstance(feed, dict) else {"feed/inputs": feed}
    flat = tf.nest.flatten(answer)
    arrays |= {f"answer/{index}": np.asarray(tensor) for index, tensor in enumerate(flat)}
    model.save(OUT / f"{name}.keras")
    np.savez_compressed(OUT / f"{name}.npz", **arrays)


def model_of(loop, **options):
    layer = Superloop(loop, **options)
    inputs = layer.symbolic_inputs()
    return keras.Model(inputs, layer(inputs)), layer


OUT.mkdir(parents=True, exist_ok=True)
registry = load_registry()
cells = [r for r in registry.records if r.kind == "cell"]
systems = [r for r in registry.records if r.kind == "system"]
assert len(systems) >= len(cells) - 2, (len(systems), len(cells))
for index in range(max(len(systems), len(cells))):
    cell, system = cells[index % len(cells)], systems[index % len(systems)]
    loop = {
        "inputs": 2,
        "outputs": 2,
        "cells": [{"use": cell.qualified_name, **cell.spec.example}],
        "systems": [{"use": system.qualified_name, "id": "it", **system.spec.example}],
    }
    name = system.name if index < len(systems) else f"cell_{cell.name}"
    model, layer = model_of(loop, traces="all", return_state=index % 2 == 0)
    keep(name, model, drawn(layer.input_shapes))

loop = {
    "inputs": 3,
    "outputs": 2,
    "suppress_output": 1,
    "outputs_read_systems": True,
    "cells": [{"use": "gru", "units": 3, "learn_initial_state": True, "layers": 2}],
    "systems": [{"use": "register_memory", "id": "scratch", "depth": 3, "width": 2, "learn_initial_state": True, "learn_initial_read": True}],
}
model, layer = model_of(loop, go_backwards=True, return_sequences=False, traces=["scratch.*"])
keep("options", model, drawn(layer.input_shapes))

inputs = keras.Input((TIMESTEPS, 3))
cell = SuperloopCell({k: v for k, v in loop.items() if k != "suppress_output"})
keep("rnn_cell", keras.Model(inputs, keras.layers.RNN(cell, return_sequences=True)(inputs)), drawn({"inputs": (TIMESTEPS, 3)})["inputs"])

config = {
    "timesteps": TIMESTEPS, "model_inputs": 2, "model_outputs": 2, "recurrent_model": "SGU", "recurrent_layers": 2,
    "recurrent_units": 3, "superloop_models": ["RegisterMemory"], "RegisterMemory": {"depth": 3, "width": 2},
}
original = Model(config)
fed, outputs = original.build_all()
model = keras.Model(fed, [outputs, original.superloop_models[0].memory])
randomize(model)
feed = drawn({"inputs": (TIMESTEPS, 2)})["inputs"]
original.save_weights(OUT / "original.weights")
answers = model(feed)
np.savez_compressed(OUT / "original.npz", **{"feed/inputs": feed, "answer/0": answers[0], "answer/1": answers[1]})
(OUT / "original.json").write_text(json.dumps(config, indent=1))

# Two run folders: a finished one, and one that Ctrl-C stopped.
RUNS = {
    "finished": """
        [loop]
        timesteps = 12
        [[loop.cells]]
        use = "lstm"
        units = 6
        [[loop.systems]]
        id = "tape"
        use = "attention"
        width = 10
        [task]
        use = "last_two_before_nine"
        length = 6
        system = "tape"
        encoding = "one_hot"
        [[metrics]]
        use = "final_distance"
        [train]
        steps = 20
        batch_size = 8
        evaluate_every = 10
        evaluate_on = 16
        final_on = 32
        seed = 0
    """,
    "stopped": """
        [loop]
        inputs = 4
        outputs = 3
        [[loop.cells]]
        use = "gru"
        units = 6
        [[loop.systems]]
        use = "ntm"
        slots = 4
        width = 3
        [task]
        use = "copy"
        width = 3
        length = 3
        [[metrics]]
        use = "wrong_bits"
        [train]
        steps = 40
        batch_size = 4
        evaluate_every = 10
        evaluate_on = 16
        final_on = 32
        seed = 0
    """,
}
runner = [sys.executable, "-m", "superloop_core.cli"]
configs = OUT.parent / "configs"
configs.mkdir(exist_ok=True)
for name, text in RUNS.items():
    (configs / f"{name}.toml").write_text(textwrap.dedent(text).strip() + "\n")
    if name == "stopped":  # stopped after 20 of its steps, by a Ctrl-C that this process sends itself
        text = f"""
import os, signal, sys
from superloop_plugin_lab import training
compiled = training.compiled_step
def counted(*arguments):
    step, count = compiled(*arguments), [0]
    def take(*given):
        count[0] += 1
        if count[0] == 25:
            os.kill(os.getpid(), signal.SIGINT)
        return step(*given)
    return take
training.compiled_step = counted
from superloop_core.cli import main
sys.argv = ["superloop", "train", {str(configs / f'{name}.toml')!r}, "--out", {str(OUT / 'runs' / name)!r}]
main()
"""
        done = subprocess.run([sys.executable, "-c", text])
        assert done.returncode == 130, done
        resumed = configs.parent / "resumed"
        shutil.copytree(OUT / "run_folders" / name, resumed)
        subprocess.run([*runner, "resume", resumed], check=True)
        shutil.copy(resumed / "metrics.jsonl", OUT / "run_folders" / "stopped_resumed.jsonl")
        shutil.rmtree(resumed)
    else:
        subprocess.run([*runner, "train", configs / f"{name}.toml", "--out", OUT / "run_folders" / name], check=True)
        command = [*runner, "eval", OUT / "run_folders" / name, "--sequences", "64", "--seed", "5", "--json", "--length", "6", "--length", "8"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=OUT / "run_folders")
        (OUT / "run_folders" / f"{name}_eval.json").write_text(done.stdout)
        trace = OUT / "run_folders" / f"{name}_trace.npz"
        subprocess.run([*runner, "trace", OUT / "run_folders" / name, "--out", trace, "--seed", "5"], check=True)
        trace.with_suffix(".png").unlink()
    shutil.rmtree(OUT / "run_folders" / name / "tensorboard")
    (OUT / "run_folders" / name / "traces.png").unlink(missing_ok=True)
shutil.rmtree(configs)

# The README's plugin as it stood, and the three that `superloop new-plugin` wrote.
plugins = OUT / "plugins"
plugins.mkdir()
readme = (Path(superloop_core.__file__).parents[1] / "README.md").read_text()
for path, code in re.findall(r"\*\*`(superloop-plugin-mystack/[^`]*)`\*\*.*?```\w+\n(.*?)```", readme, re.S):
    (plugins / path).parent.mkdir(parents=True, exist_ok=True)
    (plugins / path).write_text(code)
for kind in ("system", "cell", "task"):
    folder = plugins / f"superloop-plugin-my-{kind}"
    subprocess.run([*runner, "new-plugin", f"my_{kind}", "--kind", kind, "--out", folder], check=True)
sys.path.insert(0, str(plugins / "superloop-plugin-mystack"))
import superloop_plugin_mystack  # noqa: E402

registry.register(superloop_plugin_mystack, distribution="superloop-plugin-mystack", version="0.1.0")
loop = {"inputs": 2, "outputs": 1, "cells": [{"use": "lstm", "units": 3}], "systems": [{"use": "mystack", "depth": 3, "width": 2}]}
model, layer = model_of(loop, traces="all")
keep("mystack", model, drawn(layer.input_shapes))
for cache in plugins.rglob("__pycache__"):
    shutil.rmtree(cache)
