"""Networks by reference: what is refused and how it is said, files, weights from elsewhere, preprocessing."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from invtool.errors import InvtoolError, UsageError
from invtool.files import messages, models
from invtool.models.architectures import build
from invtool.models.capture import select
from invtool.models.networks import Network, load
from invtool.models.normalization import PER_IMAGE, normalize, per_channel, standardize
from invtool.models.references import Reference, check, parse

SHARED = Path(__file__).parents[2] / "shared" / "data"
TINY = {"blocks": [[1, 4], [1, 8]]}
IMAGES = torch.randint(0, 256, (3, 3, 16, 16), generator=torch.Generator().manual_seed(0))

OWN_NETWORK = """
from torch import nn

def make():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 5))
    network.input_size, network.mean, network.std = (3, 16, 16), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    return network

def bare(categories=2):
    return nn.Sequential(nn.Flatten(), nn.Linear(768, categories))

answer = 42

def wrong():
    return answer
"""


def model_file(path: Path, name: str = "blocks", **changes: Any) -> Path:
    arguments = {"categories": 2, "channels": 3, "height": 16, "width": 16, **TINY}
    metadata = {
        "architecture": {"name": name, "arguments": arguments},
        "input": {"channels": 3, "height": 16, "width": 16},
        "normalization": PER_IMAGE,
        "categories": ["cat", "dog"],
        **changes,
    }
    models.save(path, build(name, arguments, seed=3).state_dict(), metadata, [])
    return path


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"own_{tmp_path.name}"  # each test imports a module of its own
    (tmp_path / f"{name}.py").write_text(OWN_NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"py:{name}"


def test_parsing_and_checking_import_no_torch() -> None:
    code = (
        "import sys; from invtool.models.references import check, parse;"
        "check(parse('torchvision:resnet18')); check(parse('blocks'), untrained=True);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("alexnets", "no network 'alexnets', nearest is 'alexnet'; there are blocks"),
        ("missing.st", "missing.st: no such file"),
        ("folder/model", "folder/model: no such file"),
        (".", "a folder"),
        ("timm:", "'timm:' is not of the form timm:NAME"),
        ("py:module", "'py:module' is not of the form py:MODULE:CALLABLE"),
        ("py:net.py:make it", "is not of the form py:MODULE:CALLABLE"),
        ("py:nowhere_to_be_found:make", "there is no module nowhere_to_be_found"),
    ],
)
def test_a_wrong_reference_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InvtoolError, match=sentence):
        parse(text)


def test_weights_alone_are_no_network(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "w.pth")
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        with pytest.raises(UsageError, match=f"name the network, and add --weights .*{name}"):
            check(parse(str(tmp_path / name)))


def test_options_that_do_not_go_together(tmp_path: Path) -> None:
    weights = tmp_path / "w.st"
    save_file({"a": torch.zeros(1)}, weights)
    with pytest.raises(UsageError, match="--mean and --std go together"):
        check(parse("blocks"), untrained=True, mean=[0.5])
    with pytest.raises(UsageError, match="exclude each other"):
        check(parse("blocks"), untrained=True, weights=weights)
    with pytest.raises(UsageError, match="give --weights FILE or --untrained"):
        check(parse("blocks"))
    with pytest.raises(UsageError, match="has weights of its own"):
        check(parse(str(model_file(tmp_path / "model.st"))), weights=weights)
    with pytest.raises(InvtoolError, match=r"none\.st: no such file"):
        check(parse("blocks"), weights=tmp_path / "none.st")


def test_a_model_file_tells_everything(tmp_path: Path) -> None:
    path = model_file(tmp_path / "model.st")
    network = load(parse(str(path)))
    assert network.categories == ["cat", "dog"] and network.input == (3, 16, 16)
    assert network.metadata["architecture"]["name"] == "blocks"
    reference = build("blocks", {"categories": 2, **TINY}, seed=3).eval()
    with torch.inference_mode():
        wanted = reference(standardize(IMAGES.float()))
        torch.testing.assert_close(network(IMAGES), wanted)
        torch.testing.assert_close(network(IMAGES.to(torch.uint8)), wanted)
    assert not network.module.training
    assert [layer.name for layer in select(network.layers, ["penultimate"])] == ["pool"]
    assert network.layers is network.layers


def test_a_model_file_may_be_a_spooled_pipe(tmp_path: Path) -> None:
    spooled = model_file(tmp_path / "x.spool")
    assert parse("-") == Reference("-", Path("-"))
    check(parse("-"))
    assert load(Reference("-", spooled)).name == "standard input"


def test_an_untrained_model_file_is_its_architecture(tmp_path: Path) -> None:
    path = model_file(tmp_path / "model.st")
    fresh = load(parse(str(path)), untrained=True, seed=8)
    wanted = build("blocks", {"categories": 2, **TINY}, seed=8)
    assert torch.equal(fresh.module.fc.weight, wanted.fc.weight)


def test_images_of_another_size_are_resized_only_if_asked(tmp_path: Path) -> None:
    path = model_file(tmp_path / "model.st")
    large = torch.full((2, 3, 20, 24), 7.0)
    with pytest.raises(
        InvtoolError, match=r"20x24 pixels, .*model.st takes 16x16; --size 16 resizes"
    ):
        load(parse(str(path)))(large)
    resizing = load(parse(str(path)), size=16)
    assert resizing(large).shape == (2, 2)
    assert resizing.prepared(large).shape == (2, 3, 16, 16)
    with pytest.raises(InvtoolError, match=r"the images have 1 channel, .* takes 3"):
        resizing(large[:, :1])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"categories": ["cat", "dog", "owl"]}, "names 3 categories and gives 2 logits"),
        ({"input": {"channels": 3}}, "its metadata lacks 'height'"),
        (
            {"input": {"channels": 1, "height": 16, "width": 16}},
            "does not run on images of 1x16x16",
        ),
        ({"architecture": {"name": "blockz", "arguments": {}}}, "no network 'blockz', nearest"),
        ({"architecture": {"name": "blocks", "arguments": {}}}, "cannot build 'blocks' with {}"),
    ],
)
def test_a_model_file_that_contradicts_itself(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    path = model_file(tmp_path / "model.st")
    metadata = {**models.read_metadata(path), **changes}
    models.save(path, models.load_tensors(path), metadata, [])
    with pytest.raises(InvtoolError, match=sentence):
        load(parse(str(path)))


def test_a_truncated_model_file(tmp_path: Path) -> None:
    path = model_file(tmp_path / "model.st")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InvtoolError, match="truncated"):
        check(parse(str(path)))


def test_weights_from_elsewhere_decide_the_number_of_categories(tmp_path: Path) -> None:
    state = build("resnet20-cifar", {"categories": 7}, seed=1).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pth")
    wrapped = {f"module.{key}": value for key, value in state.items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, tmp_path / "w.ckpt")
    counters = [key for key in state if key.endswith("num_batches_tracked")]
    torch.save({k: v for k, v in state.items() if k not in counters}, tmp_path / "old.pt")
    for name in ("w.safetensors", "w.pth", "w.ckpt", "old.pt"):
        network = load(parse("resnet20-cifar"), weights=tmp_path / name)
        assert torch.equal(network.module.linear.weight, state["linear.weight"])
    assert network.normalization["mean"] == [0.485, 0.456, 0.406]
    assert network.metadata == {} and network.categories is None


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    state = build("resnet20-cifar", {}).state_dict()
    path = tmp_path / "w.st"
    reference = parse("resnet20-cifar")
    save_file({k: v for k, v in state.items() if k != "bn1.weight"} | {"head": torch.ones(1)}, path)
    with pytest.raises(InvtoolError, match=r"lacks 'bn1.weight' and has the unknown 'head'"):
        load(reference, weights=path)
    save_file({**state, "conv1.weight": torch.zeros(16, 3, 5, 5)}, path)
    with pytest.raises(InvtoolError, match=r"'conv1\.weight' is 16x3x5x5, wanted 16x3x3x3"):
        load(reference, weights=path)
    save_file({"head": torch.ones(1), "tail": torch.ones(1)}, path)
    with pytest.raises(
        InvtoolError, match=r"lacks 'conv1.weight' and \d+ more and has the unknown"
    ):
        load(reference, weights=path)


def test_weights_that_could_run_code_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(InvtoolError, match=r"could run code when read.*convert it with: python -c"):
        load(parse("resnet20-cifar"), weights=path)
    path.write_bytes(b"nothing")
    with pytest.raises(InvtoolError):
        load(parse("resnet20-cifar"), weights=path)


def test_the_users_own_network(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    network = load(parse(f"{own}:make"))
    assert network.input == (3, 16, 16) and network.normalization["std"] == [0.25] * 3
    assert network(IMAGES).shape == (3, 5)
    load(parse(f"{own}:make"))
    assert capsys.readouterr().err.count("runs your own code") == 1
    assert load(parse(f"{own}:make"), mean=[0], std=[1]).normalization["mean"] == [0, 0, 0]


def test_the_users_own_network_may_need_help(own: str) -> None:
    reference = parse(f"{own}:bare")
    with pytest.raises(UsageError, match="does not tell its input; give --size"):
        load(reference)
    with pytest.raises(UsageError, match="normalized; give --mean and --std"):
        load(reference, size=16)
    assert load(reference, size=16, mean=[0.5], std=[0.5], categories=6)(IMAGES).shape == (3, 6)
    with pytest.raises(InvtoolError, match="does not run on images of 3x20x20"):
        load(reference, size=20, mean=[0.5], std=[0.5])


@pytest.mark.parametrize(
    ("attribute", "sentence"),
    [
        ("missing", "has no callable 'missing'"),
        ("answer", "has no callable 'answer'"),
        ("wrong", "gave a int, wanted a torch.nn.Module"),
    ],
)
def test_the_users_own_mistakes(own: str, attribute: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        load(parse(f"{own}:{attribute}"))


def test_a_model_file_runs_own_code_only_from_the_current_folder(
    own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{own}:make"
    path = model_file(tmp_path / "own.st", categories=list("abcde"))
    metadata = {**models.read_metadata(path), "architecture": {"name": name, "arguments": {}}}
    models.save(path, build(name, {}, seed=2).state_dict(), metadata, [])
    inside = load(parse(str(path)))
    assert inside.normalization == PER_IMAGE
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"asks to run py:own_.*add --weights"):
        load(parse(str(path)))
    outside = load(parse(name), weights=path)
    assert outside.normalization == PER_IMAGE and torch.equal(outside(IMAGES), inside(IMAGES))


def test_quiet_says_nothing_of_own_code(
    own: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "quiet", True)
    load(parse(f"{own}:make"))
    assert capsys.readouterr().err == ""


def test_torchvision_without_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    reference = parse("torchvision:squeezenet1_1")
    with pytest.raises(UsageError, match="does not download; give --weights FILE or --untrained"):
        load(reference)
    fresh = load(reference, untrained=True, size=64, categories=4)
    assert fresh(IMAGES).shape == (3, 4) and fresh.normalization["mean"] == [0.485, 0.456, 0.406]
    (tmp_path / "checkpoints").mkdir()
    state = build("torchvision:squeezenet1_1", {}, seed=4).state_dict()
    torch.save(state, tmp_path / "checkpoints" / "squeezenet1_1-b8a52dc0.pth")
    found = load(reference)
    assert found.input == (3, 224, 224)
    assert torch.equal(found.module.state_dict()["classifier.1.bias"], state["classifier.1.bias"])
    with pytest.raises(UsageError, match="torchvision has no network 'resnet19', nearest is"):
        load(parse("torchvision:resnet19"), untrained=True)


def test_timm_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r"needs the package timm; install it with: pip install"):
        load(parse("timm:resnet18"), untrained=True)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), side=st.integers(1, 6), scale=st.floats(0, 1000))
def test_standardization_is_tensorflows(seed: int, side: int, scale: float) -> None:
    images = scale * np.random.default_rng(seed).random((2, 3, side, side))
    found = standardize(torch.from_numpy(images)).numpy()
    for image, standardized in zip(images, found, strict=True):
        deviation = max(image.std(), 1 / math.sqrt(image.size))
        np.testing.assert_allclose(standardized, (image - image.mean()) / deviation, atol=1e-9)


def test_channel_normalization_is_torchvisions() -> None:
    from torchvision.transforms.v2 import functional

    entry = per_channel([0.5, 0.4, 0.3], [0.1, 0.2, 0.3], channels=3)
    wanted = functional.normalize(IMAGES / 255, entry["mean"], entry["std"])
    torch.testing.assert_close(normalize(IMAGES.float(), entry), wanted)
    with pytest.raises(UsageError, match="--mean has 2 values for 3 channels"):
        per_channel([0.5, 0.4], [0.1], channels=3)
    with pytest.raises(UsageError, match=r"--std 0\.1, 0, 1: wanted positive numbers"):
        per_channel([0.5], [0.1, 0, 1], channels=3)


def accuracy(network: Network, images: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.inference_mode():
        found = torch.cat([network(batch).argmax(dim=1) for batch in images.split(500)])
    return (found == labels).double().mean().item()


@pytest.mark.slow
def test_the_pretrained_cifar_network_reaches_its_published_accuracy(tmp_path: Path) -> None:
    weights = SHARED / "cifar10-resnet20.safetensors"
    if not weights.is_file():
        pytest.skip(f"no {weights}")
    made = subprocess.run([sys.executable, SHARED / "get.py", "cifar10", tmp_path], check=False)
    if made.returncode:
        pytest.skip("CIFAR-10 cannot be had here: get.py failed (it needs npm, a registry, pillow)")
    import h5py

    with h5py.File(tmp_path / "cifar10.h5") as file:
        test = file["split"][:] == 1
        images, labels = (torch.from_numpy(file[key][test]) for key in ("image", "label"))
    network = load(parse("resnet20-cifar"), weights=weights)
    assert accuracy(network, images, labels) == 0.9173
