"""The registry and the spec grammar."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from invtool.transforms import TRANSFORMS, Choice, Spec, SpecError, parse

THE_TWELVE = {
    "color": {"grayscale", "color-rotation"},
    "convolution": {
        "contrast-inversion",
        "blur",
        "horizontal-filter",
        "vertical-filter",
        "high-pass",
    },
    "noise": {"white-noise", "salt-pepper"},
    "geometric": {"rot90", "rot180", "thinning"},
}


def test_the_twelve_of_the_paper_are_there_in_their_families():
    for family, names in THE_TWELVE.items():
        assert {TRANSFORMS[name].family for name in names} == {family}
    paper = {name for name, entry in TRANSFORMS.items() if entry.source.startswith("categories")}
    assert paper == set().union(*THE_TWELVE.values())


@pytest.mark.parametrize("entry", TRANSFORMS.values(), ids=lambda entry: entry.name)
def test_an_entry_matches_its_function(entry):
    accepted = inspect.signature(entry.function).parameters
    expected = ["image", *(parameter.name for parameter in entry.parameters)]
    expected += ["seed", "index"] if entry.random else []
    assert list(accepted) == expected
    assert entry.function.__doc__.count(">>>")
    assert entry.help
    assert entry.source
    for parameter in entry.parameters:
        assert parameter.help
        if isinstance(parameter, Choice):
            assert parameter.default in parameter.words
            continue
        assert parameter.unit
        assert parameter.default == "auto" or parameter.low <= parameter.default <= parameter.high
    if entry.strength:
        strength = entry.strength_parameter
        start, stop, count = map(float, entry.sweep.split(":"))
        assert strength.low <= start <= entry.identity <= stop <= strength.high
        assert entry.identity in np.linspace(start, stop, int(count))
        assert strength.singular not in np.linspace(start, stop, int(count))
        assert entry.step > 0
    else:
        assert (entry.sweep, entry.step) == (None, None)


def test_what_calibration_raises_and_by_how_much():
    steps = {name: (e.strength, e.step) for name, e in TRANSFORMS.items() if e.strength}
    assert steps == {
        "grayscale": ("amount", 0.1),
        "brightness": ("share", 0.05),
        "contrast": ("factor", 0.25),
        "blur": ("sigma", 0.5),
        "white-noise": ("sigma", 25.0),
        "salt-pepper": ("share", 0.05),
        "rotate": ("degrees", 15.0),
        "translate-x": ("share", 0.0625),
        "translate-y": ("share", 0.0625),
        "scale-x": ("factor", 0.125),
        "scale-y": ("factor", 0.125),
        "zoom": ("factor", 0.125),
    }


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("none", "none"),
        (" none ", "none"),
        ("blur", "blur:sigma=2"),
        ("blur:sigma=3", "blur:sigma=3"),
        ("blur:sigma=3.50", "blur:sigma=3.5"),
        ("white-noise", "white-noise:sigma=75"),
        ("rotate:degrees=-90", "rotate:degrees=-90"),
        ("rotate:degrees=-0", "rotate:degrees=0"),
        ("salt-pepper:share=1e-5", "salt-pepper:share=1e-05"),
        ("blur : sigma = 1 + rot90", "blur:sigma=1+rot90"),
        ("white-noise+white-noise", "white-noise:sigma=75+white-noise:sigma=75"),
        ("grayscale", "grayscale"),
        ("grayscale:amount=1", "grayscale"),
        ("grayscale:amount=0.5", "grayscale:amount=0.5"),
        ("rotate:border=zeros", "rotate:degrees=30"),
        ("translate-x:border=edge", "translate-x:share=0.25,border=edge"),
        ("scale-x:factor=-1", "scale-x:factor=-1"),
        ("embed", "embed:size=0.45,fill=inpaint"),
        ("embed : fill = black", "embed:size=0.45,fill=black"),
        ("deform", "deform:grid=auto,pixels=auto,border=edge"),
        ("deform:grid=5,pixels=10", "deform:grid=5,pixels=10,border=edge"),
    ],
)
def test_the_canonical_text(text, canonical):
    assert str(parse(text)) == canonical
    assert parse(canonical) == parse(text)


def numbers(parameter):
    kind = st.integers if parameter.whole else st.floats
    allowed = kind(parameter.low, parameter.high).filter(lambda value: value != parameter.singular)
    number = allowed.map(repr)
    return number | st.just("auto") if parameter.default == "auto" else number


def steps():
    def values(entry):
        known = {
            p.name: st.sampled_from(p.words) if isinstance(p, Choice) else numbers(p)
            for p in entry.parameters
        }
        return st.fixed_dictionaries(known).map(lambda given: (entry.name, given))

    return st.sampled_from(list(TRANSFORMS.values())).flatmap(values)


@settings(max_examples=100, deadline=None)
@given(st.lists(steps(), min_size=1, max_size=4))
def test_every_spec_round_trips(chain):
    parts = []
    for name, given_values in chain:
        pairs = ",".join(f"{key}={value}" for key, value in given_values.items())
        parts.append(f"{name}:{pairs}" if pairs else name)
    spec = parse("+".join(parts))
    assert parse(str(spec)) == spec
    assert str(parse(str(spec))) == str(spec)
    assert hash(spec) == hash(parse(str(spec)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("blurr", "no transform 'blurr'; did you mean 'blur'? `invtool transform --list`"),
        ("Rot90", "did you mean 'rot90'?"),
        ("rotation", "did you mean 'rotate'?"),
        ("noise", "did you mean 'white-noise'?"),
        ("zzzz", "no transform 'zzzz'; `invtool transform --list` shows them all"),
        ("blur:radius=2", "transform 'blur' has no parameter 'radius'; it has sigma"),
        ("embed:fill=red", "fill of 'embed' is inpaint, black, edge or mean, not 'red'"),
        ("rot90:degrees=90", "transform 'rot90' has no parameters, but 'degrees=90' was given"),
        ("blur:sigma=big", "sigma of 'blur' is a number, 0 to 64 px, not 'big'"),
        ("blur:sigma=", "sigma of 'blur' is a number, 0 to 64 px, not ''"),
        ("blur:sigma=nan", "sigma of 'blur' is within 0 to 64 px, not nan"),
        ("blur:sigma=-1", "sigma of 'blur' is within 0 to 64 px, not -1"),
        ("blur:sigma=inf", "not inf"),
        (
            "zoom:factor=0",
            "factor of 'zoom' is within -100 to 100 other than 0; at 0 'zoom' is singular",
        ),
        ("scale-x:factor=-0", "at -0 'scale-x' is singular: all pixels would be read at one place"),
        (
            "translate-x:border=wrap",
            "border of 'translate-x' is zeros, edge or reflect, not 'wrap'",
        ),
        ("salt-pepper:share=1.5", "share of 'salt-pepper' is within 0 to 1, not 1.5"),
        ("deform:grid=2.5", "grid of 'deform' is a whole number, 2 to 16 points or auto, not 2.5"),
        ("deform:grid=inf", "grid of 'deform' is a whole number, 2 to 16 points or auto, not inf"),
        ("deform:grid=1", "grid of 'deform' is within 2 to 16 points or auto, not 1"),
        ("deform:pixels=far", "pixels of 'deform' is a number, 0 to 1024 px or auto, not 'far'"),
        ("blur:sigma=auto", "sigma of 'blur' is a number, 0 to 64 px, not 'auto'"),
        ("blur:3", "'3' is no setting of 'blur'; write sigma=VALUE"),
        ("blur:", "write sigma=VALUE"),
        ("blur:sigma=1,sigma=2", "'blur:sigma=1,sigma=2' gives a parameter of 'blur' twice"),
        ("blur:sigma=1,", "write sigma=VALUE"),
        ("", "transform spec '' has an empty step; write NAME:KEY=VALUE"),
        ("+", "has an empty step"),
        ("blur+", "transform spec 'blur+' has an empty step"),
        ("blur++rot90", "has an empty step"),
        (":sigma=2", "has an empty step"),
        ("none+blur", "'none' stands alone; in 'none+blur' it is joined to other steps"),
    ],
)
def test_what_cannot_be_read_gets_one_sentence(text, sentence):
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_the_identity_returns_the_image():
    image = torch.rand(2, 3, 4, 4)
    assert torch.equal(Spec()(image), image)
    assert torch.equal(parse("none")(image), image)


def test_steps_apply_from_left_to_right():
    image = torch.rand(2, 3, 8, 8) * 255
    expected = parse("thinning")(parse("rot90")(image))
    assert torch.equal(parse("rot90+thinning")(image), expected)
    assert not torch.equal(parse("thinning+rot90")(image), expected)


def test_noise_depends_on_the_seed_the_index_and_the_place_in_the_chain():
    image = torch.zeros(3, 1, 16, 16)
    spec = parse("white-noise:sigma=1")
    once = spec(image, seed=9)
    assert torch.equal(spec(image, seed=9), once)
    assert torch.equal(spec(image, seed=9, index=torch.arange(3)), once)
    assert not torch.equal(spec(image, seed=10), once)
    assert torch.equal(spec(image[1:], seed=9, index=torch.tensor([1, 2])), once[1:])
    twice = parse("white-noise:sigma=1+white-noise:sigma=1")(image, seed=9)
    assert not torch.allclose(twice, 2 * once)
    assert abs(twice.std() - 2**0.5) < 0.15  # independent noises add in variance
    assert (spec.random, parse("blur+rot90").random) == (True, False)
