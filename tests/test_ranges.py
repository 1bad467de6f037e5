"""The grammar of a range: what it means, and one sentence for what it cannot mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invtool.transforms import TRANSFORMS, SpecError, parse
from invtool.transforms.ranges import PAPER, parse_range

STRENGTHS = [name for name, entry in TRANSFORMS.items() if entry.strength]


@pytest.mark.parametrize("name", STRENGTHS)
def test_a_name_alone_takes_the_range_of_the_registry(name: str) -> None:
    found = parse_range(name)
    assert found.identity in found.magnitudes
    assert list(found.magnitudes) == sorted(set(found.magnitudes))
    assert found.name == name
    for magnitude in found.magnitudes:
        assert parse(str(found.step.at(magnitude))).steps == (found.step.at(magnitude),)


def test_those_of_the_paper_are_there() -> None:
    assert set(PAPER) <= set(STRENGTHS)
    assert len(PAPER) == 11  # translation and scale in two directions each


@given(st.integers(1, 40), st.integers(1, 40))
def test_magnitudes_are_even_and_hold_the_identity(below: int, above: int) -> None:
    found = parse_range(f"rotate:degrees={-3 * below}:{3 * above}:{below + above + 1}")
    assert found.magnitudes == tuple(3.0 * n for n in range(-below, above + 1))


def test_other_settings_stay_and_name_it() -> None:
    found = parse_range("rotate:border=edge,degrees=-0.3:0.3:7")
    assert found.name == "rotate:border=edge"
    assert found.magnitudes == (-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3)
    assert str(found.step.at(0.3)) == "rotate:degrees=0.3,border=edge"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "rotate:degrees=10:90:9",
            "leaves out 0, where nothing changes .* as rotate:degrees=0:90:10",
        ),
        ("rotate:degrees=-90:90:36", "leaves out 0, .* as rotate:degrees=-90:90:37"),
        ("zoom:factor=2:4:3", "leaves out 1, .* as zoom:factor=1:4:4"),
        ("zoom:factor=-1:1:3", "at 0.0 'zoom' is singular"),
        ("zoom:factor=0:2:3", "is singular"),
        ("rotate:degrees=-400:400:9", "degrees of 'rotate' is within -360 to 360 degrees"),
        ("blur:sigma=-1:1:3", "sigma of 'blur' is within 0 to 64 px"),
        ("blur:sigma=0:0:1", "has COUNT 1; 2 to 1000 magnitudes are wanted"),
        ("blur:sigma=0:4:9999", "has COUNT 9999"),
        ("blur:sigma=4:0:5", "START < STOP is wanted, not 4 and 0"),
        ("blur:sigma=nan:4:5", "START < STOP is wanted"),
        ("blur:sigma=2", "a range is wanted, as sigma=START:STOP:COUNT"),
        ("blur:sigma=a:b:3", "a range is wanted"),
        ("blur:sigma=0:4", "a range is wanted"),
        ("blur:sigma=0:4:5,sigma=0:2:3", "gives sigma of 'blur' twice"),
        ("blur:size=3", "transform 'blur' has no parameter 'size'"),
        ("rot90", "transform 'rot90' has no strength to sweep; use "),
        ("blurr", "no transform 'blurr'; did you mean 'blur'"),
        ("blur+rotate", "no transform|one transform, whose strength"),
        ("none", "one transform, whose strength runs over a range, is wanted"),
        ("", "empty step"),
    ],
)
def test_what_cannot_be_swept_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence) as caught:
        parse_range(text)
    assert "\n" not in str(caught.value)
