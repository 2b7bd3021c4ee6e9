"""MyTask, the task itself."""

from keras import ops
from superloop_core import Annotation, Batch


class MyTask:
    """Bits come one a timestep; the output at the last timestep is to be the first bit.

    ::

        1 0 0 1        target 1
    """

    traces = ()  # what loss and correct read besides the outputs

    def __init__(self, settings):
        self.settings = settings

    def sample(self, rng, batch_size):
        """Draw sequences: inputs ``(batch, length, 1)`` and targets ``(batch,)``."""
        bits = rng.integers(0, 2, size=(batch_size, self.settings.length))
        bits = bits.astype("float32")
        return Batch(inputs={"inputs": bits[:, :, None]}, targets=bits[:, 0])

    def loss(self, targets, results):
        """Return the mean cross-entropy of the last output, a logit."""
        logits = results["outputs"][:, -1, 0]
        return ops.mean(ops.softplus(logits) - targets * logits)

    def correct(self, targets, results):
        """Tell for each sequence whether the bit is right."""
        return (results["outputs"][:, -1, 0] > 0) == (targets > 0.5)

    def annotate(self, batch, row):
        """Say what a picture of a sequence should."""
        bits = batch.inputs["inputs"][row, :, 0].astype(int)
        return Annotation(title=" ".join(map(str, bits)), system="")
