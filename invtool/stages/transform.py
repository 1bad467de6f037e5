"""Images through transforms: into an images file, a folder of PNG files, or one picture.

A picture is a contact sheet, or the vector fields of a deformation.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from invtool.config import Transform
from invtool.errors import InvtoolError
from invtool.files import hdf5, messages, provenance, streams
from invtool.files.provenance import Steps
from invtool.stages import _pictures
from invtool.stages._pictures import Pictures
from invtool.transforms import Spec, parse

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

PICTURE_ROWS = 8  # images, unless --limit says otherwise
Rows = NDArray[np.int64]
Pixels = NDArray[Any]


def run(config: Transform, output: Path) -> None:
    """Transform the images that `config` names and write them to `output` as `config.form`."""
    pictures = _pictures.find(config)
    if config.form == "sheet":
        with streams.writing(output) as target:
            _write_sheet(config, pictures, target)
    elif config.form == "folder":
        with _whole_folder(output) as folder:
            _write_folder(config, pictures, folder)
    elif config.form == "h5":
        with streams.writing(output) as target:
            _write_file(config, pictures, target)
    else:
        with streams.writing(output) as target:
            _draw_fields(config, pictures, target)


def _transformed(
    pictures: Pictures, rows: Rows, specs: Sequence[Spec], seed: int
) -> Iterator[tuple[Rows, list[Pixels]]]:
    """Runs of rows, and for each spec their images as float32 (image, channel, height, width)."""
    parts = pictures.parts(rows)
    size = min(pictures.at_once, len(rows))
    for part in messages.progress(
        parts, total=len(rows), label="transforming", unit="images", size=size
    ):
        image = torch.from_numpy(pictures.read(part).astype(np.float32))
        index = torch.from_numpy(part)
        try:
            yield part, [spec(image, seed, index).numpy() for spec in specs]
        except ValueError as error:
            raise InvtoolError(f"{pictures.names[part[0]]}: {error}") from None


def _write_file(config: Transform, pictures: Pictures, target: Path) -> None:
    spec = parse(config.transforms[0])
    rows = pictures.spread(config.limit)
    steps = provenance.step(config=asdict(config), inputs=[pictures.steps])
    with hdf5.create(target, "images", steps) as out:
        out.attribute("categories", pictures.categories)
        out.attribute("transform", str(spec))
        first, slab = 0, None
        for part, (image,) in _transformed(pictures, rows, [spec], config.seed):
            slab = slab or out.reserve(
                "image",
                (len(rows), *image.shape[1:]),
                np.float32,
                ("image", "channel", "height", "width"),
                long_name="pixels; 0 to 255 before the transform, not clipped after it",
            )
            slab.write((first, 0), image)
            first += len(part)
        out.array("label", pictures.label[rows], ("image",), long_name="category number")
        out.array("split", pictures.split[rows], ("image",), long_name="0 training, 1 test")


def _write_folder(config: Transform, pictures: Pictures, folder: Path) -> None:
    spec = parse(config.transforms[0])
    rows = pictures.spread(config.limit)
    about = _about(provenance.step(config=asdict(config), inputs=[pictures.steps]))
    for part, (images,) in _transformed(pictures, rows, [spec], config.seed):
        for row, image in zip(part, images, strict=True):
            path = folder / f"{pictures.names[row]}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            _picture(displayed(image, spec)).save(path, format="PNG", pnginfo=about)


def _write_sheet(config: Transform, pictures: Pictures, target: Path) -> None:
    from invtool.plots import sheet

    specs = [Spec(), *map(parse, config.transforms)]
    rows = pictures.spread(config.limit or PICTURE_ROWS)
    cells: list[tuple[NDArray[np.uint8], ...]] = []
    for _, columns in _transformed(pictures, rows, specs, config.seed):
        shown = [
            [displayed(image, spec) for image in images]
            for images, spec in zip(columns, specs, strict=True)
        ]
        cells += zip(*shown, strict=True)
    about = _about(provenance.step(config=asdict(config), inputs=[pictures.steps]))
    drawn = sheet.draw(
        [_heading(spec) for spec in specs], [pictures.names[row] for row in rows], cells
    )
    drawn.save(target, format="PNG", pnginfo=about)


def _draw_fields(config: Transform, pictures: Pictures, target: Path) -> None:
    from invtool.plots import deformed, style
    from invtool.transforms.deformation import control_points, drawn, field

    spec = parse(config.transforms[0])
    (step,) = spec.steps
    names = [parameter.name for parameter in step.transform.parameters]
    settings: dict[str, Any] = dict(zip(names, step.values, strict=True))
    del settings["border"]
    rows = pictures.spread(config.limit or PICTURE_ROWS)
    panels = []
    for part, both in _transformed(pictures, rows, [Spec(), spec], config.seed):
        before = torch.from_numpy(both[0])
        moved = drawn(before, **settings, seed=config.seed, index=torch.from_numpy(part))
        height, width = before.shape[2:]
        point = control_points(round(moved.shape[1] ** 0.5), height, width).numpy()
        fields = field(moved, height, width).numpy()
        for number, row in enumerate(part):
            pair = [displayed(images[number], spec) for images in both]
            own = moved[number].numpy()
            panels.append(
                deformed.Deformed(pictures.names[row], pair[0], pair[1], point, own, fields[number])
            )
    steps = provenance.step(config=asdict(config), inputs=[pictures.steps])
    about = "\n".join(done["command"] for done in steps)
    figure = deformed.draw(panels, f"{spec}, seed {config.seed}.")
    style.save(figure, target, config.form, about=about)


def _heading(spec: Spec) -> list[str]:
    """The lines above a column: each step, its parameters, and how a signed result is shown."""
    lines = []
    for place, step in enumerate(spec.steps):
        lines.append(f"+ {step.name}" if place else step.name)
        lines += [f"{parameter.name} {parameter.told(value)}" for parameter, value in step.told]
    return (lines or ["untransformed"]) + ["0 is mid-gray"] * spec.signed


def displayed(image: Pixels, spec: Spec) -> NDArray[np.uint8]:
    """One image (channel, height, width) as 8-bit pixels (height, width, channel).

    Clipped to 0..255; a signed result is first scaled so that 0 is mid-gray and its largest
    magnitude black or white.
    """
    if spec.signed:
        image = 128 + image * (127 / max(float(np.abs(image).max()), 1.0))
    return np.ascontiguousarray(image.clip(0, 255).round().astype(np.uint8).transpose(1, 2, 0))


def _picture(pixels: NDArray[np.uint8]) -> Any:
    from PIL import Image

    return Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)


def _about(steps: Steps) -> "PngInfo":
    """How the picture was made, for its metadata; nothing where --no-provenance asks for none."""
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    if steps:
        about.add_itxt("history", provenance.history(steps))
        about.add_itxt("provenance", json.dumps(steps))
    return about


@contextmanager
def _whole_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `target`, or whose files move into it, at the end."""
    target = target.resolve()
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    partial.mkdir()
    try:
        yield partial
        if not target.exists():
            partial.rename(target)
            return
        for path in sorted(path for path in partial.rglob("*") if path.is_file()):
            place = target / path.relative_to(partial)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
