"""The kernels beside what people use: ``python bench/kernels.py [--rounds N] [--cold] [--json F]``.

One thread each; every peer must agree with ours before it is timed.  Exit code 1 where a promised
ratio was missed.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import cv2
import letterbox_cases
import vector_cases
import yolo_cases
from floor import Floor
from side_by_side import Figures, measure, print_table, write_json

from hwrt.vision import kernels


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--cold", action="store_true", help="with the caches emptied before a call")
    parser.add_argument("--only", default="", help="the cases whose name has this text")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    cv2.setNumThreads(1)
    floor = Floor()
    parts = {
        "letterbox and resize": letterbox_cases.cases(floor),
        "YOLOv8 decode and NMS": yolo_cases.cases(floor),
        "vectors": vector_cases.cases(floor),
    }
    tuned = "GLIBC_TUNABLES" in os.environ or "MALLOC_TOP_PAD_" in os.environ
    print(f"{kernels.active()}; malloc {'tuned' if tuned else 'as it is'}")
    found: dict[str, list[Figures]] = {}
    kept = True
    for title, cases in parts.items():
        chosen = [case for case in cases if arguments.only in case.name]
        found[title] = [
            measure(case, rounds=arguments.rounds, cold=arguments.cold) for case in chosen
        ]
        kept = print_table(title, found[title]) and kept
    if arguments.json:
        write_json(arguments.json, found, kernels=kernels.active(), cold=arguments.cold)
    return 0 if kept or arguments.cold else 1


if __name__ == "__main__":
    sys.exit(main())
