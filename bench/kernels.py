"""The kernels beside what people use: ``python bench/kernels.py [--rounds N] [--cold] [--json F]``.

One thread each; every peer must agree with ours before it is timed.  Exit code 1 where a promised
ratio was missed.  ``--targets`` times ours as every weaker CPU too: what its instructions earn.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import letterbox_cases
import map_cases
import vector_cases
import yolo_cases
import yuv_cases
from floor import Floor
from side_by_side import Call, Case, Figures, measure, print_table, write_json

from hwrt import kernels


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--cold", action="store_true", help="with the caches emptied before a call")
    parser.add_argument("--targets", action="store_true", help="ours at every target too")
    parser.add_argument("--only", default="", help="the cases whose name has this text")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    cv2.setNumThreads(1)
    floor = Floor()
    parts = {
        "letterbox and resize": letterbox_cases.cases(floor),
        "luma and chroma": yuv_cases.cases(floor),
        "YOLOv8 decode and NMS": yolo_cases.cases(floor),
        "vectors": vector_cases.cases(floor),
        "maps of scores": map_cases.cases(floor),
    }
    tuned = "GLIBC_TUNABLES" in os.environ or "MALLOC_TOP_PAD_" in os.environ
    print(f"{kernels.active()}; malloc {'tuned' if tuned else 'as it is'}")
    found: dict[str, list[Figures]] = {}
    kept = True
    for title, cases in parts.items():
        chosen = [case for case in cases if arguments.only in case.name]
        found[title] = [
            measure(
                at_all_targets(case) if arguments.targets else case,
                rounds=arguments.rounds,
                cold=arguments.cold,
            )
            for case in chosen
        ]
        kept = print_table(title, found[title]) and kept
    if arguments.json:
        write_json(arguments.json, found, kernels=kernels.active(), cold=arguments.cold)
    return 0 if kept or arguments.cold else 1


def at_all_targets(case: Case) -> Case:
    """The case with ours as a peer at each target below the best."""
    import hwrt._kernels as compiled

    def limited(target: str) -> Call:
        def run() -> object:
            compiled.limit_target(target)
            try:
                return case.ours()
            finally:
                compiled.limit_target(None)

        return run

    peers = {f"hwrt at {target}": limited(target) for target in compiled.targets()[:-1]}
    return replace(case, peers={**case.peers, **peers})


if __name__ == "__main__":
    sys.exit(main())
