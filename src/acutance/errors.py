"""Every error that acutance raises on purpose.

```
AcutanceError
├── ConfigError            a setting is unknown or out of range               exit 2
├── InputError             what the user gave cannot be used                   exit 1
│   ├── UnsupportedImage   not an image, damaged, or a kind we do not read
│   └── ImageTooLarge      more pixels than the limit allows
├── OutputError            the result cannot be written where it should go     exit 1
│   └── WrongName          no result can have that name: an unknown ending …   exit 2
├── ModelError             something is wrong with a model                     exit 2
│   ├── UnknownModel       no model of that name
│   └── CorruptWeights     the file is not what its record says it is
├── EngineError            the network could not be run                        exit 3
│   ├── EngineUnavailable  that engine is not installed here
│   ├── OutOfMemory        not enough memory for one tile
│   └── NonFiniteOutput    the network gave NaN or infinity
├── DownloadError          a file cannot be had from the web, or is wrong      exit 3
└── JobError               a run (training, a batch) cannot go on              exit 3
```

`acutance.client` adds `ServerRefused`, straight below the root: what a server did not do.

A message says what is wrong, the value, what is allowed, and what to do next, in one sentence. The
library raises; only the edges (command line, web handler, job worker) print.
"""

from __future__ import annotations


class AcutanceError(Exception):
    """Root of the tree; `exit_code` is what the command line ends with."""

    exit_code: int = 3


class ConfigError(AcutanceError):
    """A setting is unknown, of the wrong type, or out of range."""

    exit_code = 2


class InputError(AcutanceError):
    """What the user gave cannot be used."""

    exit_code = 1


class UnsupportedImage(InputError):
    """Not an image, damaged, or a kind of image that is not read."""


class ImageTooLarge(InputError):
    """More pixels than the limit allows; refused before anything is decoded."""


class OutputError(AcutanceError):
    """The result cannot be written where it should go."""

    exit_code = 1


class WrongName(OutputError):
    """No result can have that name: its ending says no kind of file that is written, or it is a file for several."""

    exit_code = 2


class ModelError(AcutanceError):
    """Something is wrong with a model."""

    exit_code = 2


class UnknownModel(ModelError):
    """No model of that name, and no file of that path."""


class CorruptWeights(ModelError):
    """A model file is damaged, or not what its record says it is."""


class EngineError(AcutanceError):
    """The network could not be run."""


class EngineUnavailable(EngineError):
    """The engine asked for is not installed on this machine."""


class OutOfMemory(EngineError):
    """Not enough memory for one tile; a smaller tile may fit."""


class NonFiniteOutput(EngineError):
    """The network gave NaN or infinity."""


class DownloadError(AcutanceError):
    """A file cannot be had from the web, or is not the one that it should be."""


class JobError(AcutanceError):
    """A run (training, a batch of files) cannot go on."""


def first_line(error: BaseException) -> str:
    """Return what an error says, to stand inside a sentence: its first line without a full stop; or its kind.

    Advice below that line is left out. Where the line only announces others (`Error(s) in loading …:`), it is the next.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    told = lines[1] if lines[0].endswith(":") and len(lines) > 1 else lines[0]
    return told.rstrip(".:")
