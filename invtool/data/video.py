"""Frames of a video file, through PyAV, which the extra `video` installs."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from invtool.errors import InvtoolError

SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg"}


def read(path: Path) -> list[NDArray[np.uint8]]:
    """Every frame of the first video stream, (channel, height, width) RGB.

    Raises InvtoolError where PyAV is missing, or the file is no whole video of two frames or more.
    """
    try:
        import av
    except ImportError:
        raise InvtoolError(
            f"{path} is a video, which needs PyAV: pip install 'invtool[video]';"
            " or give a folder of its frames"
        ) from None
    try:
        with av.open(str(path)) as film:
            pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    except (av.FFmpegError, IndexError) as error:
        raise InvtoolError(f"{path}: no whole video ({error})") from None
    if len(pictures) < 2:
        raise InvtoolError(f"{path} holds {len(pictures)} frames; a clip has two or more")
    return [np.ascontiguousarray(picture.transpose(2, 0, 1)) for picture in pictures]
