"""Image sets from every source: drawn and cached, torchvision's, folders, files made elsewhere."""

import errno
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from small import write_set

from invtool import ranks
from invtool.data import decoding, embedded, folders, memory, sources
from invtool.data.decoding import ImageFiles
from invtool.data.sets import TEST, TRAIN, ImageSet
from invtool.data.sources import open_data
from invtool.errors import InvtoolError
from invtool.files import hdf5

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("INVTOOL_DATA", str(tmp_path))
    yield tmp_path / "cache" / "invtool"


def image_set(label: list[int], split: list[int]) -> ImageSet:
    pixels = np.zeros((len(label), 1, 2, 2), np.uint8)
    return ImageSet(pixels, np.array(label), np.array(split, np.uint8), ["a", "b", "c"], "these")


# --- choosing images


@pytest.mark.parametrize("order", ["sorted", "taking turns", "shuffled"])
def test_a_limit_keeps_the_shares_of_the_categories(order: str) -> None:
    label = np.repeat([0, 1, 2], 40)
    if order == "taking turns":
        label = label.reshape(3, 40).T.reshape(-1)
    if order == "shuffled":
        label = np.random.default_rng(1).permutation(label)
    images = image_set(label.tolist(), [TEST] * 120)
    for limit in (3, 12, 30, 119):
        chosen = images.indices(TEST, limit)
        assert len(chosen) == limit
        assert (np.diff(chosen) > 0).all()
        counts = np.bincount(label[chosen], minlength=3)
        assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(images.indices(TEST, 500), np.arange(120))
    np.testing.assert_array_equal(images.indices(TEST), np.arange(120))


def test_an_empty_split_is_said() -> None:
    images = image_set([0, 1], [TEST, TEST])
    with pytest.raises(InvtoolError, match=r"^these: no training images in it$"):
        images.indices(TRAIN)
    with pytest.raises(InvtoolError, match="no test images"):
        image_set([0], [TRAIN]).indices(TEST, 3)


# --- drawn by invtool, cached


SMALL = "faces:categories=3,train=2,test=1,size=16"


def test_embedded_images_come_in_order_and_from_the_cache_unchanged(own_cache: Path) -> None:
    drawn = open_data(SMALL)
    np.testing.assert_array_equal(drawn.label, [0, 0, 0, 1, 1, 1, 2, 2, 2])
    np.testing.assert_array_equal(drawn.split, [0, 0, 1] * 3)
    assert (
        drawn.image.shape == (9, 3, 16, 16)
        and drawn.spec == "faces:categories=3,size=16,test=1,train=2"
    )
    (cached,) = own_cache.iterdir()
    again = open_data(SMALL)
    assert isinstance(again.image, np.memmap)
    np.testing.assert_array_equal(drawn.image, again.image)
    assert again.categories == drawn.categories and len(set(again.categories)) == 3

    cached.write_bytes(cached.read_bytes()[:700])  # a damaged cache is drawn again
    np.testing.assert_array_equal(open_data(SMALL).image, drawn.image)
    assert isinstance(open_data(SMALL).image, np.memmap)


def test_another_option_or_other_code_has_another_cache(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for spec in (SMALL, SMALL + ",seed=1", SMALL.replace("faces", "objects")):
        open_data(spec)
    assert len(list(own_cache.iterdir())) == 3
    monkeypatch.setitem(embedded.DRAWERS, "faces", embedded.DRAWERS["objects"])
    open_data(SMALL)
    assert len(list(own_cache.iterdir())) == 4


@pytest.mark.parametrize("cache", ["file", "no home"])
def test_without_a_cache_images_are_drawn_each_time(
    cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_data(SMALL).image
    if cache == "file":
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    else:
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", "")

        def homeless(path: Path) -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "expanduser", homeless)
    again = open_data(SMALL).image
    assert not isinstance(again, np.memmap)
    np.testing.assert_array_equal(first, again)


# --- torchvision's formats, tiny


def write_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[NDArray[Any], NDArray[Any]]:
    from torchvision.datasets import CIFAR10

    top = root / CIFAR10.base_folder
    top.mkdir()
    pixels = RNG.integers(0, 256, (12, 3, 32, 32), np.uint8)
    labels = np.arange(12) % 10
    for name, rows in (("data_batch_1", slice(8)), ("test_batch", slice(8, None))):
        batch = {"data": pixels[rows].reshape(-1, 3072), "labels": labels[rows].tolist()}
        (top / name).write_bytes(pickle.dumps(batch))
    names = {"label_names": [f"thing {number}" for number in range(10)]}
    (top / "batches.meta").write_bytes(pickle.dumps(names))
    # The tiny files have other checksums than the published ones.
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", None]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": None})
    return pixels, labels


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """LeCun's format: two zeros, type 8, the number of axes, their sizes, bytes."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.tobytes())


def write_mnist(raw: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    raw.mkdir(parents=True)
    pixels = RNG.integers(0, 256, (9, 28, 28), np.uint8)
    labels = (np.arange(9) % 10).astype(np.uint8)
    for name, rows in (("train", slice(6)), ("t10k", slice(6, None))):
        write_idx(raw / f"{name}-images-idx3-ubyte", pixels[rows])
        write_idx(raw / f"{name}-labels-idx1-ubyte", labels[rows])
    return pixels, labels


def test_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, labels = write_cifar10(tmp_path, monkeypatch)
    images = open_data("cifar10")
    np.testing.assert_array_equal(images.image, pixels)
    np.testing.assert_array_equal(images.label, labels)
    np.testing.assert_array_equal(images.split, [TRAIN] * 8 + [TEST] * 4)
    assert images.categories[3] == "thing 3" and images.spec == "cifar10"
    small = open_data("cifar10:size=16")
    assert small.image.shape == (12, 3, 16, 16) and small.spec == "cifar10:size=16"
    assert abs(float(small.image.mean()) - float(pixels.mean())) < 2


@pytest.mark.parametrize(
    ("name", "folder", "third"),
    [("mnist", "MNIST", "2 - two"), ("fashion-mnist", "FashionMNIST", "Pullover")],
)
def test_mnist_and_fashion(name: str, folder: str, third: str, tmp_path: Path) -> None:
    pixels, labels = write_mnist(tmp_path / folder / "raw")
    images = open_data(name)
    np.testing.assert_array_equal(images.image, pixels[:, None])
    np.testing.assert_array_equal(images.label, labels)
    np.testing.assert_array_equal(images.split, [TRAIN] * 6 + [TEST] * 3)
    assert images.label.dtype == np.int64 and images.categories[2] == third
    assert open_data(f"{name}:size=16").image.shape == (9, 1, 16, 16)


def test_damaged_mnist(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    write_mnist(raw)
    path = raw / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InvtoolError, match=r"^mnist is not in .*; fetch it with"):
        open_data("mnist")


def test_omniglot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import Omniglot

    monkeypatch.setattr(Omniglot, "_check_integrity", lambda self: True)
    for alphabet, count in (("Greek", 2), ("Latin", 1)):
        for character in range(1, count + 1):
            folder = (
                tmp_path / "omniglot-py/images_background" / alphabet / f"character{character:02d}"
            )
            folder.mkdir(parents=True)
            for drawer in range(1, 21):
                pixels = np.full((105, 105), 255, np.uint8)
                pixels[drawer, character] = 0
                Image.fromarray(pixels).save(folder / f"{character:04d}_{drawer:02d}.png")
    images = open_data("omniglot")
    assert images.image.shape == (60, 1, 105, 105)
    assert images.categories == ["Greek.character01", "Greek.character02", "Latin.character01"]
    np.testing.assert_array_equal(images.label, np.repeat([0, 1, 2], 20))
    assert np.bincount(images.split).tolist() == [45, 15]  # 15 drawers to train on, 5 to test
    assert (images.image.sum((1, 2, 3)) == 255).all()  # ink is bright on black


def test_a_set_that_is_not_there() -> None:
    with pytest.raises(InvtoolError) as caught:
        open_data("cifar10")
    assert str(caught.value).endswith(
        "fetch it with: invtool data cifar10 --download -o cifar10.h5"
    )
    assert "\n" not in str(caught.value)
    with pytest.raises(InvtoolError, match="with a folder a category are wanted"):
        open_data("imagenet")


def test_imagenet_is_two_folders(tmp_path: Path) -> None:
    write_folder(tmp_path / "imagenet", {"train/n01": 2, "val/n01": 1, "val/n02": 1})
    images = open_data("imagenet:size=8")
    assert images.categories == ["n01", "n02"] and images.image.shape == (4, 3, 8, 8)
    np.testing.assert_array_equal(images.split, [0, 0, 1, 1])
    np.testing.assert_array_equal(images.label, [0, 0, 0, 1])


# --- folders


def write_folder(top: Path, counts: dict[str, int], size: tuple[int, int] = (10, 12)) -> Path:
    """Uniform images, each of another gray."""
    gray = 0
    for name, count in counts.items():
        (top / name).mkdir(parents=True)
        for number in range(count):
            gray += 1
            Image.new("L", size, gray).save(top / name / f"{number}.png")
    return top


def test_a_folder_with_train_and_test(tmp_path: Path) -> None:
    top = write_folder(
        tmp_path / "a", {"train/cat": 2, "train/dog": 1, "test/cat": 1, "test/owl": 1}
    )
    images = open_data(f"folder:{top}")
    assert images.categories == ["cat", "dog", "owl"]
    np.testing.assert_array_equal(images.label, [0, 0, 1, 0, 2])
    np.testing.assert_array_equal(images.split, [0, 0, 0, 1, 1])
    assert images.image.shape == (5, 3, 12, 10)
    np.testing.assert_array_equal(images.image[:, 1, 5, 5], [1, 2, 3, 4, 5])


def test_a_plain_folder_is_split_by_category_and_seed(tmp_path: Path) -> None:
    top = write_folder(tmp_path / "a", {"cat": 10, "dog": 11, "rare": 1, "none": 0})
    images = open_data(f"folder:{top}")
    assert images.categories == ["cat", "dog", "none", "rare"]
    test = images.split == TEST
    assert np.bincount(images.label[test], minlength=4).tolist() == [2, 3, 0, 1]
    np.testing.assert_array_equal(images.split, open_data(str(top)).split)
    splits = [open_data(f"folder:{top},seed={seed}").split.tobytes() for seed in range(5)]
    assert len(set(splits)) > 2


def test_train_alone_is_split_and_is_no_category(tmp_path: Path) -> None:
    top = write_folder(tmp_path / "a", {"train/cat": 5, "train/dog": 5})
    images = open_data(str(top))
    assert images.categories == ["cat", "dog"] and images.split.sum() == 2
    top = write_folder(tmp_path / "b", {"train": 5, "plane": 5})  # both are vehicles
    assert open_data(str(top)).categories == ["plane", "train"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    top = write_folder(tmp_path / "a", {"cat": 5, ".cache": 2})
    (top / "cat" / "._0.png").write_bytes(b"a Mac's")
    (top / "cat" / "notes.txt").write_text("not an image")
    images = open_data(str(top))
    assert images.categories == ["cat"] and len(images.label) == 5


def test_sizes_colors_and_damage(tmp_path: Path) -> None:
    top = write_folder(tmp_path / "a", {"cat": 2})
    Image.new("RGBA", (30, 20), (255, 0, 0, 128)).save(top / "cat" / "z.png")
    with pytest.raises(
        InvtoolError, match=r"z\.png is 30 x 20 px, 0\.png 10 x 12 px; give one size"
    ):
        open_data(str(top))
    images = open_data(f"folder:{top},size=8")
    assert images.image.shape == (3, 3, 8, 8)
    np.testing.assert_array_equal(images.image[2, :, 4, 4], [255, 0, 0])
    Image.fromarray(RNG.integers(0, 256, (12, 10, 3), np.uint8)).save(top / "cat" / "1.png")
    whole = (top / "cat" / "1.png").read_bytes()
    for damage in (b"", b"text", whole[:40], whole[: len(whole) // 2], whole[:60] + whole[90:]):
        (top / "cat" / "1.png").write_bytes(damage)
        with pytest.raises(InvtoolError, match=r"1\.png: not a whole image \("):
            open_data(f"folder:{top},size=8")


def test_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "a" / "cat").mkdir(parents=True)
    with pytest.raises(InvtoolError, match="no images in it; a folder a category is wanted"):
        open_data(str(tmp_path / "a"))
    Image.new("L", (4, 4)).save(tmp_path / "a" / "loose.png")
    with pytest.raises(InvtoolError, match="a folder a category"):
        open_data(str(tmp_path / "a"))


def write_jpegs(top: Path, count: int = 20) -> Path:
    """Photographs of several sizes, in two categories."""
    for number in range(count):
        pixels = RNG.integers(0, 256, (20 + number, 30 - number, 3), np.uint8)
        path = top / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return top


@pytest.mark.parametrize("limit", ["of bytes", "of memory"])
def test_a_large_folder_is_decoded_as_it_is_read(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = write_jpegs(tmp_path / "a")
    held = open_data(f"folder:{top},size=8")
    assert isinstance(held.image, np.ndarray)
    if limit == "of bytes":
        monkeypatch.setattr(folders, "HELD", 1000)
    else:
        monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    read = open_data(f"folder:{top},size=8")
    assert isinstance(read.image, ImageFiles)
    assert read.image.shape == held.image.shape and read.image.dtype == held.image.dtype
    np.testing.assert_array_equal(read.label, held.label)
    np.testing.assert_array_equal(read.split, held.split)
    assert (read.categories, read.spec) == (held.categories, held.spec)
    rows = np.array([19, 0, 0, 7])
    wanted: list[Any] = [rows, slice(3, 9), slice(None), 5, np.int64(-1), np.array([], np.int64)]
    for each in wanted:
        np.testing.assert_array_equal(read.image[each], held.image[each])
    np.testing.assert_array_equal(read.loaded(rows), held.loaded(rows))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [1, 7, 64])
def test_parts_are_decoded_ahead_in_order_and_not_too_far(
    threads: int, size: int, tmp_path: Path
) -> None:
    files = folders.image_files([write_jpegs(tmp_path / "a", 24)])
    images = ImageFiles(files, size=8)
    order = RNG.permutation(np.tile(np.arange(24), 8))
    taken = 0

    def parts() -> Iterator[NDArray[np.int64]]:
        nonlocal taken
        for first in range(0, len(order), size):
            taken += 1
            yield order[first : first + size]

    whole = images.whole()
    most = max(decoding.PARTS_AHEAD, decoding.TASKS_AHEAD * threads // size) + 1
    for number, pixels in enumerate(images.parts(parts(), threads)):
        np.testing.assert_array_equal(pixels, whole[order[number * size : (number + 1) * size]])
        assert taken - number <= most  # what waits is bounded
    assert taken == number + 1


def test_a_damaged_image_of_a_large_folder_is_named_when_it_is_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = write_jpegs(tmp_path / "a")
    monkeypatch.setattr(folders, "HELD", 0)
    (top / "cat" / "8.jpg").write_bytes(b"text")
    images = open_data(f"folder:{top},size=8")
    bad = images.image.files.index(top / "cat" / "8.jpg")  # type: ignore[union-attr]
    parts = images.batches(np.array_split(np.arange(20), 10))
    for _ in range(bad // 2):
        next(parts)
    before = threading.active_count()
    with pytest.raises(InvtoolError, match=r"8\.jpg: not a whole image \("):
        next(parts)
    assert threading.active_count() < before  # no thread decodes on
    with pytest.raises(InvtoolError, match="give one size, as folder:PATH,size=224"):
        open_data(str(top)).image[:]


def test_memory_is_shared_by_the_processes_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.free_memory() > 10 << 20
    assert memory.fits(50, free=100) and not memory.fits(51, free=100)
    monkeypatch.setattr(ranks, "local_size", 4)
    assert memory.fits(12, free=100) and not memory.fits(13, free=100)


# --- files


def write_foreign(path: Path, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def test_a_file_made_elsewhere_needs_only_images_and_labels(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (5, 3, 8, 8), np.uint8)
    path = write_foreign(tmp_path / "x.h5", image=pixels, label=np.array([0, 2, 2, 0, 2], np.uint8))
    images = open_data(str(path))
    np.testing.assert_array_equal(images.image, pixels)
    assert isinstance(images.image, np.memmap)  # not read into memory
    assert images.label.dtype == np.int64 and (images.split == TEST).all()
    assert images.categories == ["category-0", "category-1", "category-2"]
    assert images.steps == [] and images.spec == str(path)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", ">f4", "uint16"])
@pytest.mark.parametrize("chunks", [None, (2, 1, 8, 8)])
@pytest.mark.parametrize("in_memory", [0, 1 << 20])
def test_types_and_layouts(
    dtype: str, chunks: Any, in_memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "IN_MEMORY", in_memory)
    monkeypatch.setattr(sources, "PART", 2)
    pixels = RNG.integers(0, 256, (5, 1, 8, 8)).astype(dtype)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("image", data=pixels, chunks=chunks, compression=chunks and "gzip")
        file["label"] = np.zeros(5, int)
    images = open_data(str(tmp_path / "x.h5"))
    assert images.image.dtype == np.float32
    np.testing.assert_array_equal(images.image, pixels.astype(np.float32))
    images.release()
    np.testing.assert_array_equal(images.image[[1, 4]], pixels[[1, 4]].astype(np.float32))
    mapped = not in_memory or (dtype == "float32" and not chunks)
    assert isinstance(images.image, np.memmap) == mapped


def test_a_chunked_file_needs_room_to_be_laid_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=np.ones((5, 1, 8, 8), np.uint8), chunks=(2, 1, 8, 8))
        file["label"] = np.zeros(5, int)
    monkeypatch.setattr(sources, "IN_MEMORY", 0)
    assert open_data(str(path)).image.sum() == 5 * 64
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda prefix: Full())
    with pytest.raises(InvtoolError, match=r"x\.h5 does not fit in .* \(No space.*set TMPDIR"):
        open_data(str(path))


def test_a_damaged_chunk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, pixels = tmp_path / "x.h5", RNG.integers(0, 256, (4, 1, 8, 8)).astype(np.uint8)
    with h5py.File(path, "w") as file:
        stored = file.create_dataset("image", data=pixels, chunks=(2, 1, 8, 8), compression="gzip")
        file["label"] = np.zeros(4, int)
        at = stored.id.get_chunk_info(1).byte_offset
    with path.open("r+b") as raw:
        raw.seek(at)
        raw.write(bytes(16))
    for in_memory in (0, 1 << 20):
        monkeypatch.setattr(sources, "IN_MEMORY", in_memory)
        with pytest.raises(InvtoolError, match="damaged"):
            open_data(str(path))


def test_names_are_completed_and_others_left_out(tmp_path: Path) -> None:
    path = write_foreign(tmp_path / "x.h5", image=np.zeros((2, 1, 4, 4), np.uint8), label=[0, 2])
    for told, wanted in (('["a", "b"]', ["a", "b"]), ("nonsense", []), (7, [])):
        with h5py.File(path, "a") as file:
            file.attrs["categories"] = told
        made_up = [f"category-{number}" for number in range(len(wanted), 3)]
        assert open_data(str(path)).categories == wanted + made_up


@pytest.mark.parametrize(
    ("label", "image", "sentence"),
    [
        ([], np.zeros((0, 1, 4, 4), np.uint8), "no images in it"),
        ([0, -1], np.zeros((2, 1, 4, 4), np.uint8), "category number -1; they count from 0"),
        ([0, 2012345], np.zeros((2, 1, 4, 4), np.uint8), "category number 2012345"),
        ([0, 1], np.full((2, 1, 4, 4), np.inf, np.float32), "image 0 holds NaN or infinity"),
        ([0], np.zeros((2, 1, 4, 4), np.uint8), "label has 1 along image, but image has 2"),
        ([0, 1], np.zeros((2, 4, 4), np.uint8), "image is 2 x 4 x 4"),
    ],
)
def test_files_that_are_wrong(label: Any, image: Any, sentence: str, tmp_path: Path) -> None:
    path = write_foreign(tmp_path / "x.h5", image=image, label=np.array(label, np.int64))
    with pytest.raises(InvtoolError) as caught:
        open_data(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)


def test_a_nan_far_inside_is_found(tmp_path: Path) -> None:
    image = np.zeros((2500, 1, 2, 2), np.float32)
    image[1777, 0, 1, 1] = np.nan
    path = write_foreign(tmp_path / "x.h5", image=image, label=np.zeros(2500, int))
    with pytest.raises(InvtoolError, match="image 1777 holds NaN"):
        open_data(str(path))


def test_images_from_a_pipe_stay_readable(tmp_path: Path) -> None:
    path = write_foreign(
        tmp_path / "x.h5", image=np.arange(48, dtype=np.uint8).reshape(3, 1, 4, 4), label=[0, 1, 0]
    )
    code = (
        "from invtool.data.sources import open_data;"
        "images = open_data('-'); print(images.image.sum(), images.spec, len(images.label))"
    )
    with path.open("rb") as file:
        piped = subprocess.run([sys.executable, "-c", code], input=file.read(), capture_output=True)
    with path.open("rb") as file:
        redirected = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True)
    assert piped.stdout == redirected.stdout == b"1128 - 3\n", (piped, redirected)


def test_written_and_read_again(tmp_path: Path) -> None:
    from invtool.stages import data

    drawn = open_data(SMALL)
    data.write(drawn, tmp_path / "x.h5", [], limit=1)
    images = open_data(str(tmp_path / "x.h5"))
    with hdf5.open(tmp_path / "x.h5") as file:
        assert file.attribute("data") == drawn.spec
    assert images.categories == drawn.categories and images.split.tolist() == [0, 1]
    rows = [int(drawn.indices(split, 1)[0]) for split in (TRAIN, TEST)]
    np.testing.assert_array_equal(images.image, drawn.image[sorted(rows)])


def test_sources_know_every_spec() -> None:
    assert set(embedded.DRAWERS) == {"faces", "objects"}
    assert sources.MOST_CATEGORIES > 22_000  # all of ImageNet
    assert os.environ["INVTOOL_DATA"]


def test_a_mapped_file_gives_back_what_was_read(tmp_path: Path) -> None:
    images = open_data(str(write_set(tmp_path / "a.h5")))
    before = np.array(images.image)
    images.release()
    np.testing.assert_array_equal(images.image, before)
