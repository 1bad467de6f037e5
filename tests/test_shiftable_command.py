"""`invtool shiftable`: a network without stride, one whose count is worked out by hand, factors."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from small import Run, room, runner
from torch import nn

from invtool.files import hdf5
from invtool.models.architectures.resnet20_cifar import resnet20_cifar
from invtool.models.capture import probe
from invtool.models.subsampling import subsampling

NETS = '''
import torch
from torch import nn
from torch.nn import functional as F

def whole():
    """No stride: convolutions see zeros beyond the frame, as around the object."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.ReLU(),
        nn.Conv2d(6, 5, 5, padding=2, bias=False), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4),
    )

def halved():
    """Every second pixel: of a bright one, all of the sum or nothing."""
    net = nn.Sequential(
        nn.Conv2d(3, 1, 1, stride=2, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(1, 4),
    )
    nn.init.ones_(net[0].weight)
    return net

def blurred():
    """The same after averaging over pairs of rows and columns: every pixel counts alike."""
    net = nn.Sequential(nn.AvgPool2d(2, 1, padding=1, count_include_pad=True), *halved())
    return net
'''
SHOWN = "--size 16 --mean 0 --std 1 -d small.h5 --fill black --threads 1"


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("shiftable")
    with room(top):
        (top / "sums.py").write_text(NETS)
        yield top


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def rows(run: Run, line: str) -> dict[str, dict[str, float]]:
    code, out, err = run(f"shiftable {line} -f json -q")
    assert code == 0, err
    return {row["layer"]: row for row in json.loads(out)["rows"]}


@pytest.mark.parametrize("direction", ["vertical", "horizontal", "diagonal"])
def test_a_network_without_stride_is_shiftable(run: Run, direction: str) -> None:
    """The object stays 3 px off the frame, as far as the convolutions see."""
    found = rows(run, f"py:sums:whole {SHOWN} --object 6 --range -2:2 --direction {direction}")
    assert list(found) == ["1", "3", "4"]
    for row in found.values():
        assert row["changes"] == 0
        assert row["maps used"] > 10  # of 10 images
        assert row["subsampling"] == "1"
    sums = arrays(run, f"py:sums:whole {SHOWN} --object 6 --range -2:2")
    total = sums["layers/3/global_sum"]
    assert np.allclose(total, total[:, :1], rtol=1e-5)


def test_stride_two_and_a_single_pixel_give_the_count_worked_out_by_hand(run: Run) -> None:
    """Rows 7 - 3 to 7 + 3 of a pixel in column 7: an odd column is never read, so none is active."""
    silent = rows(run, f"py:sums:halved {SHOWN} --object 1 --range 3")["1"]
    assert silent["maps used"] == 0
    assert silent["changes"] is None
    # Down the diagonal from (4, 4) to (10, 10): read at 4, 6, 8, 10, so all 6 steps change the sum,
    # by all of it, which is more than 20 % of its mean of 4/7.
    found = rows(run, f"py:sums:halved {SHOWN} --object 1 --range 3 --direction diagonal")["1"]
    assert found["changes"] == 6
    assert found["chance a step"] == 1
    assert found["subsampling"] == "2"
    held = arrays(run, f"py:sums:halved {SHOWN} --object 1 --range 3 --direction diagonal")
    assert (held["layers/1/global_sum"][:, 1::2] == 0).all()  # (4, 4) is offset -3
    assert (held["layers/1/global_sum"][:, ::2] > 0).all()
    # Changes by less than a share of 1.8 of the mean do not count.
    line = f"py:sums:halved {SHOWN} --object 1 --range 3 --direction diagonal --share 2.4"
    assert rows(run, line)["1"]["changes"] == 0


def test_blur_before_the_stride_makes_it_shiftable(run: Run) -> None:
    found = rows(run, f"py:sums:blurred {SHOWN} --object 1 --range 3")
    assert found["2"]["changes"] == 0
    assert found["2"]["subsampling"] == "2"


def arrays(run: Run, line: str) -> dict[str, np.ndarray]:
    assert run(f"shiftable {line} -o out.h5 --overwrite -q")[0] == 0
    with hdf5.open(Path("out.h5"), ["shiftability"]) as file:
        return {key: file.array(key) for key in file.names()}


def test_the_batch_changes_nothing_but_rounding(run: Run) -> None:
    line = f"py:sums:whole {SHOWN} --object 6 --range 3 --fill inpaint"
    alone, together = (arrays(run, f"{line} --batch-size {n}") for n in (1, 5))
    for name, value in alone.items():
        if value.dtype.kind == "f":
            assert np.allclose(value, together[name], rtol=1e-4, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("--range 0", 2, "has one position"),
        ("--range 9", 2, "leaves the frame, which allows -4:5"),
        ("-l 6", 2, "layer 6 of py:sums:whole has no positions to sum over"),
        ("-l conv", 2, "no layer 'conv'"),
        ("--object 17", 2, "--object 17: the network's input has 16 pixels"),
        ("--protocol scale --direction diagonal", 2, "--direction is not of --protocol scale"),
    ],
)
def test_what_cannot_work_is_one_sentence(run: Run, line: str, code: int, sentence: str) -> None:
    found, out, err = run(f"shiftable py:sums:whole {SHOWN} {line} -o no.h5")
    sentences = [text for text in err.splitlines() if "runs your own code" not in text]
    assert (found, out, len(sentences)) == (code, "", 1), err
    assert sentence in sentences[0]
    assert not Path("no.h5").exists()


def factors(network: nn.Module, size: int = 32) -> dict[str, tuple[float, float]]:
    example = torch.rand(2, 3, size, size)
    layers = [layer for layer in probe(network.eval(), example) if len(layer.shape) == 3]
    return subsampling(network, layers, example)


def test_factors_are_products_of_strides_whatever_the_padding() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 7, stride=2),  # 13 of 32 positions, no quotient of them
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.ZeroPad2d(3),
        nn.Conv2d(4, 4, 3, stride=(1, 3)),
        nn.Upsample(scale_factor=2),
        nn.AvgPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    expected = [(2, 2), (4, 4), (4, 4), (4, 12), (2, 6), (4, 12)]
    assert list(factors(network).values()) == expected


def test_factors_of_a_shortcut_that_takes_every_second_pixel() -> None:
    found = factors(resnet20_cifar(categories=10))
    assert found["relu"] == (1, 1)
    assert found["layer2.0.relu_1"] == (2, 2)
    assert found["layer3.2.relu_1"] == (4, 4)
