"""A thin-plate field for each image, and the images warped by it: ours beside scipy, scikit-image and
kornia, in images a second, and how far each is off between the control points.

    python tests/bench/bench_deformation.py --threads 1 --cpu

Displacements are drawn beforehand; a turn is the fields and the bilinear warps of the whole batch.
Libraries that take one field at a time loop over the images. The error is measured through the same
call: it warps an image whose pixels hold their own coordinates, which says where each pixel was read,
beside the spline solved in 64 bits by a transcription of its equation; the largest of all pixels that
are read inside the image. `bilinear alone` is torch's sampler on grids that lie ready, `copy` a copy
of the images: the floors under any way to do it.
"""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from measure import Table, in_turns, main
from torch.nn.functional import grid_sample

from invtool.transforms.deformation import control_points, draw_displacement, field, warp

SETTINGS = {32: (1000, 2.0), 224: (32, 10.0)}  # side: images, largest displacement, both in pixels
QUICK = {32: (4, 2.0), 224: (1, 10.0)}
GRID, TURNS = 5, 5
TARGETS = {"scikit-image": 40, "scipy": 20}
PACKAGES = ("kornia", "scikit-image")
Warp = Callable[[torch.Tensor, torch.Tensor], Any]  # images, displacements


def measured(quick: bool) -> list[Table]:
    warnings.simplefilter("ignore")  # the peers'
    settings = QUICK if quick else SETTINGS
    return [table(side, *setting, 1 if quick else TURNS) for side, setting in settings.items()]


def table(side: int, images: int, pixels: float, turns: int) -> Table:
    result = Table(f"{images:,} images of {side} px, {GRID} x {GRID} points, {pixels:g} px")
    image = torch.rand(images, 3, side, side) * 255
    displacement = draw_displacement(GRID, pixels, seed=0, index=torch.arange(images))
    ways: dict[str, Warp] = {"invtool": ours}
    for name, (package, make) in PEERS.items():
        try:
            ways[name] = make(importlib.import_module(package), side)
        except (ImportError, AttributeError) as reason:
            result.rows.append(f"missing: {name} ({reason})")
    floor = where(field(displacement, side, side)).flip(-1).mul(2 / side).add(1 / side - 1)
    works: dict[str, Callable[[], Any]] = {
        name: lambda way=way: way(image, displacement) for name, way in ways.items()
    }
    works["bilinear alone"] = lambda: grid_sample(image, floor, align_corners=False)
    works["copy"] = lambda: image.clone()
    seconds = in_turns(works, turns)
    for name, taken in seconds.items():
        row = {"way": name, "images/s": taken.map(lambda each: images / each)}
        if name in ways:
            row["error between points, px"] = error(ways[name], displacement[:2], side)
        if name != "invtool":
            row["ours is faster by"] = taken / seconds["invtool"]
        result.rows.append(row | {"target": TARGETS.get(name, "")})
    return result


def ours(image: torch.Tensor, displacement: torch.Tensor) -> torch.Tensor:
    height, width = image.shape[2:]
    return warp(image, field(displacement, height, width))


def scipy(ndimage: Any, side: int) -> Warp:
    from scipy.interpolate import RBFInterpolator

    point = control_points(GRID, side, side).numpy()
    place = np.stack(np.mgrid[:side, :side], -1).reshape(-1, 2).astype(float)

    def way(image: torch.Tensor, displacement: torch.Tensor) -> Any:
        warped = np.empty(image.shape, np.float32)
        for own, shift, target in zip(image.numpy(), displacement.numpy(), warped, strict=True):
            spline = RBFInterpolator(point, shift, kernel="thin_plate_spline", degree=1)
            source = (place + spline(place)).T.reshape(2, side, side)
            for channel, plane in zip(own, target, strict=True):
                ndimage.map_coordinates(channel, source, plane, order=1, mode="nearest")
        return warped

    return way


def skimage(transform: Any, side: int) -> Warp:
    point = control_points(GRID, side, side).numpy()[:, ::-1]  # (x, y)
    make = transform.ThinPlateSplineTransform

    def way(image: torch.Tensor, displacement: torch.Tensor) -> Any:
        pictures = np.ascontiguousarray(image.numpy().transpose(0, 2, 3, 1))
        warped = []
        for picture, shift in zip(pictures, displacement.numpy(), strict=True):
            source = point + shift[:, ::-1]
            if hasattr(make, "from_estimate"):
                spline = make.from_estimate(point, source)
            else:
                spline = make()
                spline.estimate(point, source)
            warped.append(
                transform.warp(picture, spline, order=1, mode="edge", preserve_range=True)
            )
        return np.stack(warped).transpose(0, 3, 1, 2)

    return way


def kornia(transform: Any, side: int) -> Warp:
    """Its kernels lie about the sources, as its documentation has it: exact at the points alone."""
    scale = 2 / (side - 1)
    point = control_points(GRID, side, side).float().flip(-1) * scale - 1  # (x, y) in -1..1

    def way(image: torch.Tensor, displacement: torch.Tensor) -> Any:
        points = point.expand(len(image), -1, -1)
        sources = points + displacement.flip(-1) * scale
        weights, affine = transform.get_tps_transform(points, sources)
        return transform.warp_image_tps(image, sources, weights, affine, align_corners=True)

    return way


PEERS: dict[str, tuple[str, Callable[[Any, int], Warp]]] = {
    "scipy": ("scipy.ndimage", scipy),
    "scikit-image": ("skimage.transform", skimage),
    "kornia": ("kornia.geometry.transform", kornia),
}


def where(shift: torch.Tensor) -> torch.Tensor:
    """The places that a field reads, (image, height, width, axis)."""
    lines = [torch.arange(side, dtype=shift.dtype) for side in shift.shape[1:3]]
    return shift + torch.stack(torch.meshgrid(*lines, indexing="ij"), -1)


def error(way: Warp, displacement: torch.Tensor, side: int) -> float:
    """Pixels between where a way reads and where the spline says, at most."""
    source = where(torch.tensor(spline(displacement.double().numpy(), side))).numpy()
    places = where(torch.zeros(len(displacement), side, side, 2)).permute(0, 3, 1, 2)
    inside = ((source >= 0) & (source <= side - 1)).all(-1)
    image = torch.cat((places, places[:, :1]), 1).contiguous()  # three channels, as a picture
    read = np.moveaxis(np.asarray(way(image, displacement))[:, :2], 1, -1)
    return float(np.abs(read - source)[inside].max())


def spline(displacement: Any, side: int) -> Any:
    """f(p) = sum_c w_c |p - c|^2 log |p - c| + a + A p, (image, height, width, axis)."""
    point = control_points(GRID, side, side).numpy()
    place = np.stack(np.mgrid[:side, :side], -1).reshape(-1, 2).astype(float)
    count = len(point)
    system = np.zeros((count + 3, count + 3))
    system[:count] = terms(point, point)
    system[count:, :count] = system[:count, count:].T
    told = np.zeros((len(displacement), count + 3, 2))
    told[:, :count] = displacement
    return (terms(place, point) @ np.linalg.solve(system, told)).reshape(-1, side, side, 2)


def terms(place: Any, point: Any) -> Any:
    distance = np.linalg.norm(place[:, None] - point, axis=-1)
    kernel = distance**2 * np.log(np.where(distance > 0, distance, 1))
    return np.column_stack((kernel, np.ones(len(place)), place))


if __name__ == "__main__":
    main(measured, PACKAGES, text=__doc__, within=True)
