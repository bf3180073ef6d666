"""ONNX Runtime without its telemetry: everything here that needs the library takes it from this module.

Official builds from 1.32 on keep a device id and a database of events in the user's cache, and send them to Microsoft,
unless an environment variable says otherwise before the library is first loaded. A user who has set it has decided
himself.
"""

from __future__ import annotations

import os

SWITCH = "ORT_DISABLE_TELEMETRY"
"""What ONNX Runtime asks for when it is loaded; "1" is off. Processes started by this one inherit it."""

if not os.environ.get(SWITCH):
    os.environ[SWITCH] = "1"

import onnxruntime  # noqa: E402 - the switch is looked at while this line runs

if os.environ[SWITCH] != "0":
    # Builds for Windows that do not know the variable, and a library that the caller had loaded before.
    onnxruntime.disable_telemetry_events()

__all__ = ["SWITCH", "onnxruntime"]
