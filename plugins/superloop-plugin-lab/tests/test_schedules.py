import numpy as np
import pytest
from superloop_plugin_lab import TrainConfig
from superloop_plugin_lab.schedules import learning_rate

RATE, STEPS, FINAL = 0.8, 8, 0.1
SHAPES = {
    "constant": lambda share: RATE,
    "cosine": lambda share: FINAL + (RATE - FINAL) * (1 + np.cos(np.pi * share)) / 2,
    "linear": lambda share: RATE + (FINAL - RATE) * share,
    "exponential": lambda share: RATE * (FINAL / RATE) ** share,
}


@pytest.mark.parametrize("warmup", [0, 3])
@pytest.mark.parametrize("schedule", SHAPES)
def test_a_learning_rate_grows_to_its_value_and_then_follows_the_schedule(schedule, warmup):
    final = {} if schedule == "constant" else {"final_learning_rate": FINAL}
    settings = {"learning_rate": RATE, "steps": STEPS, "warmup_steps": warmup, "schedule": schedule, **final}
    rate = learning_rate(TrainConfig(**settings))
    rates = [rate if isinstance(rate, float) else float(rate(step)) for step in range(STEPS + 1)]
    after = [SHAPES[schedule](step / (STEPS - warmup)) for step in range(STEPS + 1 - warmup)]
    np.testing.assert_allclose(rates, [RATE * n / 3 for n in range(1, warmup + 1)] + after, rtol=1e-6)


def test_the_inverse_square_root_is_that_of_the_step_number():
    settings = TrainConfig(learning_rate=RATE, warmup_steps=4, schedule="inverse_sqrt")
    rates = [float(learning_rate(settings)(step)) for step in (0, 3, 4, 16, 64)]
    np.testing.assert_allclose(rates, [RATE / 4, RATE, RATE, RATE / 2, RATE / 4], rtol=1e-6)


def test_a_final_learning_rate_needs_a_schedule_that_ends_there():
    with pytest.raises(ValueError, match="'final_learning_rate' needs the schedule cosine, linear or exp"):
        TrainConfig(schedule="constant", final_learning_rate=0.1)
    with pytest.raises(ValueError, match="exponential needs 'final_learning_rate' > 0"):
        TrainConfig(schedule="exponential")
