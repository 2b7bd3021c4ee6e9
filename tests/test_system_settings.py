"""Sources: shapes that say more."""

import copy
import pickle

import pytest

from superloop_core import Source
from superloop_core.system_settings import shape_in_words, sources_of


def test_a_source_is_a_shape_that_has_a_dtype_names_of_axes_and_may_be_optional():
    source = Source(("items", 8), dtype="int32", optional=True)
    assert source == (None, 8)
    assert isinstance(source, tuple)
    assert (source.dims, source.dtype, source.optional) == (("items", None), "int32", True)
    plain = Source((None, 3))
    assert (plain.dims, plain.dtype, plain.optional) == ((None, None), "float", False)
    assert Source(()) == ()


def test_copies_keep_everything():
    source = Source(("items", 8), dtype="int32", optional=True)
    for made in (
        copy.copy(source),
        copy.deepcopy(source),
        pickle.loads(pickle.dumps(source)),
        eval(repr(source)),
    ):
        assert type(made) is Source
        assert vars(made) == vars(source)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (((-1, 3),), "an axis of a source must be an int >= 0, a name or None: -1"),
        (((2.0, 3),), "an axis of a source must be an int >= 0, a name or None: 2.0"),
        (((True, 3),), "an axis of a source must be an int >= 0, a name or None: True"),
        ((("two words", 3),), "an axis of a source must be an int >= 0, a name or None: 'two words'"),
        (((3,), "float16"), "the dtype of a source must be one of float, bool, uint8, "),
    ],
)
def test_another_axis_or_dtype_is_refused(arguments, told):
    with pytest.raises(ValueError, match="source") as refused:
        Source(*arguments)
    assert told in str(refused.value)


def test_a_bare_tuple_is_a_source_of_floats_that_must_be_given():
    class Settings:
        sources = {"data": (None, 3)}  # noqa: RUF012

    assert vars(sources_of(Settings())["data"]) == vars(Source((None, 3)))
    assert sources_of(object()) == {}


def test_sources_in_words():
    assert shape_in_words((None, 3)) == "(batch, any, 3)"
    assert (
        shape_in_words(Source(("items", 3), "int32", optional=True)) == "(batch, items, 3) of int32, optional"
    )
