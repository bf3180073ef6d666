"""What the kernel lets a worker do, on Linux: no network, no programs, no files but in folders of its server's.

Landlock (which files may be written, no TCP), a filter of system calls (seccomp: no sockets, no other programs, nothing
that looks into other processes or changes the system), and a network of its own with nobody in it. Each of them holds
where the kernel has it; what does not hold is told, and the worker works without it. By system calls: of the libraries
for them one wants a C library beside it, the others are younger than a year or have no release.

Only the standard library is imported here: what is confined is the thread that asks for it, and all that it starts, so
that it has to be asked for before anything else starts threads.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

Layer = str
"""`landlock`, `seccomp` or `network`."""

LAYERS: Final[dict[Layer, str]] = {
    "landlock": "files are written in the server's folder only",
    "seccomp": "no sockets, no other programs",
    "network": "a network of its own, with nobody in it",
}
"""What each layer brings."""

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_FILTER_MODE, _FILTER_ALL_THREADS = 1, 1

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Landlock's system calls, the same for all processors."""

_WRITE_FILE, _REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 1, 1 << 4, 1 << 5, 1 << 7, 1 << 8
_MAKE_OTHERS = sum(1 << bit for bit in (6, 9, 10, 11, 12))
"""Devices, sockets, pipes, links."""
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_OWN_FOLDER = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG
_BIND_AND_CONNECT, _SOCKETS_AND_SIGNALS = 3, 3

_DEVICES = "/dev"
"""What is there already may be written: graphics chips are driven by it."""


@dataclass(frozen=True, slots=True)
class _Processor:
    """What a filter has to know of a kind of processor."""

    audit: int
    """Its number in `linux/audit.h`."""
    seccomp: int
    """Number of that system call; those that follow are refused."""
    refused: tuple[int, ...] = field(repr=False)


_EVERYWHERE: Final = (425, 428, 429, 430, 432, 438, 442)
"""io_uring_setup, open_tree, move_mount, fsopen, fsmount, pidfd_getfd, mount_setattr: one number for all."""

_PROCESSORS: Final[dict[str, _Processor]] = {
    # socket, ptrace, process_vm_readv, process_vm_writev, execve, execveat, unshare, setns, mount, umount2, pivot_root,
    # chroot, bpf, perf_event_open, keyctl, add_key, request_key, userfaultfd, init_module, finit_module, kexec_load,
    # open_by_handle_at
    "x86_64": _Processor(
        0xC000003E,
        317,
        (
            *(41, 101, 310, 311, 59, 322, 272, 308, 165, 166, 155, 161, 321, 298, 250, 248, 249, 323, 175, 313, 246),
            *(304, *_EVERYWHERE),
        ),
    ),
    "aarch64": _Processor(
        0xC00000B7,
        277,
        (
            *(198, 117, 270, 271, 221, 281, 97, 268, 40, 39, 41, 51, 280, 241, 219, 217, 218, 282, 105, 273, 104),
            *(265, *_EVERYWHERE),
        ),
    ),
}

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000
"""Answers of a filter: go on, `EPERM`, end the process."""
_X32 = 0x40000000
"""From here on the numbers are those of x86-64's second set of calls, which nobody uses."""


def confine(folders: Sequence[str]) -> tuple[Layer, ...]:
    """Confine this process, for good.

    Args:
        folders: That files may be made and written in. None given: files are left as they are.

    Returns:
        The layers that hold, by their names in `LAYERS`.
    """
    if sys.platform != "linux":
        return ()
    libc = ctypes.CDLL(None, use_errno=True)
    # A network of its own comes first: the filter forbids to ask for one. Containers mostly do, too.
    has_network = libc.unshare(_NEW_NET) == 0 or libc.unshare(_NEW_USER | _NEW_NET) == 0
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return ("network",) if has_network else ()
    held = {
        "landlock": bool(folders) and _bound_files(libc, folders),
        "seccomp": _filter_calls(libc),
        "network": has_network,
    }
    return tuple(layer for layer in LAYERS if held[layer])


def missing_words(held: Sequence[Layer]) -> list[str]:
    """Say what a worker may do that it should not, in clauses; nothing where all that matters holds."""
    if sys.platform != "linux":
        return ["they may write wherever their user may, and reach the network"]
    words = []
    if "landlock" not in held:
        words.append("they may write wherever their user may (Landlock is missing; Linux 5.13 and later have it)")
    if "seccomp" not in held and "network" not in held:
        words.append(
            "they reach the network (no filter of system calls for this processor, nor a network of their own)"
        )
    return words


def report() -> list[str]:
    """Say in clauses what would confine a worker here: for people who look whether all is well."""
    if sys.platform != "linux":
        return [f"none on {sys.platform}: processor time and files are limited only"]
    version, has_filter = landlock_version(), platform.machine() in _PROCESSORS
    return [
        f"landlock {version}" if version else "landlock missing: workers write wherever their user may",
        "seccomp" if has_filter else f"seccomp: no filter for {platform.machine()}",
    ]


def landlock_version() -> int:
    """Return which version of Landlock the kernel has; 0 is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_call(ctypes.CDLL(None, use_errno=True), _CREATE_RULESET, None, 0, 1)))


def _call(libc: ctypes.CDLL, number: int, *arguments: object) -> int:
    # As long as a register: an int would leave half of one as it was.
    given = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return int(libc.syscall(ctypes.c_long(number), *given))


def _bound_files(libc: ctypes.CDLL, folders: Sequence[str]) -> bool:
    """Let files be written in some folders only, and nothing be connected to; whether that holds."""
    version = landlock_version()
    if version == 0:
        return False
    own = _OWN_FOLDER | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    handled = (
        own | _MAKE_OTHERS,
        _BIND_AND_CONNECT if version >= 4 else 0,
        _SOCKETS_AND_SIGNALS if version >= 6 else 0,
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _call(libc, _CREATE_RULESET, struct.pack("=QQQ", *handled)[:size], size, 0)
    if ruleset < 0:
        return False
    try:
        devices = _WRITE_FILE | (_TRUNCATE if version >= 3 else 0)
        allowed = [*((folder, own) for folder in folders), (_DEVICES, devices)]
        if not all(_allow(libc, ruleset, path, rights) for path, rights in allowed):
            return False
        return _call(libc, _RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> bool:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return _call(libc, _ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, descriptor), 0) == 0
    finally:
        os.close(descriptor)


def _filter_calls(libc: ctypes.CDLL) -> bool:
    """Refuse system calls that no worker needs, in all threads; whether that holds."""
    processor = _PROCESSORS.get(platform.machine())
    if processor is None:
        return False
    program = _program(processor)
    code = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    return _call(libc, processor.seccomp, _FILTER_MODE, _FILTER_ALL_THREADS, described) == 0


def _program(processor: _Processor) -> bytes:
    """Return the filter as classic BPF; it is asked at every system call."""
    refused = processor.refused
    steps: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4),  # the kind of processor that the call is meant for
        (_EQUAL, 1, 0, processor.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # the number of the call
        (_AT_LEAST, len(refused) + 1, 0, _X32),
        *((_EQUAL, len(refused) - place, 0, number) for place, number in enumerate(refused)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
