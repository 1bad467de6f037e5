"""`invtool ablate`: its accuracies against a by-hand ablation, and the tau that it chooses."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import xarray
from conftest import write_ablation, write_activations
from numpy.typing import NDArray
from small import Run, invoke, quadrants, room, runner, write_set
from torch import Tensor, nn

from invtool.config import Ablate
from invtool.errors import InvtoolError
from invtool.files import hdf5, models
from invtool.models import networks, references
from invtool.stages import ablate, ablation_result
from invtool.stages._subject import prepare
from invtool.transforms import parse

TRAIN, TEST = 48, 40
DATA = "-d many.h5"
MODEL = f"train {DATA} -n py:nets:make --epochs 15 --batch-size 8 --seen 2 -t blur:sigma=2 --threads 1 -o model.st"
ABLATE = "ablate model.st --threads 1"
DARK = (
    "ablate py:nets:dark -d many.h5 -t blur:sigma=1 --size 8 --mean 0,0,0 --std 1,1,1 --untrained"
)
CONDITIONS = ["none", "blur:sigma=2"]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("ablate")
    with room(top):
        write_set(top / "many.h5", TRAIN, TEST)
        assert invoke(MODEL) == 0
        yield top


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def read(path: str) -> dict[str, Any]:
    with hdf5.open(Path(path), ["ablation"]) as file:
        return {name: file.array(name) for name in file.names()}


def by_hand(names: tuple[int, ...], tau: NDArray[Any]) -> NDArray[Any]:
    """Categories answered, (mode, condition, tau, image), by a loop over modules for each image.

    `names` are the places in the network of the layers that are ablated; ReLU is place 2.
    """
    network = networks.load(references.Reference("m", Path("model.st")))
    parts = list(network.module)
    parts[2] = nn.ReLU()
    image, _ = quadrants(TRAIN + TEST)
    index = torch.arange(TRAIN, TRAIN + TEST)
    shown = [parse(text)(torch.from_numpy(image[TRAIN:]).float(), 0, index) for text in CONDITIONS]
    inputs = [network.prepared(x) for x in shown]

    def values(x: Tensor, change: Any = lambda place, value: value) -> list[Tensor]:
        out = []
        for place, part in enumerate(parts):
            x = change(place, part(x))
            out.append(x)
        return out

    answers = np.empty((2, 2, len(tau), TEST), np.int64)
    with torch.no_grad():
        responses = [values(x) for x in inputs]
        peaks = [torch.cat(pair).amax(0) for pair in zip(*responses, strict=True)]
        for (mode, condition, t), _ in np.ndenumerate(answers[..., 0]):

            def change(
                place: int, value: Tensor, mode: int = mode, condition: int = condition, t: int = t
            ) -> Tensor:
                if place not in names:
                    return value
                share = responses[condition][place].double() / peaks[place].double()
                active = share.nan_to_num(0) > tau[t]
                return torch.where(active if mode == 0 else ~active, value, 0.0)

            answers[mode, condition, t] = values(inputs[condition], change)[-1].argmax(1)
    return answers


@pytest.mark.parametrize(
    ("options", "names"),
    [("", (3,)), ("-l 2", (2,)), ("-l 2 -l penultimate --tau-grid 0:1:0.1", (2, 3))],
)
def test_accuracies_are_those_of_an_ablation_by_hand(
    options: str, names: tuple[int, ...], run: Run
) -> None:
    assert run(f"{ABLATE} {options} --batch-size 7 --overwrite -o a.h5")[0] == 0
    found = read("a.h5")
    answers = by_hand(names, found["tau"])
    _, label = quadrants(TRAIN + TEST)
    right = answers == label[TRAIN:]
    np.testing.assert_allclose(found["accuracy"], right.mean(-1))
    seen = found["seen"] != 0
    wanted = np.stack([right.mean(-1), right[..., seen].mean(-1), right[..., ~seen].mean(-1)], -1)
    np.testing.assert_allclose(found["group_accuracy"], wanted)
    assert found["condition"].tolist() == CONDITIONS
    assert len(np.unique(found["accuracy"])) > 4, "too coarse to tell anything"


def test_the_file_holds_what_the_format_says(run: Run, folder: Path) -> None:
    assert run(f"{ABLATE} -o whole.h5")[0] == 0
    found = read("whole.h5")
    np.testing.assert_array_equal(found["tau"], Ablate.tau)
    assert found["mode"].tolist() == ["keep-active", "ablate-active"]
    keep, cut = found["accuracy"]
    intact = found["intact_accuracy"]
    np.testing.assert_array_equal(keep[:, 0], intact[:, 0])  # above 0 is all of a ReLU's mean
    np.testing.assert_array_equal(keep[:, -1], cut[:, 0])  # both without a unit
    np.testing.assert_array_equal(cut[:, -1], intact[:, 0])
    share = found["active_share"]
    assert (np.diff(share, axis=1) <= 0).all() and (share[:, -1] == 0).all() and share[0, 0] > 0
    overall = intact[:, 0].mean() - keep.mean(axis=0)
    assert found["chosen_tau"] == max(found["tau"][overall <= 0.01 + 1e-9])
    with hdf5.open(Path("whole.h5")) as file:
        assert file.attribute("layers") == ["3"] and file.attribute("penultimate") == "3"
        assert file.attribute("seen_categories") == 2 and file.attribute("categories_total") == 4
        assert [step["id"].split(".")[0] for step in file.steps] == ["train", "ablate"]
    with xarray.open_dataset("whole.h5", engine="h5netcdf") as data:
        assert data.group_accuracy.dims == ("mode", "condition", "tau", "group")
        assert data.chosen_tau.dims == ()
    assert run("verify whole.h5")[0] == 0


def test_memory_batches_and_order_change_nothing(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = "ablate model.st --threads 1 -l 2 --tau-grid 0:1:0.25 -t white-noise"
    assert run(f"{whole} --overwrite -o one-batch.h5")[0] == 0
    wanted = (folder / "one-batch.h5").read_bytes()
    calls: list[int] = []
    again = ablate._Passes.run

    def counted(passes: Any, start: int) -> Any:
        calls.append(start)
        return again(passes, start)

    monkeypatch.setattr(ablate._Passes, "run", counted)
    # An image's share of what is kept: the ReLU (4 x 8 x 8 floats) of both conditions.
    for kept, starts in ((1 << 30, [0, TEST]), (0, [0, 0]), (2 * 4 * 64 * 4 * 20, [0, 16])):
        calls.clear()
        monkeypatch.setattr(ablate, "KEPT_BYTES", kept)
        assert run(f"{whole} --batch-size 8 --overwrite -o batches.h5")[0] == 0
        assert calls == starts
        for name, value in read("one-batch.h5").items():
            np.testing.assert_array_equal(read("batches.h5")[name], value)
    with h5py.File("many.h5") as old, hdf5.create(folder / "turned.h5", "images", []) as new:
        new.attribute("categories", json.loads(old.attrs["categories"]))
        for name in ("image", "label", "split"):
            dims = ("image", "channel", "height", "width")[: old[name].ndim]
            new.array(name, old[name][:][::-1], dims)
    plain = "ablate model.st --threads 1 -l 2 --tau-grid 0:1:0.25"
    assert run(f"{plain} -o forward.h5")[0] == 0 and run(f"{plain} -d turned.h5 -o back.h5")[0] == 0
    np.testing.assert_allclose(read("forward.h5")["accuracy"], read("back.h5")["accuracy"])
    assert run(f"{whole} --overwrite -o one-batch.h5")[0] == 0
    assert (folder / "one-batch.h5").read_bytes() == wanted


def test_a_network_that_cannot_be_split_gives_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = "-l 2 -l 3 --tau-grid 0:1:0.5 --precision bf16"
    assert run(f"{ABLATE} {options} -o split.h5")[0] == 0
    monkeypatch.setattr(ablate, "splits", lambda *_: False)
    monkeypatch.setattr(ablate, "split", lambda *_: pytest.fail("was split"))
    assert run(f"{ABLATE} {options} -o unsplit.h5")[0] == 0
    for name, value in read("split.h5").items():
        np.testing.assert_array_equal(read("unsplit.h5")[name], value)


def test_a_tau_at_which_nothing_is_active_is_refused() -> None:
    assert ablation_result.qualifying(0.95, "a.h5") == 0.95
    with pytest.raises(InvtoolError, match=r"a\.h5: tau is 1, above which no unit is active"):
        ablation_result.qualifying(1.0, "a.h5")


def test_no_tau_qualifies_where_responses_are_negative(run: Run) -> None:
    code, out, err = run(f"{DARK} --tau-grid 0,0.5 -f table")
    assert code == 0
    assert "layer 1 has responses below 0, which are never active" in err
    assert "No tau qualifies: keeping the active units alone costs 7" in out
    assert "1 percentage point may be lost" in out
    assert run(f"{DARK} -o dark.h5")[0] == 0
    assert np.isnan(read("dark.h5")["chosen_tau"])
    assert json.loads(run(f"{DARK} -f json")[1])["chosen_tau"] is None
    with pytest.raises(InvtoolError, match=r"dark\.h5: no tau qualifies"):
        ablation_result.tau_of_file(Path("dark.h5"))
    config = Ablate(
        "py:nets:dark",
        "many.h5",
        ("blur:sigma=1",),
        untrained=True,
        size=8,
        mean=(0,) * 3,
        std=(1,) * 3,
    )
    with pytest.raises(InvtoolError, match="py:nets:dark: no tau qualifies"):
        ablate.tau_of_network(prepare(config, Path("-")), ("penultimate",), batch_size=None, seed=0)


def test_tau_of_network_and_of_file_are_the_same(run: Run) -> None:
    assert run(f"{ABLATE} --cost 0.05 --overwrite -o tau.h5")[0] == 0
    subject = prepare(Ablate("model.st"), Path("model.st"))
    found = ablate.tau_of_network(subject, ("penultimate",), batch_size=None, seed=0, cost=0.05)
    assert found == ablation_result.tau_of_file(Path("tau.h5")) == read("tau.h5")["chosen_tau"]


def test_tau_of_file_reads_only_ablations_and_without_torch(tmp_path: Path) -> None:
    with pytest.raises(InvtoolError, match="holds activations; ablation is wanted"):
        ablation_result.tau_of_file(write_activations(tmp_path / "a.h5"))
    program = (
        "import sys; from pathlib import Path; from invtool.stages.ablation_result import tau_of_file;"
        "print(tau_of_file(Path(sys.argv[1])), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, write_ablation(tmp_path / "b.h5")],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "0.1 False\n"


def test_table_json_and_csv_say_the_same(run: Run) -> None:
    assert run(f"{ABLATE} --overwrite -o whole.h5")[0] == 0
    found = read("whole.h5")
    code, table, _ = run(f"{ABLATE} -f table")
    lines = table.splitlines()
    assert code == 0 and lines[0] == f"Ablation of 3, {TEST} images, blur:sigma=2"
    columns = ["keep none", "keep blur:sigma=2", "ablate none", "ablate blur:sigma=2"]
    assert lines[1].split() == " ".join(["tau active", *columns]).split()
    row = found["active_share"][:, 2].mean(), *found["accuracy"][:, :, 2].reshape(-1)
    assert lines[4].split() == ["0.100", *(f"{value:.3f}" for value in row)]
    tau = float(found["chosen_tau"])
    assert (
        f"tau {tau:g}: the highest at which the active units alone lose at most 1 percentage point"
        in table
    )
    assert "of chance 0.250" in table and "(10-20 % in the paper)" in table
    answer = json.loads(run(f"{ABLATE} -f json")[1])
    assert answer["chosen_tau"] == tau and answer["layers"] == ["3"]
    rows = list(csv.DictReader(io.StringIO(run(f"{ABLATE} -f csv")[1])))
    assert len(rows) == len(answer["rows"]) == 2 * 2 * 21 * 3
    for (place, accuracy), row, told in zip(
        np.ndenumerate(found["group_accuracy"]), rows, answer["rows"], strict=True
    ):
        mode, condition, t, group = place
        assert [row["mode"], row["condition"]] == [found["mode"][mode], CONDITIONS[condition]]
        assert [float(row["tau"]), row["group"]] == [found["tau"][t], found["group"][group]]
        assert float(row["accuracy"]) == accuracy == told["accuracy"]
        assert float(row["intact_accuracy"]) == found["intact_accuracy"][condition, group]
        assert float(row["active_share"]) == found["active_share"][condition, t]


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        ("--tau-grid 0:1:0", 2, "START <= STOP and a STEP above 0 are wanted"),
        ("--tau-grid 0:1:1e-9", 2, "START <= STOP and a STEP above 0 are wanted"),
        ("--tau-grid 0:nan:0.1", 2, "START <= STOP"),
        ("--tau-grid 0.2,0.1", 2, "ascending shares, from 0 to 1, are wanted"),
        ("--tau-grid 0,2", 2, "ascending shares, from 0 to 1, are wanted"),
        ("--tau-grid a", 2, "numbers joined by commas are wanted"),
        ("--cost nan", 2, "a share of the images, 0 <= cost < 1, is wanted"),
        ("--cost 1", 2, "a share of the images, 0 <= cost < 1, is wanted"),
        ("-l nowhere", 2, "no layer 'nowhere'"),
        ("-o whole.xyz", 2, "unknown suffix '.xyz'"),
        ("-o many.h5", 2, "many.h5 exists; pass --overwrite"),
        ("-t rot33", 2, "rot33"),
        ("-d missing.h5", 1, "missing.h5: no such file"),
    ],
)
def test_bad_lines_are_refused_in_a_sentence(
    options: str, code: int, sentence: str, run: Run
) -> None:
    found, out, err = run(f"{ABLATE} {options}")
    assert (found, out) == (code, "")
    assert err.startswith("invtool ablate: ") and err.count("\n") == 1 and sentence in err


def test_bad_models_and_images(run: Run, folder: Path) -> None:
    write_set(folder / "one.h5", 0, 1, categories=1)
    code, out, _ = run(f"{ABLATE} -d one.h5 -f table -q")
    assert code == 0 and "1 images" in out
    (folder / "empty.st").write_bytes(b"")
    (folder / "cut.st").write_bytes((folder / "model.st").read_bytes()[:-9])
    for name in ("empty.st", "cut.st", "many.h5"):
        code, out, err = run(f"ablate {name} -o no.h5")
        assert code == 1 and err.count("\n") == 1 and name in err
    told, tensors = (
        models.read_metadata(folder / "model.st"),
        models.load_tensors(folder / "model.st"),
    )
    nan = torch.full((4,), torch.nan)
    for name, changed, sentence in (
        ("nan", {"6.bias": nan}, "nan.st answers NaN or infinity; are its weights whole?"),
        ("early", {"1.bias": nan}, "early.st answers NaN or infinity; are its weights whole?"),
    ):
        models.save(folder / f"{name}.st", {**tensors, **changed}, told, [])
        code, _, err = run(f"ablate {name}.st -o no.h5")
        assert code == 1 and err.count("\n") == 1 and sentence in err
    assert not (folder / "no.h5").exists()


def test_a_layer_that_overflows_behind_good_answers_is_named() -> None:
    with pytest.raises(InvtoolError, match="layer fc gives inf for an image"):
        ablate._higher("fc", torch.tensor([[1.0, torch.inf]]), None)
