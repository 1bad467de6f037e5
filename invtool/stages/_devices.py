"""Which device, arithmetic, threads and batch size a run takes."""

from math import prod
from typing import TYPE_CHECKING

import torch

from invtool import ranks
from invtool.data import decoding
from invtool.data.memory import fits
from invtool.errors import InvtoolError, UsageError

if TYPE_CHECKING:
    from invtool.models.capture import Layer

FORWARD_MEMORY = 192 << 20  # bytes of recorded layers a forward pass may hold on the CPU
MAX_BATCH = 256  # images; more gains nothing on the CPU


def choose(name: str, threads: int | None = None) -> torch.device:
    """`auto` is CUDA, else Apple's MPS, else the CPU; also settles the number of threads.

    Raises InvtoolError for a device that is not there.
    """
    if threads is not None:
        torch.set_num_threads(threads)
        decoding.told_threads = threads
    torch.backends.cuda.matmul.allow_tf32 = False  # measures differ in the third digit with TF32
    torch.backends.cudnn.allow_tf32 = False
    if ranks.size > 1:
        return _own(name)
    if name == "auto":
        found = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device("mps" if torch.backends.mps.is_available() else found)
    try:
        return torch.empty(1, device=name).device
    except (RuntimeError, AssertionError) as error:  # AssertionError: a build without CUDA
        why = str(error).partition("\n")[0]
        raise InvtoolError(f"device {name} is not to be had: {why}") from None


def _own(name: str) -> torch.device:
    """The device of a rank: the CPU, or the GPU whose number on the host is that of the rank."""
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f"--device {name}: of several ranks each takes its own GPU; use cuda or cpu"
        )
    gpus = torch.cuda.device_count()
    if name == "cpu" or (name == "auto" and not gpus):
        return torch.device("cpu")
    if ranks.local_rank >= gpus:
        raise InvtoolError(
            f"rank {ranks.rank} finds {gpus} GPUs on its host and needs number {ranks.local_rank};"
            " lower --nproc-per-node"
        )
    torch.cuda.set_device(ranks.local_rank)
    return torch.device("cuda", ranks.local_rank)


def precision(name: str, device: torch.device) -> torch.dtype:
    """`auto` is bf16 where the device multiplies in it, else fp32."""
    if name == "fp32":
        return torch.float32
    if name == "bf16":
        return torch.bfloat16
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and _cpu_has_bf16()
    return torch.bfloat16 if fast else torch.float32


def has_room(nbytes: int, device: torch.device) -> bool:
    """Whether images of so many bytes may stay on the device, by way of the host's memory."""
    if device.type == "cuda" and not fits(nbytes, torch.cuda.mem_get_info(device)[0]):
        return False
    return fits(nbytes)


def arithmetic(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """The context in which a network computes in that precision."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)


def _cpu_has_bf16() -> bool:
    """Whether oneDNN has instructions for bf16, and not only slow emulation."""
    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(flags.get("avx512_bf16") or flags.get("amx_bf16") or flags.get("amx_tile"))


def batch_size(asked: int | None, layers: "list[Layer]", device: torch.device) -> int:
    """As asked, else so many images that the recorded layers fit the memory set aside for them."""
    if asked is not None:
        return asked
    memory = FORWARD_MEMORY
    if device.type == "cuda":
        memory = torch.cuda.mem_get_info(device)[0] // 8
    image = 4 * sum(prod(layer.shape) for layer in layers) or 1
    largest = MAX_BATCH if device.type == "cpu" else 4096
    return max(1, min(largest, memory // image))
