"""Folders of checkpoints as model files, in the order of training."""

from pathlib import Path

import pytest
from conftest import write_model

from invtool.errors import InvtoolError
from invtool.files import models, trajectories


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_a_folder_is_its_checkpoints_by_step(tmp_path: Path) -> None:
    folder = tmp_path / "net.steps"
    folder.mkdir()
    for name, step in (("a.st", 100), ("b.st", 9), ("c.safetensors", 0)):
        write_model(folder / name, step=step)
    (folder / "notes.txt").write_text("not a model")
    (folder / ".a.st.12.tmp").write_text("unfinished")
    (folder / ".hidden.st").write_text("not ours")
    (folder / "a.checkpoint.st").write_text("the state of an unfinished training")
    whole = write_model(tmp_path / "net.st")
    assert names(trajectories.expand([whole, folder])) == [
        "net.st",
        "c.safetensors",
        "b.st",
        "a.st",
    ]


def test_without_steps_the_name_decides(tmp_path: Path) -> None:
    for name in ("b.st", "a.st"):
        write_model(tmp_path / name)
    assert names(trajectories.expand([tmp_path])) == ["a.st", "b.st"]


def test_what_is_no_step_is_none() -> None:
    assert [trajectories.step_of({"step": s}) for s in ("7", None, -3, 2.5)] == [-1] * 4


def test_seeds_share_a_label_and_recipes_do_not(tmp_path: Path) -> None:
    def label(**changes: object) -> str:
        path = write_model(tmp_path / "net.st", **changes)
        return trajectories.label_of(models.read_metadata(path), path.name)

    assert label(run={"seed": 0}) == label(run={"seed": 1})
    changes = [
        {"init_smooth": 2},
        {"run": {"random_labels": True}},
        {"architecture": {"name": "blocks:downsampling=strided"}},
        {"data": "cifar10"},
        {"seen": [0]},
        {"pool": "avg6"},
    ]
    found = [label(), *(label(**change) for change in changes)]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("made", [False, True])
def test_nothing_there_is_refused(tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "empty.steps"
    if made:
        folder.mkdir()
    with pytest.raises(InvtoolError, match="no model file" if made else "no such file"):
        trajectories.expand([folder])


def test_what_tells_labels_apart_stays_when_a_word_alone_would_not() -> None:
    labels = ["net:first=blur,last=none, p", "net:first=none,last=blur, p"]
    assert trajectories.telling(labels) == ["blur, none", "none, blur"]
    labels = ["net:first=blur, p", "net:last=blur, p"]
    assert trajectories.telling(labels) == labels
