"""What the processor can do, as the system's own list tells it: lists of real processors, shortened."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from acutance.inference import processor
from acutance.inference.processor import is_intel, multiplies_bfloat16, multiplies_int8, usable_cpus

SAPPHIRE_RAPIDS = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu vme sse4_2 avx2 avx512f avx512bw avx512vl avx_vnni avx512_bf16 avx512_vnni amx_int8
bugs\t\t: spectre_v1

processor\t: 1
flags\t\t: fpu vme sse4_2 avx2 avx512f avx512bw avx512vl avx_vnni avx512_bf16 avx512_vnni amx_int8
"""
ALDER_LAKE = "processor\t: 0\nflags\t\t: fpu sse4_2 avx2 fma avx_vnni\nvmx flags\t: vnmi preemption_timer\n"
HASWELL = (
    "processor\t: 0\nmodel name\t: avx_vnni\nflags\t\t: fpu sse4_2 avx2 fma\nvmx flags\t: avx512_vnni\nbugs\t\t:\n"
)
SKYLAKE_X = "processor\t: 0\nflags\t\t: avx2 avx512f avx512bw avx512vl\n"
GRAVITON_2 = (
    "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd aes crc32 atomics fphp asimdhp lrcpc asimddp ssbs\n"
)
RASPBERRY_PI_4 = "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU part\t: 0xd08\n"


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[object]:
    """Say what system the next questions are about; whatever was known before is forgotten, and afterwards, too."""

    def pretend(system: str, machine: str, cpuinfo: str | bytes | None = None) -> None:
        path = tmp_path / "cpuinfo"
        if cpuinfo is not None:
            path.write_bytes(cpuinfo.encode() if isinstance(cpuinfo, str) else cpuinfo)
        monkeypatch.setattr(processor, "CPUINFO", path)
        monkeypatch.setattr(platform, "system", lambda: system)
        monkeypatch.setattr(platform, "machine", lambda: machine)
        multiplies_int8.cache_clear()

    yield pretend
    multiplies_int8.cache_clear()


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "expected"),
    [
        ("x86_64", SAPPHIRE_RAPIDS, True),
        ("x86_64", ALDER_LAKE, True),
        ("x86_64", HASWELL, False),
        ("x86_64", SKYLAKE_X, False),
        ("aarch64", GRAVITON_2, True),
        ("aarch64", RASPBERRY_PI_4, False),
        ("x86_64", "", False),
        ("x86_64", "flags", False),
        ("x86_64", "flags\t\t:\n", False),
        ("x86_64", "flags: avx_vnni_int8 xavx_vnni\n", False),
        ("x86_64", b"model name\t: \xff\xfe\nflags\t\t: avx_vnni\n", True),
    ],
    ids=[
        "Sapphire Rapids",
        "Alder Lake",
        "Haswell",
        "Skylake-X",
        "Graviton 2",
        "Raspberry Pi 4",
        "empty",
        "no colon",
        "no flags",
        "other flags",
        "no text",
    ],
)
def test_linux_lists_the_instructions(on, machine: str, cpuinfo: str | bytes, expected: bool) -> None:
    on("Linux", machine, cpuinfo)
    assert multiplies_int8() is expected


@pytest.mark.parametrize(
    ("flags", "expected"), [("avx512_bf16 amx_bf16 amx_tile", True), ("avx512_bf16 avx512_vnni", False), ("", False)]
)
def test_bfloat16_counts_where_tiles_of_it_are_multiplied(on, flags: str, expected: bool) -> None:
    on("Linux", "x86_64", f"flags\t\t: {flags}\n")
    multiplies_bfloat16.cache_clear()
    assert multiplies_bfloat16() is expected
    multiplies_bfloat16.cache_clear()


def test_without_a_list_the_answer_is_no(on, tmp_path: Path) -> None:
    on("Windows", "AMD64")
    assert not multiplies_int8()
    on("Linux", "x86_64")
    assert not multiplies_int8()
    (tmp_path / "cpuinfo").mkdir()
    on("Linux", "x86_64")
    assert not multiplies_int8()


@pytest.mark.parametrize(("machine", "expected"), [("arm64", True), ("x86_64", False)])
def test_apples_own_processors_all_can(on, machine: str, expected: bool) -> None:
    on("Darwin", machine)
    assert multiplies_int8() is expected


def test_the_system_is_asked_once(on) -> None:
    on("Linux", "x86_64", ALDER_LAKE)
    assert multiplies_int8()
    processor.CPUINFO.write_text(HASWELL)
    assert multiplies_int8()
    multiplies_int8.cache_clear()
    assert not multiplies_int8()


def test_the_answer_here_is_a_plain_yes_or_no() -> None:
    multiplies_int8.cache_clear()
    assert isinstance(multiplies_int8(), bool)


@pytest.mark.parametrize(("vendor", "expected"), [("GenuineIntel", True), ("AuthenticAMD", False)])
def test_the_make_of_the_processor(on, monkeypatch: pytest.MonkeyPatch, vendor: str, expected: bool) -> None:
    monkeypatch.setattr("platform.processor", lambda: "")
    on("Linux", "x86_64", f"vendor_id\t: {vendor}\nflags\t\t: fpu\n")
    is_intel.cache_clear()
    assert is_intel() is expected
    is_intel.cache_clear()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="binds a process to CPUs, as Linux can")
def test_cpus_are_those_that_the_process_is_bound_to() -> None:
    bound = os.sched_getaffinity(0)
    assert usable_cpus() == len(bound)
    try:
        os.sched_setaffinity(0, {min(bound)})
        assert usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, bound)
