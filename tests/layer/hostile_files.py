"""Hostile model and weights files: made, and loaded one after the other, in a process that is watched.

``python hostile_files.py FOLDER`` prints a JSON object: what each file did, by its name. The process has an
audit hook, which cannot be removed, and so is one of its own. The hook sees what Python does; inotify sees
what HDF5 and TensorFlow open in ``FOLDER/canary``.
"""

import base64
import contextlib
import ctypes
import io
import json
import marshal
import os
import pickle
import resource
import shutil
import struct
import sys
import zipfile
from pathlib import Path

CASES = {}  # name: (how it is loaded, the function that makes it, what the error must say)


def case(name, error, loaded_by="model"):
    def add(make):
        CASES[name] = (loaded_by, make, error)
        return make

    return add


class Files:
    """Makes files of one folder from a benign model."""

    def __init__(self, folder):
        self.folder = folder
        self.canary = folder / "canary"
        self.secret = self.canary / "secret.txt"
        self.benign = folder / "benign.keras"
        with zipfile.ZipFile(self.benign) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}
        self.config = self.members["config.json"]

    def keras(self, config=None, *, weights=None, more=(), compression=zipfile.ZIP_STORED, without=()):
        path = self.folder / "hostile.keras"
        members = dict(self.members)
        if config is not None:
            members["config.json"] = config if isinstance(config, bytes) else json.dumps(config).encode()
        if weights is not None:
            members["model.weights.h5"] = weights
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, data in [*members.items(), *more]:
                if name not in without:
                    archive.writestr(name, data)
        return path

    def with_layer(self, class_name, config, module="keras.layers", **keys):
        """The benign model, and a layer that nothing is connected to."""
        whole = json.loads(self.config)
        layer = {
            "module": module,
            "class_name": class_name,
            "config": {"name": "evil", **config},
            "name": "evil",
        }
        layer |= {"registered_name": None, "inbound_nodes": []} | keys
        whole["config"]["layers"].insert(0, layer)
        return self.keras(whole)

    def with_call(self, class_name, args, module="keras.src.ops.core", **kwargs):
        """The benign model, and a call of an operation in a node that nothing reads."""
        nodes = [{"args": args, "kwargs": kwargs}]
        return self.with_layer(class_name, {}, module, inbound_nodes=nodes)

    def with_weights(self, change):
        """The benign model with its file of weights changed by ``change(file)``."""
        import h5py

        stored = io.BytesIO(self.members["model.weights.h5"])
        with h5py.File(stored, "r+") as file:
            change(file)
        return self.keras(weights=stored.getvalue())

    def hdf5(self, name):
        import h5py

        return h5py.File(self.folder / name, "w")


def function(name, module="keras.utils"):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


TRUE = {"class_name": "__tensor__", "config": {"value": True, "dtype": "bool"}}
ZERO = {"class_name": "__tensor__", "config": {"value": 0, "dtype": "int32"}}
TENSOR = {
    "class_name": "__keras_tensor__",
    "config": {"shape": [None, 3], "dtype": "float32", "keras_history": ["input_layer", 0, 0]},
}
SUPERLOOP = {
    "module": "superloop_core",
    "registered_name": "superloop_core>Superloop",
    "build_config": {"input_shape": [None, 5, 3]},
}
KERNEL = "layers/dense/vars/0"


# Code of the file ---------------------------------------------------------------------------------------


def code_of(files):
    """A function that writes beside the secret, as Keras saves lambdas."""
    source = f"lambda x: open({str(files.canary / 'written')!r}, 'w') and x"
    code = base64.b64encode(marshal.dumps(eval(source).__code__)).decode()
    return {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}


class Opens:
    """Opens a file as it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@case("CVE-2024-3660, CVE-2026-12481: a lambda in a Lambda layer", "'keras.layers.Lambda' runs code")
def lambda_layer(files):
    return files.with_layer(
        "Lambda", {"function": code_of(files)}, inbound_nodes=[{"args": [TENSOR], "kwargs": {}}]
    )


@case("a lambda in the arguments of a layer", "'__lambda__' is no class of Keras")
def lambda_argument(files):
    return files.with_layer("Dense", {"units": 1, "activation": code_of(files)})


@case("CVE-2025-9905: a whole model in HDF5", "only .keras files are read")
def whole_h5(files):
    path = files.folder / "whole.h5"
    config = json.loads(files.config)
    config["config"]["layers"].append(
        {"class_name": "Lambda", "config": {"name": "l", "function": code_of(files)["config"]["code"]}}
    )
    with files.hdf5(path.name) as file:
        file.attrs["model_config"] = json.dumps(config)
    return path


@case("a whole model in HDF5 under another ending", "only .keras files are read")
def whole_hdf5(files):
    return whole_h5(files).rename(files.folder / "whole.hdf5")


@case("HDF5 under the ending .keras", "cannot be loaded: File is not a zip file")
def hdf5_as_keras(files):
    return whole_h5(files).rename(files.folder / "hostile.keras")


@case("CVE-2025-1550: a class of any module", "'subprocess.Popen' is no class of Keras")
def any_class(files):
    return files.with_layer("Popen", {"args": ["touch", str(files.canary / "written")]}, "subprocess")


@case("CVE-2025-1550: a function of any module", "the function 'system' of 'os' is no activation")
def any_function(files):
    return files.with_layer("Dense", {"units": 1, "activation": function("system", "os")})


@case("CVE-2025-49655: a pickle in TorchModuleWrapper", "'keras.layers.TorchModuleWrapper' runs code")
def torch(files):
    payload = base64.b64encode(pickle.dumps(Opens(files.canary / "written"))).decode()
    return files.with_layer("TorchModuleWrapper", {"module": payload})


@case("a function in JaxLayer", "'keras.layers.JaxLayer' runs code")
def jax(files):
    return files.with_layer("JaxLayer", {"call_fn": function("get_file")})


@case("a module in FlaxLayer", "'keras.layers.FlaxLayer' runs code")
def flax(files):
    return files.with_layer("FlaxLayer", {"module": {}})


@case("CVE-2026-1462: a graph of TensorFlow in TFSMLayer", "'keras.layers.TFSMLayer' runs code")
def tfsm(files):
    return files.with_layer("TFSMLayer", {"filepath": str(files.canary)})


@case("TFSMLayer by the module that holds it", "TFSMLayer' runs code")
def tfsm_inside(files):
    module = "keras.src.export.tfsm_layer"
    return files.with_layer("TFSMLayer", {"filepath": str(files.canary)}, module)


@case("TFSMLayer in a wrapper", "'keras.layers.TFSMLayer' runs code")
def tfsm_wrapped(files):
    inner = {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": str(files.canary)}}
    return files.with_layer("TimeDistributed", {"layer": inner})


@case("Switch makes a TFSMLayer, named as a function", "'keras.src.ops.core.Switch' calls functions")
def switch_tfsm(files):
    return files.with_call("Switch", [ZERO, [function("TFSMLayer", "keras.layers")], str(files.canary)])


@case("a function of Keras named as a layer's activation", "the function 'TFSMLayer' of 'keras.layers'")
def activation_tfsm(files):
    return files.with_layer("Dense", {"units": 1, "activation": function("TFSMLayer", "keras.layers")})


@case("a pickle as the config", "config.json is not valid JSON")
def pickled_config(files):
    return files.keras(pickle.dumps(Opens(files.canary / "written")))


@case("weights in NumPy's format, with a pickle", "has no model.weights.h5")
def npz_weights(files):
    return files.keras(
        more=[("model.weights.npz", pickle.dumps(Opens(files.canary)))], without=["model.weights.h5"]
    )


@case("a module of Keras's own tests is imported", "serialization_lib_test.CustomLayer' is no class")
def imports(files):
    return files.with_layer("CustomLayer", {}, "keras.src.saving.serialization_lib_test")


@case("a module of another package of Keras's is imported", "no class of Keras that is made from a file")
def keras_hub(files):
    return files.with_layer("PARSeqTokenizer", {"vocabulary": []}, "keras_hub.src.models.parseq")


@case(
    "a class that is not registered", "or name its package if you trust it: load_model(path, allow=['acme'])"
)
def unregistered(files):
    return files.with_layer("Custom", {}, "acme.layers", registered_name="acme>Custom")


@case(
    "a loop within a loop that is the path of a file",
    "the config of 'superloop_core>Superloop' must be a table",
)
def loop_of_a_path(files):
    config = {"config": str(files.canary / "loop.toml")}
    return files.with_layer("Superloop", config, **SUPERLOOP)


@case("a loop whose cell of Keras holds a function", "the function 'get_file' of 'keras.utils'")
def loop_of_a_function(files):
    cell = {"use": "keras", "cell": "GRUCell", "config": {"units": 2, "activation": function("get_file")}}
    config = {"config": {"inputs": 3, "cells": [cell]}}
    return files.with_layer("Superloop", config, **SUPERLOOP)


# Functions of Keras -------------------------------------------------------------------------------------

CALLED = {
    "CVE-2025-8747, CVE-2024-55459, CVE-2025-12060, CVE-2025-12638: get_file": (
        "get_file", "keras.utils", ["x", "http://127.0.0.1:9/x"],
    ),
    "CVE-2025-9906: enable_unsafe_deserialization": ("enable_unsafe_deserialization", "keras.config", []),
    "set_dtype_policy": ("set_dtype_policy", "keras.config", ["mixed_float16"]),
    "set_floatx": ("set_floatx", "keras.backend", ["float64"]),
    "load_model": ("load_model", "keras.models", ["other.keras"]),
    "load_data": ("load_data", "keras.datasets.mnist", []),
    "pad_sequences": ("pad_sequences", "keras.utils", [[[1]], 400_000_000, "float64"]),
    "text_dataset_from_directory": ("text_dataset_from_directory", "keras.utils", ["."]),
    "get, which is in keras.activations": ("get", "builtins", ["relu"]),
}  # fmt: skip
CALLERS = {
    "Switch": lambda function, args: ([ZERO, [function], *args], {}),
    "Cond": lambda function, args: ([TRUE, function, function], {}),
    "Map": lambda function, args: ([function, TENSOR], {}),
    "Scan": lambda function, args: ([function, TENSOR, TENSOR], {}),
}


def calls(caller, name, module, args):
    def make(files):
        positional, named = CALLERS[caller](function(name, module), args)
        return files.with_call(caller, positional, **named)

    return make


for called, (name, module, args) in CALLED.items():
    case(f"Switch calls {called}", f"the function '{name}' of '{module}'")(
        calls("Switch", name, module, args)
    )
for caller in CALLERS:
    error = f"'keras.src.ops.core.{caller}' calls functions that the file names"
    case(f"{caller} calls a function", error)(calls(caller, "relu", "keras.activations", []))


@case("CVE-2025-8747: get_file as the function of a Lambda layer", "'keras.layers.Lambda' runs code")
def lambda_get_file(files):
    config = {"function": function("get_file"), "arguments": {"origin": "http://127.0.0.1:9/x"}}
    return files.with_layer("Lambda", config)


@case("a function as the loss that compiles the model", "the function 'get_file' of 'keras.utils'")
def compiled(files):
    config = json.loads(files.config)
    config["compile_config"] = {"optimizer": "adam", "loss": function("get_file")}
    return files.keras(config)


# Files that content names -------------------------------------------------------------------------------


for layer in ("StringLookup", "IntegerLookup", "TextVectorization"):
    for argument in ("vocabulary", "idf_weights"):
        case(f"CVE-2025-12058: {argument} of {layer} is a path", f"'{argument}' would read a file")(
            lambda files, layer=layer, argument=argument: files.with_layer(
                layer, {argument: str(files.secret)}
            )
        )


@case("CVE-2026-1669: numbers of another file", "dense/vars/0 takes its numbers from another file")
def external_dataset(files):
    def change(file):
        del file[KERNEL]
        file.create_dataset(KERNEL, (3, 2), "float32", external=[(str(files.secret), 0, 24)])

    return files.with_weights(change)


def virtual(files, shape):
    import h5py

    layout = h5py.VirtualLayout(shape, "float32")
    layout[:] = h5py.VirtualSource(str(files.canary / "other.h5"), "data", shape)
    return layout


@case("CVE-2026-12480: a virtual dataset", "dense/vars/0 takes its numbers from another file")
def virtual_dataset(files):
    def change(file):
        del file[KERNEL]
        file.create_virtual_dataset(KERNEL, virtual(files, (3, 2)))

    return files.with_weights(change)


@case("a link to another file", "dense is a link (ExternalLink)")
def external_link(files):
    import h5py

    def change(file):
        del file["layers/dense"]
        file["layers/dense"] = h5py.ExternalLink(str(files.canary / "other.h5"), "/")

    return files.with_weights(change)


@case("a link to another place", "layers/other is a link (SoftLink)")
def soft_link(files):
    import h5py

    return files.with_weights(
        lambda file: file["layers"].__setitem__("other", h5py.SoftLink("/layers/dense"))
    )


@case("a group within itself", "is a second name of an object")
def circle(files):
    return files.with_weights(lambda file: file["layers"].__setitem__("self", file["layers"]))


@case("an array behind a filter that HDF5 would have to find", "is stored with the filter 32015")
def foreign_filter(files):
    import h5py

    def change(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((10,))
        plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        space = h5py.h5s.create_simple((10,))
        h5py.h5d.create(file["layers"].id, b"filtered", h5py.h5t.NATIVE_FLOAT, space, plist)

    return files.with_weights(change)


@case("an array of strings", "must hold numbers")
def strings(files):
    return files.with_weights(lambda file: file.create_dataset("layers/dense/vars/9", data=["a" * 9]))


@case(
    "weights of the original with numbers of another file", "takes its numbers from another file", "original"
)
def original_external(files):
    with files.hdf5("original.h5") as file:
        group = file.create_group("model/Recur0/1.DenseCtrl")
        group.create_dataset("0", (3, 2), "float32", external=[(str(files.secret), 0, 24)])
    return files.folder / "original.h5"


@case("weights of the original with a virtual dataset", "takes its numbers from another file", "original")
def original_virtual(files):
    with files.hdf5("original.h5") as file:
        file.create_virtual_dataset("model/Recur0/1.DenseCtrl/0", virtual(files, (3, 2)))
    return files.folder / "original.h5"


@case("weights of the original behind a link", "model is a link (ExternalLink)", "original")
def original_link(files):
    import h5py

    with files.hdf5("original.h5") as file:
        file["model"] = h5py.ExternalLink(str(files.canary / "other.h5"), "/")
    return files.folder / "original.h5"


@case("weights with numbers of another file", "takes its numbers from another file", "weights")
def weights_external(files):
    path = files.folder / "x.weights.h5"
    path.write_bytes(files.members["model.weights.h5"])
    import h5py

    with h5py.File(path, "r+") as file:
        del file[KERNEL]
        file.create_dataset(KERNEL, (3, 2), "float32", external=[(str(files.secret), 0, 24)])
    return path


@case("weights of a .keras file with a virtual dataset", "takes its numbers from another file", "weights")
def weights_virtual(files):
    return virtual_dataset(files)


for member in ("../canary/written", "/etc/x", "assets/../../canary/written", "assets\\..\\x", "code.py"):
    case(f"GHSA-hqp4-2352-xf5r: a member named {member}", "has a member that a .keras file")(
        lambda files, member=member: files.keras(more=[(member, b"x")])
    )


@case("two members of one name", "has a member that a .keras file cannot have: 'config.json'")
def twice(files):
    import warnings

    with warnings.catch_warnings(action="ignore"):
        return files.keras(more=[("config.json", b"{}")])


# Sizes --------------------------------------------------------------------------------------------------


@case("CVE-2026-0897: an array that claims petabytes", "of content, but has only")
def shape_bomb(files):
    def change(file):
        del file[KERNEL]
        file.create_dataset(KERNEL, (50_000_000, 50_000_000), "float32", chunks=(1000, 1000))

    return files.with_weights(change)


@case("an array that was compressed well", "of content, but has only")
def compressed_array(files):
    def change(file):
        del file[KERNEL]
        file.create_dataset(KERNEL, (10_000, 10_000), "float32", compression="gzip", fillvalue=1)

    return files.with_weights(change)


@case("many arrays below every limit", "of content, but has only")
def many_arrays(files):
    def change(file):
        for index in range(20):
            file.create_dataset(f"layers/x{index}", (1000, 1000), "float32", chunks=True)

    return files.with_weights(change)


@case("a config of 2 GB in 2 MB", "config.json may have 33,554,432 bytes at most: 2,000,000,000")
def long_config(files):
    path = files.keras(b" " * 1000, compression=zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 1000), struct.pack("<I", 2_000_000_000)))
    return path


@case("a member that becomes 100 MB", "of content, but has only")
def zip_bomb(files):
    return files.keras(more=[("assets/x", bytes(100_000_000))], compression=zipfile.ZIP_DEFLATED)


@case("a config nested 100,000 deep", "config.json is not valid JSON: maximum recursion depth")
def deep(files):
    return files.keras(b"[" * 100_000 + b"]" * 100_000)


@case("a config nested 300 deep", "tables may be nested 200 deep at most")
def nested(files):
    whole = json.loads(files.config)
    inner = {}
    for _ in range(300):
        inner = {"x": inner}
    whole["config"]["layers"][0]["config"]["x"] = inner
    return files.keras(whole)


@case("an integer of 5,000 digits", "config.json is not valid JSON: Exceeds the limit (4300 digits)")
def digits(files):
    return files.keras(files.config.replace(b'"units": 2', b'"units": ' + b"9" * 5000))


@case("units of 10^6 in a small file", "of weights and more; ")
def units(files):
    layer = {"units": 10**6}
    return files.with_layer("Dense", layer, build_config={"input_shape": [None, 10**6]})


@case("units of 10^30 in a small file", "of weights and more; ")
def more_units(files):
    return files.with_layer("Dense", {"units": 10**30}, build_config={"input_shape": [None, 10]})


@case("a loop of 10^6 units in a small file", "of weights and more; ")
def loop_units(files):
    config = {"config": {"inputs": 3, "cells": [{"use": "lstm", "units": 10**6}]}}
    return files.with_layer("Superloop", config, **SUPERLOOP)


@case("a loop of 10,000 cells", "'layers' must be <= 100: 10000")
def loop_layers(files):
    config = {"config": {"inputs": 3, "cells": [{"use": "lstm", "units": 1, "layers": 10_000}]}}
    return files.with_layer("Superloop", config, **SUPERLOOP)


@case("a NumPy dtype that multiplies", "no such dtype")
def subarray(files):
    value = {"class_name": "__numpy__", "config": {"value": [0], "dtype": "(1000000000,)f8"}}
    return files.with_layer("Dense", {"units": 1, "activation": value})


@case("a call without a tensor of the model", "must take a tensor of the model")
def eager_call(files):
    return files.with_call("Tile", [TRUE, [10**10]], "keras.src.ops.numpy")


@case("terminal codes in names", r"'\x1b]0;owned\x07.evil' is no class of Keras")
def terminal_codes(files):
    return files.with_layer("evil", {}, "\x1b]0;owned\x07", name="\x1b[2J")


@case("a call whose tensor is within another object", "must take a tensor of the model")
def hidden_tensor(files):
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1, "activation": TENSOR}}
    return files.with_call("Tile", [TRUE, [10**10], dense], "keras.src.ops.numpy")


@case("an operation of Keras by two names", "'keras.layers.Lambda' is no class of Keras")
def dotted(files):
    return files.with_layer("layers.Lambda", {"function": code_of(files)}, "keras")


@case("a class without a module", "'Lambda' runs code")
def without_module(files):
    return files.with_layer("Lambda", {"function": code_of(files)}, None)


@case("a class_name that is a table", "must be strings")
def class_name(files):
    return files.with_layer({"class_name": "Lambda"}, {})


@case("a config that is a list", "cannot be loaded")
def listed(files):
    return files.keras([])


@case("a node of Keras 2", "must be tables, as Keras 3 saves them")
def old_node(files):
    return files.with_layer("Dense", {"units": 1}, inbound_nodes=[["input_layer", 0, 0, {}]])


@case("a metric of 10^9 thresholds", "'num_thresholds' must be <= 1,000,000: 1000000000")
def thresholds(files):
    whole = json.loads(files.config)
    metric = {"module": "keras.metrics", "class_name": "AUC", "config": {"num_thresholds": 10**9}}
    whole["compile_config"] = {"optimizer": "adam", "loss": "mse", "metrics": [metric]}
    return files.keras(whole)


@case("a folder in the place of a model", "cannot be loaded: ")
def folder(files):
    (files.folder / "run/model.keras").mkdir(parents=True)
    return files.folder / "run"


@case("a named pipe", "is a device or a pipe")
def pipe(files):
    path = files.folder / "pipe.keras"
    os.mkfifo(path)
    return path


@case("an endless device", "is a device or a pipe")
def endless(files):
    path = files.folder / "zero.keras"
    path.symlink_to("/dev/zero")
    return path


@case("weights from an endless device", "is a device or a pipe", "weights")
def endless_weights(files):
    path = files.folder / "zero.weights.h5"
    path.symlink_to("/dev/zero")
    return path


@case("weights of the original from an endless device", "is a device or a pipe", "original")
def endless_original(files):
    path = files.folder / "zero.h5"
    path.symlink_to("/dev/zero")
    return path


# The watched process ------------------------------------------------------------------------------------


class Watch:
    """Records what content makes the process do, while a file is loaded."""

    EVENTS = (
        "subprocess", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "socket.", "urllib",
        "http.", "ftplib", "pickle.find_class", "marshal.loads", "code.__new__", "shutil.", "os.rename",
        "os.remove", "os.link", "os.symlink", "os.chmod", "os.chown", "os.putenv", "ctypes.dlopen", "import",
    )  # fmt: skip

    def __init__(self, folder):
        self.on, self.found, self.folder = False, [], folder
        libc = ctypes.CDLL(None, use_errno=True)
        self.inotify = libc.inotify_init1(os.O_NONBLOCK)
        every = 0x1 | 0x2 | 0x20 | 0x100 | 0x200  # access, modify, open, create, delete
        assert libc.inotify_add_watch(self.inotify, os.fsencode(folder / "canary"), every) >= 0
        sys.addaudithook(self.hook)

    def hook(self, event, args):
        if not self.on:
            return
        if event == "open":
            path, mode, flags = args
            writes = any(letter in (mode or "") for letter in "wax+") or (flags or 0) & (
                os.O_WRONLY | os.O_RDWR
            )
            expected = {self.path, *map(str, LIMITS)}
            known = not writes and (str(path) in expected or str(path).endswith((".py", ".pyc")))
            if not known and not str(path).startswith(self.temporary):
                self.found.append(f"open {path} {mode}")
        elif event.startswith(self.EVENTS) and not (event == "import" and args[0] in sys.modules):
            own = (
                event == "os.remove" and args[0] == "model.weights.h5"
            )  # of a temporary folder, by its number
            if not own and not any(str(arg).startswith(self.temporary) for arg in args):
                self.found.append(f"{event} {args}"[:300])

    def during(self, load, path):
        self.found, self.path, self.on = [], str(path), True
        self.temporary = tempfile_folder()
        try:
            load(path)
            message = None
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
        finally:
            self.on = False
        with contextlib.suppress(BlockingIOError):
            self.found.append(f"canary {os.read(self.inotify, 4096)}")
        return message, self.found


LIMITS = ()


def tempfile_folder():
    import tempfile

    return os.path.join(tempfile.gettempdir(), "tmp")


def state():
    """Everything of Keras and TensorFlow that is global and that a function of theirs could change."""
    import keras
    import tensorflow as tf

    return {
        "floatx": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
        "image_data_format": keras.config.image_data_format(),
        "dtype_policy": keras.config.dtype_policy().name,
        "traceback_filtering": keras.config.is_traceback_filtering_enabled(),
        "interactive_logging": keras.config.is_interactive_logging_enabled(),
        "custom_objects": sorted(keras.saving.get_custom_objects()),
        "safe_mode": keras.src.saving.serialization_lib.in_safe_mode(),
        "run_eagerly": tf.config.functions_run_eagerly(),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
    }


ORIGINAL = {
    "model_name": "model", "model_inputs": 3, "model_outputs": 2, "timesteps": 2, "recurrent_model": "SGU",
    "recurrent_layers": 1, "recurrent_units": 2,
}  # fmt: skip


def main(folder):
    import h5py
    import keras
    import numpy as np

    import superloop_core
    from superloop_core import limits
    from superloop_core.layer import load_weights

    global LIMITS
    LIMITS = limits._LIMITS
    canary = folder / "canary"
    canary.mkdir()
    (canary / "secret.txt").write_text("a secret of 24 bytes ...")
    (canary / "loop.toml").write_text('inputs = 3\ncells = [{use = "gru", units = 2}]\n')
    with h5py.File(canary / "other.h5", "w") as file:
        file["data"] = np.full((3, 2), 7, "float32")
    inputs = keras.Input((3,), name="input_layer")
    model = keras.Model(inputs, keras.layers.Dense(2, name="dense")(inputs))
    model.save(folder / "benign.keras")
    original = superloop_core.Model(ORIGINAL)
    original.build_all()
    loaders = {
        "model": superloop_core.load_model,
        "weights": lambda path: load_weights(model, path),
        "original": original.load_weights,
    }
    files = Files(folder)
    cell = {"use": "keras", "cell": "GRUCell", "config": {"units": 2}}
    loop = files.with_layer("Superloop", {"config": {"inputs": 3, "cells": [cell]}}, **SUPERLOOP)
    loaders["model"](loop)  # now everything is imported that is imported at a first use
    superloop_core.Superloop({"inputs": 3, "cells": [{"use": "lstm", "units": 2}]})
    loaders["weights"](folder / "benign.keras")
    watch, before = Watch(folder), state()
    weights = [array.tolist() for array in (*model.get_weights(), *original.layer.get_weights())]
    results = {"benign": watch.during(loaders["model"], folder / "benign.keras")}
    secret = canary / "secret.txt"
    results["control"] = watch.during(lambda path: secret.read_text(), folder / "benign.keras")
    for name, (loaded_by, make, _) in CASES.items():
        path = make(files)
        watch.during(lambda path: None, path)  # drops what making the file did
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        message, found = watch.during(loaders[loaded_by], path)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        now = state()
        found += [f"global state: {name}" for name in now if now[name] != before[name]]
        now = [array.tolist() for array in (*model.get_weights(), *original.layer.get_weights())]
        if now != weights:
            found.append("weights were changed")
        if grown > 200_000:  # kilobytes
            found.append(f"took {grown:,} kB of memory")
        results[name] = (message, found)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
