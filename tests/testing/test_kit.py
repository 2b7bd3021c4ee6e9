"""The conformance kit: every check catches what it is for, and lets what is right pass."""

import enum
import importlib
import re
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import attrs
import pytest
from attrs.validators import ge, gt, in_, le, lt, optional
from hypothesis import HealthCheck, given, settings, strategies

from superloop_core import PluginError
from superloop_core.registry import load_registry
from superloop_core.testing import Check, CheckFailed, badge, check_plugin, conformance, fresh
from superloop_core.testing.checks.drawn import around
from superloop_core.testing.controller import add_controller

WRONG = Path(__file__).parent / "superloop_plugin_wrong"
REQUIRES = ["superloop-core>=0.1,<0.2"]

# Each wrong plugin, the check that is for it, and what is told.
CAUGHT = [
    ("two_lines", "metadata", "summary must be one line"),
    ("undescribed", "description", "the setting 'depth' must be described under 'Args:'"),
    ("untyped", "description", "the setting 'depth' must have a type"),
    ("drifting", "round_trip", "came back from a saved config as"),
    ("takes_anything", "mistakes", "takes depth = "),
    ("wide", "sizes", "output_size of its Builder is 3, but its output has 4 numbers"),
    ("growing", "weights", ""),
    ("counting", "pure", "a step changed Counting.count"),
    ("noisy", "pure", "the same step twice gives two outputs"),
    ("widening", "state", "(3, 3) float32 of the state became (3, 9)"),
    ("late", "loop_closes", "does not affect its output at t = 2, but only at t = 3"),
    ("deaf", "loop_closes", "does not affect its output at t = 2, nor later"),
    ("deaf_cell", "loop_closes", "does not affect its output at t = 2, nor later"),
    ("averaging", "rows_independent", "another first row changed the others'"),
    ("squeezed", "one_row", ""),
    ("sharing", "two_instances", "another instance's weights and steps changed this one's answers"),
    ("misnamed", "trace_views", "trace_views has 'memry', which is no trace; did you mean 'memory'?"),
    ("misshaped", "trace_views", "2 axes after sequence and timestep, ('slot', 'number'), but"),
    ("withlambda", "no_lambda", "it has the Lambda layers"),
    ("partlystopped", "gradients_reach", "no gradient reaches the numbers [2] of the 3"),
    ("doubled", "gradients_match", "it and the finite difference differ by"),
    ("remembering", "pure", "a step changed Remembering.last"),
    ("doubledingraph", "xla_is_eager", "in a graph and step by step it gives other gradients"),
    ("counting", "static_is_dynamic", "in a graph, where its Python runs once for all timesteps, it gives"),
    ("bypython", "xla_is_eager", ""),
    ("bytimesteps", "masked_is_unpadded", "a sequence of 1 timesteps, padded to 5, gives other results"),
    ("unmasked", "masked_source", "masked padding of the source 'it_book' changed"),
    ("averaged", "masked_source", "answers must be finite where all of a row's source 'it_book' is masked"),
    ("restarting", "chunks_are_the_whole", "in two parts it gives other results"),
    ("narrow", "mixed_precision", "the state 'it.memory' of a system is in float16"),
    ("exploding", "stays_finite", "answers and states after 1,000 timesteps must be finite"),
    ("saturating", "stays_finite_in_training", "weights after 2,000 training steps must be finite"),
    ("ofthisprocess", "saved_and_loaded", "loaded in a new process it gives other results"),
    ("onerow", "samples", "of 3 sequences has the shape (1, 4, 2)"),
    ("unseeded", "seeded", "the same generator draws two different batches"),
    ("lossofeachrow", "fits_its_loop", "the loss must be a scalar: (3,)"),
    ("howright", "fits_its_loop", "'correct' must be of bool: float32"),
    ("no_loop", "fits_its_loop", "its spec must have an example_loop"),
    ("notdifferentiable", "can_be_learned", "no gradient of the loss reaches a weight"),
    ("wrongsystem", "annotates", "it labels slots of 'tape', but the loop has echo"),
    ("drawnagain", "splits", "an epoch of 'train' has the example [0] twice"),
    ("forgetful", "splits", "another instance with its state gives other test examples"),
    ("traceless", "can_be_made", "'traces' must be a tuple of names"),
    ("once", "noise", "a step at t = 1 and at t = 2 uses the same noise"),
    ("inbuild", "noise", "another seed changes nothing"),
    ("byshard", "noise", "two shards of the batch give other results than the whole"),
    ("drawing", "static_is_dynamic", "a step draws random numbers that cannot be repeated"),
    ("assigning", "static_is_dynamic", "a step assigns to a variable that is no weight of the part"),
    ("assigningonce", "static_is_dynamic", "it gives other assigned weights"),
    ("alwaysassigning", "chunks_are_the_whole", "a single step cannot assign to a weight"),
    ("lossofbatch", "rows_independent", "another first row changed the others'"),
    ("bareloss", "static_is_dynamic", "must give 'losses.size' as floats (batch,)"),
    ("conjugated", "gradients_match", "it and the finite difference differ"),
    ("requiring", "masked_source", "KeyError: hint"),
    ("as_floats", "sizes", "sources of its settings are"),
    ("halflayer", "mixed_precision", "of a system computes in float16; make it in 'build'"),
    ("unbounded", "xla_is_eager", "give ops.while_loop or tf.while_loop its maximum_iterations"),
    ("of_batch", "measures", "another first row changed the others' numbers"),
    ("infinite", "measures", "it must be finite"),
    ("of_timesteps", "measures", "of 3 rows must be (3,), but with targets"),
    ("passes_after_all", "pure", "passes, but expected_failures has it: remove it there"),
]


pytestmark = pytest.mark.slow


@pytest.fixture
def wrong(tmp_plugin):
    """Install the plugins that are wrong."""
    modules = {f"superloop_plugin_wrong.{path.stem}": path.read_text() for path in WRONG.glob("*.py")}
    registry = tmp_plugin(
        "superloop-plugin-wrong",
        modules,
        entry_points={"wrong": "superloop_plugin_wrong"},
        requires=REQUIRES,
    )
    assert not registry.broken
    add_controller(registry)
    return registry


@pytest.mark.parametrize(("name", "check", "told"), CAUGHT, ids=[f"{n}-{c}" for n, c, _ in CAUGHT])
def test_each_check_catches_what_it_is_for(name, check, told, wrong):
    (result,) = check_plugin(name, only=[check]).results
    assert result.status == "failed"
    assert told in result.message
    assert result.lines[0] == result.rule
    assert len(result.lines) <= 10
    assert re.search(r"superloop_plugin_wrong.*\.py:\d+$", result.place)


RIGHT_PARTS = (
    *("right", "right_cell", "right_noisy", "right_in_training"),
    *("right_reader", "right_wave", "right_silent"),
)
RIGHT = (*RIGHT_PARTS, "right_task", "stored", "right_metric")
EXPENSIVE = {"stays_finite", "stays_finite_in_training", "xla_is_eager", "saved_and_loaded"}


@pytest.mark.parametrize(
    ("name", "expensive"),
    [
        *((name, False) for name in RIGHT),
        *(pytest.param(name, True, marks=pytest.mark.release) for name in RIGHT_PARTS),
    ],
)
def test_what_is_right_passes_every_check(name, expensive, wrong):
    checks = {check.name for check in conformance(name) if (check.name in EXPENSIVE) == expensive}
    report = check_plugin(name, only=checks)
    report.raise_failures()
    assert report.counts == {"run": len(checks), "passed": len(checks), "failed": 0, "excused": 0}


def test_there_is_a_wrong_plugin_for_every_check(wrong):
    caught = {check for _, check, _ in CAUGHT}
    every = {check.name for name in RIGHT for check in conformance(name)}
    assert every - caught == {"light_module", "import_time"}  # shown below


def test_the_place_is_the_line_that_fails_or_the_step(wrong):
    (result,) = check_plugin("chatty", only=["pure"]).results
    assert len(result.lines) == 10
    assert result.lines[1] == "ValueError: line 0 of what went wrong"
    assert re.fullmatch(r"\.\.\. and \d+ more lines", result.lines[8])
    file, _, line = result.place.rpartition(":")
    assert "raise ValueError" in Path(file).read_text().splitlines()[int(line) - 1]
    (result,) = check_plugin("late", only=["loop_closes"]).results
    file, _, line = result.place.rpartition(":")
    assert Path(file).read_text().splitlines()[int(line) - 2] == "class Late(Echo):"


def test_settings_are_drawn_until_one_fails_and_the_smallest_is_printed(wrong):
    (result,) = check_plugin("fragile", only=["drawn_settings"], thorough=True).results
    assert result.message == "with width = 5: ZeroDivisionError: too wide"
    assert result.place.endswith(".py:" + result.place.rpartition(":")[2])
    check_plugin("right", only=["drawn_settings"], thorough=True).raise_failures()
    assert "drawn_settings" not in {check.name for check in conformance("right")}


class Shape(enum.Enum):
    ROUND = "round"
    FLAT = "flat"


@attrs.frozen(kw_only=True)
class Settings:
    units: int = attrs.field(default=4, validator=[ge(2), le(5)])
    rate: float = attrs.field(default=0.5, validator=[gt(0), lt(1)])
    deep: bool = False
    kernel: Literal["a", "b"] = "a"
    shape: Shape = Shape.ROUND
    window: int | None = attrs.field(default=None, validator=optional(ge(1)))
    name: str = "x"
    score: str = attrs.field(default="dot", validator=in_(["dot", "cosine"]))


def test_settings_are_drawn_by_type_and_validator():
    drawn = {field.name: set() for field in attrs.fields(Settings)}
    for field in attrs.fields(Settings):
        strategy = around(strategies, field, getattr(Settings(), field.name))
        if strategy is not None:

            @settings(database=None, derandomize=True, suppress_health_check=list(HealthCheck))
            @given(strategy)
            def collect(value):
                drawn[field.name].add(value)  # noqa: B023, as it is called at once

            collect()
    assert drawn["units"] == {2, 3, 4, 5}
    assert 0 <= min(drawn["rate"]) < 0.1
    assert 0.9 < max(drawn["rate"]) <= 1
    assert drawn["deep"] == {False, True}
    assert drawn["kernel"] == {"a", "b"}
    assert drawn["shape"] == {"round", "flat"}
    assert drawn["score"] == {"dot", "cosine"}
    assert drawn["window"] == set()  # nothing says how large it may be
    assert drawn["name"] == set()


def test_the_name_of_a_distribution_selects_its_plugins(wrong):
    checks = conformance("Superloop_Plugin_Wrong")
    assert {check.record.name for check in checks} == {
        record.name for record in wrong.records if record.distribution == "superloop-plugin-wrong"
    }


def test_a_badge_says_how_many_checks_failed(wrong):
    for name, says in {"right": "conformant", "late": "1 failure", "growing": "3 failures"}.items():
        report = check_plugin(name, only=["weights", "loop_closes", "pure"])
        texts = ElementTree.fromstring(badge(report)).iter("{http://www.w3.org/2000/svg}text")
        assert [text.text for text in texts] == ["superloop", says]


def test_a_light_module_that_imports_keras_is_caught(tmp_plugin):
    light = (WRONG / "__init__.py").read_text() + "\nimport keras\n"
    tmp_plugin("superloop-plugin-heavy", {"superloop_plugin_heavy": light}, requires=REQUIRES)
    (result,) = check_plugin("right", only=["light_module"]).results
    assert result.message.startswith("importing superloop_plugin_heavy imports h5py, keras")


def test_a_light_module_that_is_slow_is_caught(tmp_plugin):
    light = (WRONG / "__init__.py").read_text() + "\nimport time\ntime.sleep(0.6)\n"
    tmp_plugin("superloop-plugin-slow", {"superloop_plugin_slow": light}, requires=REQUIRES)
    (result,) = check_plugin("right", only=["import_time"]).results
    assert result.message.startswith("importing superloop_plugin_slow takes 0.6")


@pytest.mark.parametrize(
    ("requires", "told"),
    [
        ([], "superloop-plugin-any must require superloop-core: add it to 'dependencies'"),
        (["superloop-core>=0.1"], "superloop-plugin-any must say up to which superloop-core it works"),
    ],
)
def test_a_distribution_that_does_not_say_which_core_it_is_made_for_is_caught(requires, told, tmp_plugin):
    light = (WRONG / "__init__.py").read_text()
    tmp_plugin("superloop-plugin-any", {"superloop_plugin_any": light}, requires=requires)
    (result,) = check_plugin("right", only=["metadata"]).results
    assert result.message.startswith(told)


def test_of_a_process_that_dies_its_last_words_are_reported(wrong):
    (result,) = check_plugin("dying", only=["saved_and_loaded"]).results
    first, *printed = result.message.splitlines()
    assert first == "the process that was to load the model ended"
    assert "out of luck" in printed


def test_a_process_that_does_not_answer_is_stopped_and_the_next_check_begins_another(wrong, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(fresh, "TIMEOUT", 0.01)
        (result,) = check_plugin("right", only=["saved_and_loaded"]).results
    rule = "the process that was to load the model did not answer within 0.01 s, and was stopped"
    assert result.message.startswith(rule)
    check_plugin("right", only=["saved_and_loaded"]).raise_failures()


def test_a_failure_that_is_expected_is_excused_with_its_reason_and_counted(wrong):
    report = check_plugin("noisy_and_says_so", only=["pure", "state"])
    assert report.ok
    assert report.counts == {"run": 2, "passed": 1, "failed": 0, "excused": 1}
    assert {result.message for result in report.results} == {"", "it draws at random"}


def test_a_check_called_by_a_test_raises_with_the_rule_and_what_was_found(wrong):
    (check,) = (check for check in conformance("late") if check.name == "loop_closes")
    assert str(check) == "system-late-loop_closes"
    with pytest.raises(CheckFailed) as failed:
        check()
    told = str(failed.value)
    assert told.startswith(
        "superloop-plugin-wrong:late (system), loop_closes: Its input at t affects its output"
    )
    with pytest.raises(CheckFailed, match="but only at t = 3"):
        check_plugin("late", only=["loop_closes"]).raise_failures()


def test_names_that_there_are_not_are_answered_with_the_nearest(wrong):
    with pytest.raises(PluginError, match=r"no plugin 'rihgt'; did you mean 'right'\?"):
        conformance("rihgt")
    with pytest.raises(PluginError, match=r"no check 'pur' for 'right'; did you mean 'pure'\?"):
        check_plugin("right", only=["pur"])
    with pytest.raises(PluginError, match="no cell 'right'"):
        conformance("cell:right")


def test_an_excuse_for_a_check_that_there_is_not_is_rejected(tmp_plugin):
    text = (WRONG / "__init__.py").read_text().replace('{"pure":', '{"puer":')
    tmp_plugin("superloop-plugin-typo", {"superloop_plugin_typo": text}, requires=REQUIRES)
    with pytest.raises(PluginError, match=r"expected_failures has 'puer', .* did you mean 'pure'\?"):
        conformance("passes_after_all")


def test_the_controller_of_the_kit_is_added_once():
    registry = load_registry()
    add_controller(registry)
    add_controller(registry)
    assert registry.resolve("cell", "superloop-core:controller").distribution == "superloop-core"


@pytest.mark.parametrize("error", [pytest.skip.Exception("not today"), GeneratorExit(), SystemExit(0)])
def test_a_check_fails_whatever_is_raised_and_a_plugin_cannot_skip_it(error):
    def check(record):
        """It raises."""
        raise error

    record = load_registry().resolve("cell", "gru")
    result = Check(name="raises", record=record, function=check).run()
    assert (result.status, result.message.partition(":")[0]) == ("failed", type(error).__name__)


def test_a_class_that_was_changed_is_checked_anew(wrong, monkeypatch):
    def statuses():
        return [result.status for result in check_plugin("right", only=["static_is_dynamic"]).results]

    assert statuses() == ["passed"]
    parts = importlib.import_module("superloop_plugin_wrong.parts")
    monkeypatch.setattr(parts.Echo, "answer", lambda self, control, state, constants: control - state.memory)
    assert statuses() == ["passed"]
