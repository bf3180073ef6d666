"""Number plates in larger pictures, moved: are they read when the region is told, when nothing is, when the motion is?

python benchmarks/plates.py --count 40   # straight motion of 8 to 16 px, any angle, noise of 2 levels, JPEG 85

Plates are drawn and read as `acutance evaluate --recognise plates` does (extra `recognise`), letters 13 to 21 px high,
in pictures of 340×180 px: there the plate is cut out, which says nothing of regions.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from acutance.data.blurs import LineBlur
from acutance.data.protocol import degrade
from acutance.evaluation.recognition.conditions import condition
from acutance.evaluation.recognition.items import Artist
from acutance.evaluation.recognition.judges import open_judges
from acutance.evaluation.recognition.rates import percent, wilson
from acutance.geometry import Size
from acutance.inference.sharpener import Sharpener
from acutance.inference.told import Region, ToldBlur

SIZE = Size(180, 340)
AROUND_PX = 10
"""So much around a plate is the region that a person would draw."""


def main() -> None:
    """Draw, move, restore and read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="how many plates")
    count = parser.parse_args().count
    judges, _ = open_judges(["plates"])
    shown: dict[str, list[npt.NDArray[np.uint8]]] = {}
    truths, seconds = [], []
    with Sharpener("motion") as sharpener:
        for number in range(count):
            rng = np.random.default_rng([number, 79])
            plate = Artist().plate(number, float(rng.uniform(13, 22)), least=SIZE)
            blur = LineBlur(float(rng.uniform(8, 16)), math.pi * float(rng.random()))
            told = ToldBlur.motion(blur.length_px, degrees=math.degrees(blur.angle))
            sharp, box, size = plate.item.sharp, plate.box, plate.box.size
            seen = degrade(sharp, replace(condition("none-n2-q85"), blur=blur), index=number)
            region = Region(
                x=box.left - AROUND_PX,
                y=box.top - AROUND_PX,
                width=size.width + 2 * AROUND_PX,
                height=size.height + 2 * AROUND_PX,
            )
            pictures = {
                "sharp": sharp,
                "blurred": seen,
                "nothing told, whole picture": sharpener(seen),
                "nothing told, the region": sharpener.told(region=region)(seen),
            }
            start = time.perf_counter()
            pictures["told, the region"] = sharpener.told(told, region=region)(seen)
            seconds.append(time.perf_counter() - start)
            truths.append(plate.text)
            for name, picture in pictures.items():
                shown.setdefault(name, []).append(picture[box.slices].astype(np.uint8))
    print(f"{count} plates, straight motion of 8 to 16 px, noise of 2 levels, JPEG 85: read exactly (95 %)\n")
    print("| picture |" + "".join(f" {judge.name} |" for judge in judges) + "\n|---|" + "---|" * len(judges))
    for name, plates in shown.items():
        hits = [sum(one.text == truth for one, truth in zip(judge.read(plates, "plates"), truths, strict=True))
                for judge in judges]  # fmt: skip
        print(f"| {name} |" + "".join(f" {percent(wilson(hit, count))} |" for hit in hits))
    print(f"\ntold, of a region: {np.median(seconds):.2f} s in the median")


if __name__ == "__main__":
    main()
