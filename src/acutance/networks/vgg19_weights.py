"""VGG-19's layers by name, and where its trained weights are found; how they are read, `vgg_weights` knows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from acutance.downloads import fetch
from acutance.errors import ConfigError, InputError
from acutance.folders import cache_folder
from acutance.networks.vgg_weights import InputConvention, VggLayout, VggWeights, read_vgg

VGG19_URL: Final = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
"""torchvision's weights (575 MB); the name ends with the first eight digits of the file's sha256."""

WAYS: Final = f"give a file of them with --vgg19 FILE, or allow the download of {VGG19_URL} (575 MB)"
"""How a user gets all 16 convolutions; the end of a message."""

VGG19: Final = VggLayout(name="VGG-19", stages=((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)), ways=WAYS)
"""The network."""


def find_vgg19(
    path: Path | None,
    *,
    download: bool,
    folder: Path | None = None,
    url: str = VGG19_URL,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Return the file of weights that is to be used.

    Args:
        path: As given by the user, or None.
        download: Whether torchvision's may be downloaded when no path is given. Once they have been, they are found
            without permission, and checked each time.
        folder: Where downloads lie; `cache_folder()` by default.
        url: Of the download. Where its name ends with the first digits of its sha256, they are checked; the whole
            hash is recorded at first use and checked from then on.
        progress: Called with the share done, 0 … 1, of downloading and checking.

    Raises:
        InputError: When there is no such file.
        ConfigError: When no path is given and nothing may be downloaded.
        DownloadError: When the download fails or gives another file.
        OutputError: When the download cannot be written.
    """
    if path is not None:
        if not path.is_file():
            raise InputError(f"{path}: no such file, so there are no VGG-19 weights; {WAYS}.")
        return path
    name = url.rsplit("/", 1)[-1]
    target = (cache_folder() if folder is None else folder) / name
    if not download and not target.is_file():
        raise ConfigError(f"a loss on VGG-19 features needs its trained weights, and none are given; {WAYS}.")
    digits = re.search(r"-([0-9a-f]{8,64})\.", name)
    return fetch(url, target, sha256_prefix=digits[1] if digits else None, progress=progress)


def read_vgg19(path: Path, *, convention: InputConvention | None = None) -> VggWeights:
    """Read VGG-19's weights, all 16 convolutions or the first few; see `read_vgg`.

    Raises:
        InputError: When there is no such file.
        CorruptWeights: When it does not hold VGG-19's convolutions or does not say what they were trained on.
    """
    return read_vgg(path, VGG19, convention=convention)
