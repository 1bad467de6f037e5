"""Every transform against the libraries that offer the same, in images per second.

    python tests/bench/bench_transforms.py --json transforms.json

Peer and ours run in turns on the same batch; the ratio is ours over the peer's. On a machine that
others use, threads wait for each other most of the time: `--threads 1 --cpu` counts the seconds of
this process alone instead of those on the wall. Array libraries loop over the images, as they are
used. A difference is given where the peer computes the same function: the largest one in gray
levels. Peers: torch itself, and torchvision, kornia, scipy, opencv-python-headless, scikit-image
and imagecorruptions where they are installed.
"""

import importlib
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from measure import Table, in_turns, main

from invtool.transforms import Spec, parse

SIZES = {32: 1000, 224: 32}  # pixels: images
QUICK = {32: 20, 224: 1}
TURNS = 9
PAIR_TIME = 1.5  # seconds for the turns of one peer, at least 3
BLUR = {32: 1.0, 224: 4.0}  # sigma in pixels
HORIZONTAL = [[-1.0, 0.0, 1.0]] * 3
VERTICAL = [[-1.0] * 3, [0.0] * 3, [1.0] * 3]
HIGH_PASS = [
    [-1.0, -1.0, -1.0, -1.0, -1.0],
    [-1.0, 1.0, 2.0, 1.0, -1.0],
    [-1.0, 2.0, 4.0, 2.0, -1.0],
    [-1.0, 1.0, 2.0, 1.0, -1.0],
    [-1.0, -1.0, -1.0, -1.0, -1.0],
]
PEERS = {
    "torchvision": "torchvision.transforms.v2.functional",
    "kornia": "kornia",
    "scipy": "scipy.ndimage",
    "cv2": "cv2",
    "skimage": "skimage",
    "imagecorruptions": "imagecorruptions",
}
PACKAGES = ("kornia", "opencv-python-headless", "scikit-image", "imagecorruptions")

Peer = tuple[
    str, Callable[[], Any], float
]  # name, call, what its results are multiplied by (0: not compared)


class Batch:
    """One batch in the forms that the libraries take; none of the conversions is timed."""

    def __init__(self, size: int, images: int, peers: dict[str, Any]):
        self.size, self.images, self.peers = size, images, peers
        generator = torch.Generator().manual_seed(0)
        coarse = torch.rand(self.images, 3, size // 8, size // 8, generator=generator)
        smooth = F.interpolate(coarse, size=(size, size), mode="bicubic")
        noisy = smooth + 0.05 * torch.randn(smooth.shape, generator=generator)
        self.bytes = (noisy.clamp(0, 1) * 255).round().to(torch.uint8)
        self.image = self.bytes.float()
        self.unit = self.image / 255
        self.pictures = [np.ascontiguousarray(x.permute(1, 2, 0)) for x in self.image]
        self.unit_pictures = [picture / np.float32(255) for picture in self.pictures]
        self.byte_pictures = [picture.astype(np.uint8) for picture in self.pictures]


def color(batch: Batch) -> Iterator[tuple[str, list[Peer]]]:
    peers, x, unit = batch.peers, batch.image, batch.unit
    pictures, units = batch.pictures, batch.unit_pictures
    gray: list[Peer] = []
    hue: list[Peer] = []
    inverted: list[Peer] = [("torch 255 - x", lambda: 255 - x, 1)]
    if tv := peers.get("torchvision"):
        gray.append(("torchvision rgb_to_grayscale(3)", lambda: tv.rgb_to_grayscale(x, 3), 1))
        hue.append(("torchvision adjust_hue", lambda: tv.adjust_hue(unit, 0.5), 255))
        inverted.append(("torchvision invert", lambda: tv.invert(unit), 255))
    if kornia := peers.get("kornia"):
        gray.append(
            ("kornia rgb_to_grayscale, 1 channel", lambda: kornia.color.rgb_to_grayscale(unit), 0)
        )
        hue.append(("kornia adjust_hue", lambda: kornia.enhance.adjust_hue(unit, math.pi), 255))
        inverted.append(("kornia invert", lambda: kornia.enhance.invert(unit), 255))
    if cv2 := peers.get("cv2"):
        gray.append(
            (
                "cv2 RGB2GRAY, 1 channel",
                lambda: [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in pictures],
                0,
            )
        )
        inverted.append(
            ("cv2 subtract", lambda: [cv2.subtract((255.0,) * 4, p) for p in pictures], 1)
        )

        def turned(picture: Any) -> Any:
            hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
            hsv[..., 0] = (hsv[..., 0] + 180) % 360
            return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)

        hue.append(("cv2 HSV and back", lambda: [turned(p) for p in units], 255))
    if "skimage" in peers:
        from skimage.color import hsv2rgb, rgb2gray, rgb2hsv
        from skimage.util import invert

        def turned_too(picture: Any) -> Any:
            hsv = rgb2hsv(picture)
            hsv[..., 0] = (hsv[..., 0] + 0.5) % 1
            return hsv2rgb(hsv)

        gray.append(("skimage rgb2gray, 1 channel", lambda: [rgb2gray(p) for p in units], 0))
        hue.append(("skimage HSV and back", lambda: [turned_too(p) for p in units], 255))
        inverted.append(("skimage invert", lambda: [invert(p) for p in units], 255))
    yield "grayscale", gray
    yield "color-rotation", hue
    yield "contrast-inversion", inverted


def blur(batch: Batch) -> Iterator[tuple[str, list[Peer]]]:
    peers, x, sigma = batch.peers, batch.image, BLUR[batch.size]
    width = 2 * round(4 * sigma) + 1
    found: list[Peer] = []
    if tv := peers.get("torchvision"):
        found.append(
            ("torchvision gaussian_blur", lambda: tv.gaussian_blur(x, [width] * 2, [sigma] * 2), 1)
        )
    if kornia := peers.get("kornia"):
        call = kornia.filters.gaussian_blur2d
        found.append(("kornia gaussian_blur2d", lambda: call(x, (width,) * 2, (sigma,) * 2), 1))
    if scipy := peers.get("scipy"):
        sigmas = (0, 0, sigma, sigma)
        found.append(
            (
                "scipy gaussian_filter",
                lambda: scipy.gaussian_filter(x.numpy(), sigmas, mode="mirror"),
                1,
            )
        )
    if cv2 := peers.get("cv2"):
        found.append(
            (
                "cv2 GaussianBlur",
                lambda: [cv2.GaussianBlur(p, (width,) * 2, sigma) for p in batch.pictures],
                1,
            )
        )
    if "skimage" in peers:
        from skimage.filters import gaussian

        def each(pictures: Any) -> Any:
            return [gaussian(p, sigma=sigma, channel_axis=-1, mode="mirror") for p in pictures]

        found.append(("skimage gaussian", lambda: each(batch.pictures), 1))
        if "imagecorruptions" in peers:
            # Its own gaussian_blur, repaired: version 1.1.2 passes an argument that skimage dropped.
            found.append(("imagecorruptions gaussian_blur", lambda: each(batch.unit_pictures), 0))
    yield f"blur:sigma={sigma:g}", found


def filters(batch: Batch) -> Iterator[tuple[str, list[Peer]]]:
    peers, x = batch.peers, batch.image
    for name, rows in (
        ("horizontal-filter", HORIZONTAL),
        ("vertical-filter", VERTICAL),
        ("high-pass", HIGH_PASS),
    ):
        kernel = torch.tensor(rows)
        margin = len(rows) // 2
        found: list[Peer] = []

        def convolved(kernel: Any = kernel, margin: int = margin) -> Any:
            padded = F.pad(x, (margin,) * 4, mode="reflect")
            return F.conv2d(padded, kernel.expand(3, 1, -1, -1), groups=3)

        found.append(("torch conv2d", convolved, 1))
        if kornia := peers.get("kornia"):
            call = kornia.filters.filter2d
            found.append(
                ("kornia filter2d", lambda call=call, kernel=kernel: call(x, kernel[None]), 1)
            )
        if scipy := peers.get("scipy"):
            weights = kernel.numpy()[None, None]
            found.append(
                (
                    "scipy correlate",
                    lambda s=scipy, w=weights: s.correlate(x.numpy(), w, mode="mirror"),
                    1,
                )
            )
        if cv2 := peers.get("cv2"):
            flat = kernel.numpy()
            found.append(
                (
                    "cv2 filter2D",
                    lambda c=cv2, k=flat: [c.filter2D(p, -1, k) for p in batch.pictures],
                    1,
                )
            )
        yield name, found


def noise(batch: Batch) -> Iterator[tuple[str, list[Peer]]]:
    peers, x, unit = batch.peers, batch.image, batch.unit
    white: list[Peer] = [("torch randn", lambda: x + 75 * torch.randn_like(x), 0)]
    salt: list[Peer] = []
    sigma = 75 / 255
    if tv := peers.get("torchvision"):
        white.append(
            ("torchvision gaussian_noise", lambda: tv.gaussian_noise(unit, 0.0, sigma, False), 0)
        )
    if "kornia" in peers:
        import kornia.augmentation as K

        gaussian = K.RandomGaussianNoise(0.0, sigma, p=1.0)
        impulses = K.RandomSaltAndPepperNoise(amount=0.5, salt_vs_pepper=0.5, p=1.0)
        white.append(("kornia RandomGaussianNoise", lambda: gaussian(unit), 0))
        salt.append(("kornia RandomSaltAndPepperNoise", lambda: impulses(unit), 0))
    if "skimage" in peers:
        from skimage.util import random_noise

        variance = sigma**2
        units = batch.unit_pictures
        white.append(
            (
                "skimage random_noise",
                lambda: [random_noise(p, var=variance, clip=False) for p in units],
                0,
            )
        )
        salt.append(
            ("skimage random_noise", lambda: [random_noise(p, "s&p", amount=0.5) for p in units], 0)
        )
    if "imagecorruptions" in peers:
        from imagecorruptions import corrupt

        def each(name: str) -> Any:
            return [corrupt(p, corruption_name=name, severity=5) for p in batch.byte_pictures]

        white.append(("imagecorruptions gaussian_noise", lambda: each("gaussian_noise"), 0))
        salt.append(("imagecorruptions impulse_noise", lambda: each("impulse_noise"), 0))
    yield "white-noise", white
    yield "salt-pepper", salt


def turns(batch: Batch) -> Iterator[tuple[str, list[Peer]]]:
    peers, x, size, pictures = batch.peers, batch.image, batch.size, batch.pictures
    for name, quarter in (("rot90", 1), ("rot180", 2)):
        found: list[Peer] = [("torch rot90", lambda q=quarter: torch.rot90(x, q, (2, 3)), 1)]
        found.append(
            (
                "numpy rot90",
                lambda q=quarter: np.ascontiguousarray(np.rot90(x.numpy(), q, (2, 3))),
                1,
            )
        )
        if tv := peers.get("torchvision"):
            found.append(("torchvision rotate", lambda tv=tv, q=quarter: tv.rotate(x, 90.0 * q), 1))
        if kornia := peers.get("kornia"):
            call = kornia.geometry.transform.rotate
            found.append(
                ("kornia rotate", lambda c=call, q=quarter: c(x, torch.tensor([90.0 * q])), 0)
            )
        if cv2 := peers.get("cv2"):
            code = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180}[quarter]
            found.append(
                ("cv2 rotate", lambda c=cv2, k=code: [c.rotate(p, k) for p in pictures], 1)
            )
        yield name, found

    found = []
    if tv := peers.get("torchvision"):
        bilinear = importlib.import_module("torchvision.transforms.v2").InterpolationMode.BILINEAR
        found.append(("torchvision rotate", lambda: tv.rotate(x, 30.0, interpolation=bilinear), 1))
    if kornia := peers.get("kornia"):
        call = kornia.geometry.transform.rotate
        found.append(("kornia rotate", lambda: call(x, torch.tensor([30.0])), 1))
    if scipy := peers.get("scipy"):
        found.append(
            ("scipy rotate", lambda: scipy.rotate(x.numpy(), 30, (3, 2), reshape=False, order=1), 0)
        )
    if cv2 := peers.get("cv2"):
        matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), 30, 1)
        found.append(
            (
                "cv2 warpAffine",
                lambda: [cv2.warpAffine(p, matrix, (size, size)) for p in pictures],
                1,
            )
        )
    if "skimage" in peers:
        from skimage.transform import rotate

        found.append(("skimage rotate", lambda: [rotate(p, 30, order=1) for p in pictures], 0))
    yield "rotate:degrees=30", found


SHARE, FACTOR = 0.11, 1.4  # a part of a pixel in every size; more around


def moves(batch: Batch) -> Iterator[tuple[str, list[Peer]]]:
    for name in ("translate-x", "translate-y"):
        pixels = SHARE * batch.size
        shift = (pixels, 0.0) if name == "translate-x" else (0.0, pixels)
        yield f"{name}:share={SHARE}", _affine(batch, (1.0, 1.0), shift)
    for name, scale in (
        ("scale-x", (FACTOR, 1.0)),
        ("scale-y", (1.0, FACTOR)),
        ("zoom", (FACTOR, FACTOR)),
    ):
        yield f"{name}:factor={FACTOR}", _affine(batch, scale, (0.0, 0.0))


def _affine(batch: Batch, scale: tuple[float, float], shift: tuple[float, float]) -> list[Peer]:
    """Peers that scale coordinates and move the image, both (x, y), bilinear, zeros outside."""
    peers, x, size = batch.peers, batch.image, batch.size
    (a, b), (right, down), middle = scale, shift, (size - 1) / 2
    back = torch.tensor([[a, 0, -2 * right / size], [0, b, -2 * down / size]])

    def sampled() -> Any:
        grid = F.affine_grid(back.expand(len(x), 2, 3), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)

    found: list[Peer] = [("torch affine_grid + grid_sample", sampled, 1)]
    if (tv := peers.get("torchvision")) and a == b:
        bilinear = importlib.import_module("torchvision.transforms.v2").InterpolationMode.BILINEAR
        found.append(
            (
                "torchvision affine",
                lambda: tv.affine(x, 0, [right, down], 1 / a, [0.0], interpolation=bilinear),
                1,
            )
        )
    if kornia := peers.get("kornia"):
        there = torch.tensor(
            [[[1 / a, 0, middle * (1 - 1 / a) + right], [0, 1 / b, middle * (1 - 1 / b) + down]]]
        ).expand(len(x), 2, 3)
        call = kornia.geometry.transform.warp_affine
        found.append(("kornia warp_affine", lambda: call(x, there, (size, size)), 1))
    if scipy := peers.get("scipy"):
        offset = (0, 0, middle * (1 - b) - down, middle * (1 - a) - right)
        found.append(
            (
                "scipy affine_transform",
                lambda: scipy.affine_transform(
                    x.numpy(), (1, 1, b, a), offset, order=1, mode="grid-constant"
                ),
                1,
            )
        )
    if cv2 := peers.get("cv2"):
        matrix = np.array([[a, 0, middle * (1 - a) - right], [0, b, middle * (1 - b) - down]])
        inverse = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        found.append(
            (
                "cv2 warpAffine",
                lambda: [
                    cv2.warpAffine(p, matrix, (size,) * 2, flags=inverse) for p in batch.pictures
                ],
                1,
            )
        )
    return found


def levels(batch: Batch) -> Iterator[tuple[str, list[Peer]]]:
    peers, x, unit = batch.peers, batch.image, batch.unit
    bright: list[Peer] = [("torch x + 51", lambda: x + 51, 1)]
    contrast: list[Peer] = [("torch 0.7 x", lambda: x * 0.7, 1)]
    gray: list[Peer] = []
    if tv := peers.get("torchvision"):
        gray.append(("torchvision adjust_saturation", lambda: tv.adjust_saturation(unit, 0.6), 255))
        # torchvision calls a factor of the values brightness
        contrast.append(
            ("torchvision adjust_brightness", lambda: tv.adjust_brightness(unit, 0.7), 255)
        )
    if kornia := peers.get("kornia"):
        bright.append(
            (
                "kornia adjust_brightness",
                lambda: kornia.enhance.adjust_brightness(unit, 0.2, False),
                255,
            )
        )
        contrast.append(
            ("kornia adjust_contrast", lambda: kornia.enhance.adjust_contrast(unit, 0.7), 255)
        )
    yield "brightness:share=0.2", bright
    yield "contrast:factor=0.7", contrast
    yield "grayscale:amount=0.4", gray


def thinning(batch: Batch) -> Iterator[tuple[str, list[Peer]]]:
    peers, x, size, side = batch.peers, batch.image, batch.size, batch.size // 4
    found: list[Peer] = [
        ("torch avg_pool2d + pad", lambda: F.pad(F.avg_pool2d(x, (1, 2)), (side, side)), 1),
    ]
    if tv := peers.get("torchvision"):
        found.append(
            (
                "torchvision resize + pad",
                lambda: tv.pad(tv.resize(x, [size, size // 2]), [side, 0]),
                0,
            )
        )
    if cv2 := peers.get("cv2"):

        def thin(picture: Any) -> Any:
            half = cv2.resize(picture, (size // 2, size), interpolation=cv2.INTER_AREA)
            return cv2.copyMakeBorder(half, 0, 0, side, side, cv2.BORDER_CONSTANT)

        found.append(("cv2 resize + copyMakeBorder", lambda: [thin(p) for p in batch.pictures], 1))
    yield "thinning", found


GROUPS = (color, levels, blur, filters, noise, turns, moves, thinning)


def measured(quick: bool) -> list[Table]:
    warnings.simplefilter("ignore")  # the peers'
    peers, missing = installed()
    if "cv2" in peers:
        peers["cv2"].setNumThreads(torch.get_num_threads())
    tables = []
    for size, images in (QUICK if quick else SIZES).items():
        batch = Batch(size, images, peers)
        table = Table(f"{images:,} images of {size}x{size} pixels, images/s", list(missing))
        for group in GROUPS:
            for text, found in group(batch):
                table.rows += [compare(parse(text), batch, peer, quick) for peer in found]
        slower = [
            f"{row['transform']} ({row['peer']}, {row['ratio'].median:.2f})"
            for row in table.rows
            if not isinstance(row, str) and row["ratio"].median < 1
        ]
        table.note = f"slower than a peer: {', '.join(slower) or 'none'}"
        tables.append(table)
    return tables


def compare(spec: Spec, batch: Batch, peer: Peer, quick: bool) -> dict[str, Any]:
    """Run peer and ours in turns, after one uncounted run of each."""
    name, call, scale = peer
    theirs, ours = as_images(call()), spec(batch.image).numpy()
    difference = float(np.abs(theirs * scale - ours).max()) if scale else ""
    del theirs, ours
    works = {"peer": call, "ours": lambda: spec(batch.image)}
    pair = sum(taken.median for taken in in_turns(works, 1, warm_up=0).values())
    turns = 1 if quick else max(3, min(TURNS, int(PAIR_TIME / pair)))
    rate = {
        side: seconds.map(lambda each: batch.images / each)
        for side, seconds in in_turns(works, turns, warm_up=0).items()
    }
    return {
        "transform": str(spec),
        "peer": name,
        "peer's": rate["peer"],
        "ours": rate["ours"],
        "ratio": rate["ours"] / rate["peer"],
        "difference": difference,
    }


def as_images(result: Any) -> Any:
    """A peer's result as (image, channel, height, width)."""
    if isinstance(result, list):
        stacked = np.stack(result)
        return stacked.transpose(0, 3, 1, 2) if stacked.ndim == 4 else stacked[:, None]
    return np.asarray(result)


def installed() -> tuple[dict[str, Any], list[str]]:
    """The peers that can be imported, and a sentence for each that cannot."""
    modules, missing = {}, []
    for name, module in PEERS.items():
        try:
            modules[name] = importlib.import_module(module)
        except ImportError as error:
            missing.append(f"missing: {name} ({error})")
    return modules, missing


if __name__ == "__main__":
    main(measured, PACKAGES, text=__doc__, within=True)
