"""Synthetic tasks: one image a class, its examples deformations that belong to (seed, class, example)."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import Run, runner, write_set

from invtool.data.deformed import class_images
from invtool.data.sets import TEST, TRAIN, ImageSet
from invtool.data.sources import open_data
from invtool.data.specs import BORDER, DEFORMED_OPTIONS, parse
from invtool.errors import InvtoolError, UsageError
from invtool.transforms.registry import BORDERS, TRANSFORMS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "small.h5")  # 4 categories, 8 training images of each
    return tmp_path


def drawn(options: str) -> ImageSet:
    return open_data(f"deformed:source=small.h5,{options}")


def test_without_strength_every_example_is_its_one_image() -> None:
    source, images = open_data("small.h5"), drawn("strength=0,classes=6,train=3,test=2")
    original = class_images(source, 6, seed=0)
    assert len(set(original.tolist())) == 6 and (source.split[original] == TRAIN).all()
    assert sorted(source.label[original[:4]]) == [0, 1, 2, 3]  # one of each, before another of any
    np.testing.assert_array_equal(images.label, np.repeat(np.arange(6), 5))
    np.testing.assert_array_equal(images.split, np.tile([TRAIN, TRAIN, TRAIN, TEST, TEST], 6))
    np.testing.assert_array_equal(images.image, source.image[original[images.label]])
    assert images.image.dtype == np.uint8
    assert images.categories[0] == f"quadrant {source.label[original[0]]} (image {original[0]})"
    assert not np.array_equal(class_images(source, 6, seed=1), original)


def test_an_example_is_the_deformation_of_its_number() -> None:
    import torch

    from invtool.transforms.deformation import draw_displacement, field, warp

    source, images = open_data("small.h5"), drawn("strength=2,classes=3,train=4,test=2,seed=5")
    original = source.image[class_images(source, 3, seed=5)].astype(np.float32)
    for row in (0, 9, 16):  # the last one is class 2's first test example
        example = 2**31 if row == 16 else row % 6
        number = torch.tensor([images.label[row] * 2**32 + example])
        moved = field(draw_displacement(3, 2.0, seed=5, index=number), 8, 8)
        wanted = warp(torch.from_numpy(original[images.label[row]][None]), moved, BORDER)
        np.testing.assert_allclose(images.image[row], wanted[0], atol=0.501)


def test_more_classes_or_examples_change_none() -> None:
    few = drawn("strength=2,classes=3,train=4,test=2")
    many = drawn("strength=2,classes=5,train=7,test=3")
    np.testing.assert_array_equal(few.image, drawn("strength=2,classes=3,train=4,test=2").image)
    for split, count, more in ((TRAIN, 4, 7), (TEST, 2, 3)):
        shape = (-1, count, *few.image.shape[1:])
        wide = many.image[many.indices(split)].reshape(-1, more, *shape[2:])[:3, :count]
        np.testing.assert_array_equal(few.image[few.indices(split)].reshape(shape), wide)
    assert len(np.unique(many.image, axis=0)) == len(many.image)  # no example twice, in no split


def test_strength_moves_and_the_border_shows() -> None:
    source = open_data("small.h5")
    far = []
    for strength in (0.5, 1, 2, 3):
        images = drawn(f"strength={strength},classes=4,train=20,test=1")
        still = source.image[class_images(source, 4, seed=0)[images.label]]
        far.append(float(np.abs(images.image.astype(int) - still).mean()))
    assert far == sorted(far) and far[0] > 0
    dark = {b: drawn(f"strength=3,border={b},classes=4,train=9,test=1").image for b in BORDERS}
    assert (dark["zeros"] == 0).mean() > (dark["edge"] == 0).mean()
    assert not np.array_equal(dark["edge"], dark["reflect"])


def test_the_border_is_that_of_the_transform() -> None:
    (border,) = (p for p in TRANSFORMS["deform"].parameters if p.name == "border")
    assert border.default == BORDER


def test_float_images_stay_float(folder: Path) -> None:
    write_set(folder / "float.h5", dtype=np.float32)
    exact = open_data("deformed:source=float.h5,strength=2,classes=2,train=3,test=1")
    rounded = drawn("strength=2,classes=2,train=3,test=1")
    assert exact.image.dtype == np.float32
    np.testing.assert_array_equal(exact.image.round(), rounded.image)


@given(
    st.fixed_dictionaries(
        {}, optional={key: st.integers(low, 500) for key, (_, low) in DEFORMED_OPTIONS.items()}
    ),
    st.sampled_from(BORDERS),
    st.integers(0, 64).map(lambda n: n / 4),
)
def test_the_canonical_text_reads_back_alike(
    options: dict[str, int], border: str, strength: float
) -> None:
    told = ",".join(f"{key}={value}" for key, value in options.items())
    spec = parse(f"deformed:border={border},source=mnist,{told},strength={strength}")
    assert parse(str(spec)) == spec and str(parse(str(spec))) == str(spec)
    assert spec.deformation and spec.deformation.strength == strength
    assert len(str(spec)) <= len(
        f"deformed:source=mnist,strength={strength},border={border},{told}"
    )


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("", UsageError, "source= is wrong; a data set without options is wanted, as source=mnist"),
        ("source=small.h5", UsageError, "strength= is wrong; pixels from 0 are wanted"),
        ("source=small.h5,strength=x", UsageError, "strength=x is wrong"),
        ("source=small.h5,strength=-1", UsageError, "strength=-1 is wrong"),
        ("source=small.h5,strength=nan", UsageError, "strength=nan is wrong"),
        ("source=small.h5,strength=inf", UsageError, "strength=inf is wrong"),
        ("source=facse,strength=1", UsageError, "did you mean faces?"),
        ("source=missing.h5,strength=1", InvtoolError, "missing.h5: no such file"),
        ("source=faces:size=16,strength=1", UsageError, "a data set without options is wanted"),
        (
            "source=small.h5,strength=1,size=8",
            UsageError,
            "no option 'size'; it has classes, train",
        ),
        ("source=small.h5,strength=1,grid=1", UsageError, "grid=1 is wrong; an integer from 2"),
        ("source=small.h5,strength=1,border=x", UsageError, "border=x is none of zeros, edge"),
        ("source=small.h5,strength=1,classes=33", UsageError, "small.h5 has 32 training images"),
    ],
)
def test_mistakes(text: str, kind: type[InvtoolError], sentence: str) -> None:
    with pytest.raises(kind) as caught:
        open_data(f"deformed:{text}")
    assert type(caught.value) is kind and sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def test_a_network_is_trained_on_it_and_tells_so(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from small import NETWORK

    from invtool.files import models

    (folder / "nets.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(folder))
    spec = "deformed:source=small.h5,strength=1,classes=4,train=6,test=3"
    line = f"train -d {spec} -n py:nets:flat --batch-size 8 --threads 1 -o d.st"
    code, _, err = run(f"{line} --epochs 3")
    assert code == 0, err
    told = models.read_metadata(folder / "d.st")
    assert told["data"] == str(parse(spec)) and len(told["categories"]) == 4
    code, _, err = run("evaluate d.st --format json")
    assert code == 0, err
    assert run(f"{line} --overwrite --seen 5 -t blur")[2].endswith("has 4 categories\n")
    assert run(f"data {spec} -o d.h5")[0] == 0
    np.testing.assert_array_equal(open_data("d.h5").image, open_data(spec).image)
