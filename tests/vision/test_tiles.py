"""Large frames in tiles, and the merge of what the tiles see.

The synthetic detector sees each object of a scene in a tile as a good network would: the part of it
that lies in the tile, if that is large enough.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.spec import ModelInfo
from hwrt.vision import Classifier, Detections, Detector
from hwrt.vision.tiles import Tile, merged, tiles_of

from .two_classes import CLASSIFY, DETECT, brightness, gray, one_box

MakeInfo = Callable[..., ModelInfo]
MakeSession = Callable[..., Any]
Object = tuple[tuple[float, float, float, float], float, int]
FRAME = (300, 400)


def seen(objects: Sequence[Object], tile: Tile, *, least: float = 4) -> Detections:
    """What lies of the objects in the tile, in the frame's pixels; a part has a better score."""
    found = []
    for box, score, number in objects:
        x0, y0 = max(box[0], tile.x0), max(box[1], tile.y0)
        x1, y1 = min(box[2], tile.x1), min(box[3], tile.y1)
        if min(x1 - x0, y1 - y0) >= least:
            part = (x0, y0, x1, y1) != box
            found.append(((x0, y0, x1, y1), score + 0.1 * part, number))
    boxes = np.array([box for box, _, _ in found], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score, _ in found], np.float32)
    classes = np.array([number for _, _, number in found], np.int32)
    return Detections(boxes=boxes, scores=scores, classes=classes, labels=("",) * len(found))


def detection(box: tuple[float, float, float, float], score: float) -> Detections:
    """One object of class 0."""
    return Detections(
        boxes=np.array([box], np.float32),
        scores=np.array([score], np.float32),
        classes=np.array([0], np.int32),
        labels=("",),
    )


def merge(objects: Sequence[Object], tile: tuple[int, int] = (100, 100), **options: Any) -> Any:
    tiles = tiles_of(FRAME, tile, 0.2)
    given = {"iou": 0.45, "max_det": 300, "class_agnostic": False, **options}
    return merged([seen(objects, one) for one in tiles], tiles, FRAME, **given)


@pytest.mark.parametrize(
    "frame", [(300, 400), (101, 99), (100, 100), (3, 1000), (641, 640), (1, 1)]
)
@pytest.mark.parametrize("overlap", [0, 0.2, 0.5, 0.9])
def test_tiles_cover_the_frame_and_lie_within_it(frame: Any, overlap: float) -> None:
    covered = np.zeros(frame, np.int32)
    for tile in tiles_of(frame, (100, 100), overlap):
        assert 0 <= tile.x0 < tile.x1 <= frame[1]
        assert 0 <= tile.y0 < tile.y1 <= frame[0]
        covered[tile.y0 : tile.y1, tile.x0 : tile.x1] += 1

    assert covered.min() >= 1


@pytest.mark.parametrize("length", [101, 180, 181, 260, 261, 5000])
def test_neighbours_share_at_least_the_overlap(length: int) -> None:
    tiles = tiles_of((100, length), (100, 100), 0.2)

    assert min(a.x1 - b.x0 for a, b in itertools.pairwise(tiles)) >= 20


def test_an_overlap_of_no_whole_pixels_is_rounded_up() -> None:
    tiles = [tiles_of((33, length), (33, 33), 0.2) for length in range(34, 120)]

    assert 7 == min(a.x1 - b.x0 for row in tiles for a, b in itertools.pairwise(row))


def test_tiles_of_one_pixel_have_no_overlap() -> None:
    assert [0, 1, 2, 3] == [one.x0 for one in tiles_of((1, 4), (1, 1), 0.9)]


def test_no_more_tiles_are_used_than_need_be() -> None:
    assert 2 == len(tiles_of((100, 180), (100, 100), 0.2))
    assert 3 == len(tiles_of((100, 181), (100, 100), 0.2))
    assert 1 == len(tiles_of((100, 100), (100, 100), 0.2))
    assert 12 == len(tiles_of((300, 400), (100, 100), 0))


def test_an_object_in_one_tile_is_found_once_where_it_is() -> None:
    boxes, scores, classes = merge([((10, 20, 50, 60), 0.75, 1)])

    assert [[10, 20, 50, 60]] == boxes.tolist()
    assert ([0.75], [1]) == (scores.tolist(), classes.tolist())


@pytest.mark.parametrize(("x", "y"), list(itertools.product(range(0, 380, 7), (0, 60, 70, 95))))
def test_an_object_smaller_than_the_overlap_is_found_once_wherever_it_lies(x: int, y: int) -> None:
    boxes, scores, _ = merge([((x, y, x + 20, y + 20), 0.5, 0)])

    assert [[x, y, x + 20, y + 20]] == boxes.tolist()
    assert [0.5] == scores.tolist()


@pytest.mark.parametrize(
    "box",
    [
        (50, 10, 140, 60),
        (70, 70, 130, 130),
        (10, 10, 390, 60),
        (10, 10, 390, 290),
        (180, 30, 220, 280),
    ],
    ids=["in two tiles", "on a crossing", "in a row of tiles", "in all tiles", "in a column"],
)
def test_an_object_that_no_tile_holds_whole_is_the_union_of_its_parts(box: Any) -> None:
    boxes, scores, _ = merge([(box, 0.5, 0)])

    assert [list(box)] == boxes.tolist()
    assert [np.float32(0.6)] == scores


def test_a_part_yields_to_the_whole_though_its_score_is_better() -> None:
    tiles = [Tile(0, 0, 100, 100), Tile(80, 0, 180, 100)]
    part, whole = detection((82, 10, 99.5, 50), 0.9), detection((82, 10, 140, 50), 0.4)

    boxes, scores, _ = merged(
        [part, whole], tiles, (100, 180), iou=0.45, max_det=300, class_agnostic=False
    )

    assert [[82, 10, 140, 50]] == boxes.tolist()
    assert [np.float32(0.4)] == scores


@pytest.mark.parametrize(("inside", "count"), [(9, 2), (10, 2), (11, 1)])
def test_a_part_yields_where_more_than_half_of_it_lies_in_a_whole(inside: int, count: int) -> None:
    tiles = [Tile(0, 0, 100, 100), Tile(80, 0, 180, 100)]
    part, whole = detection((80, 10, 100, 50), 0.9), detection((100 - inside, 10, 150, 50), 0.4)

    boxes, _, _ = merged(
        [part, whole], tiles, (100, 180), iou=0.45, max_det=300, class_agnostic=False
    )

    assert count == len(boxes)


def test_a_part_yields_to_a_whole_that_max_det_leaves_out() -> None:
    tiles = [Tile(0, 0, 100, 100), Tile(80, 0, 180, 100)]
    part, whole = detection((82, 10, 100, 50), 0.95), detection((82, 10, 140, 50), 0.4)
    best = detection((10, 60, 40, 90), 0.9)

    boxes, _, _ = merged(
        [part, whole, best],
        [*tiles, tiles[0]],
        (100, 180),
        iou=0.45,
        max_det=1,
        class_agnostic=False,
    )

    assert [[10, 60, 40, 90]] == boxes.tolist()


@pytest.mark.parametrize(
    "small", [(0, 40, 20, 60), (80, 40, 100, 60), (40, 0, 60, 20), (40, 80, 60, 100)]
)
def test_a_small_object_at_the_frames_border_in_front_of_a_large_one_stays(small: Any) -> None:
    found = [detection(small, 0.9), detection((2, 2, 98, 98), 0.5)]

    boxes, _, _ = merged(
        found,
        [Tile(0, 0, 100, 100)] * 2,
        (100, 100),
        iou=0.45,
        max_det=300,
        class_agnostic=False,
    )

    assert [list(small), [2, 2, 98, 98]] == boxes.tolist()


def test_a_whole_object_in_front_of_a_large_cut_one_leaves_it() -> None:
    small, large = (84, 40, 96, 60), (10, 10, 140, 90)

    boxes, _, _ = merge([(small, 0.9, 0), (large, 0.5, 0)])

    assert sorted([list(small), list(large)]) == sorted(boxes.tolist())


def test_objects_of_two_classes_do_not_touch_each_other() -> None:
    first, second = ((50, 10, 140, 60), 0.5, 0), ((52, 10, 142, 60), 0.6, 1)

    boxes, _, classes = merge([first, second])

    assert [1, 0] == classes.tolist()
    assert [[52, 10, 142, 60], [50, 10, 140, 60]] == boxes.tolist()


def test_a_part_does_not_yield_to_a_whole_object_of_another_class() -> None:
    boxes, _, classes = merge([((65, 10, 140, 60), 0.5, 0), ((77, 12, 98, 58), 0.6, 1)])

    assert [1, 0] == sorted(classes.tolist(), reverse=True)
    assert [65, 10, 140, 60] in boxes.tolist()


def test_the_best_come_first_whether_they_were_cut_or_not() -> None:
    _, scores, _ = merge([((10, 10, 30, 30), 0.5, 0), ((50, 40, 140, 70), 0.7, 0)])

    assert [np.float32(0.8), np.float32(0.5)] == scores.tolist()


def test_class_agnostic_merges_across_classes() -> None:
    objects = [((50, 10, 140, 60), 0.5, 0), ((52, 10, 142, 60), 0.6, 1)]

    boxes, _, classes = merge(objects, class_agnostic=True)

    assert [1] == classes.tolist()
    assert [[50, 10, 142, 60]] == boxes.tolist()


def test_neighbours_that_are_both_cut_stay_two() -> None:
    above, below = (50, 10, 140, 40), (50, 45, 140, 75)

    boxes, _, _ = merge([(above, 0.5, 0), (below, 0.6, 0)])

    assert [list(below), list(above)] == boxes.tolist()


def test_a_box_at_the_frames_own_border_is_whole() -> None:
    boxes, scores, _ = merge([((0, 0, 30, 300), 0.5, 0)], tile=(300, 100))

    assert [[0, 0, 30, 300]] == boxes.tolist()
    assert [0.5] == scores.tolist()


def test_max_det_keeps_the_best_of_all_tiles() -> None:
    objects = [((x, 10, x + 5, 15), x / 1000, 0) for x in range(2, 390, 10)]

    _, scores, _ = merge(objects, max_det=3)

    np.testing.assert_allclose(scores, [0.382, 0.372, 0.362])


def test_two_objects_in_a_common_region_are_kept_by_the_detectors_iou() -> None:
    objects = [((82, 10, 92, 50), 0.5, 0), ((88, 10, 98, 50), 0.6, 0)]

    assert 2 == len(merge(objects, tile=(300, 100))[0])
    assert 1 == len(merge(objects, tile=(300, 100), iou=0.2)[0])


@pytest.mark.parametrize("seed", range(20))
def test_scattered_objects_are_each_found_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = [(x, y) for x in range(0, 400, 80) for y in range(0, 300, 60)]
    objects = []
    for x, y in cells:
        width, height = rng.integers(8, 75), rng.integers(8, 55)
        left, top = x + rng.integers(0, 78 - width), y + rng.integers(0, 58 - height)
        box = tuple(float(edge) for edge in (left, top, left + width, top + height))
        objects.append((box, 0.5, int(rng.integers(0, 2))))

    boxes, _, classes = merge(objects)

    expected = sorted((*box, number) for box, _, number in objects)
    assert expected == sorted(
        (*box, number) for box, number in zip(boxes.tolist(), classes, strict=True)
    )


def bright_box(tensor: np.ndarray) -> np.ndarray:
    """A box around what is bright in each image, of the class 0; none where nothing is."""
    answer = np.zeros((len(tensor), 6, 1), np.float32)
    for image, numbers in zip(tensor, answer, strict=True):
        rows, columns = np.nonzero(image[0] > 100)
        if len(rows):
            y0, y1, x0, x1 = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
            numbers[:5, 0] = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, 0.5
    return answer


@pytest.fixture
def detector(model_info: MakeInfo, fake_session: MakeSession) -> Detector:
    info = model_info(shape=(None, 3, 32, 48), output=(None, 6, 1))
    return Detector(fake_session(info, bright_box), dataclasses.replace(DETECT, size=(32, 48)))


def test_a_frame_is_looked_at_in_tiles_of_the_models_size(detector: Detector) -> None:
    frame = gray(0, 100, 200)
    frame[70:80, 150:160] = 255

    found = detector.tiled(frame)

    assert [[150, 70, 160, 80]] == found.boxes.tolist()
    assert ("cat",) == found.labels
    assert len(tiles_of((100, 200), (32, 48), 0.2)) == len(detector.session.fed)


def test_tiles_of_another_size_are_scaled_to_the_models(detector: Detector) -> None:
    frame = gray(0, 128, 192)
    frame[64:96, 96:128] = 255

    found = detector.tiled(frame, tile=(64, 96), overlap=0)

    assert [[96, 64, 128, 96]] == found.boxes.tolist()
    assert 4 == len(detector.session.fed)


def test_an_object_across_tiles_of_a_frame_is_one(detector: Detector) -> None:
    frame = gray(0, 100, 200)
    frame[40:60, 20:180] = 255

    assert [[20, 40, 180, 60]] == detector.tiled(frame).boxes.tolist()


def test_a_frame_smaller_than_a_tile_is_looked_at_whole(detector: Detector) -> None:
    frame = gray(0, 16, 24)
    frame[4:8, 6:12] = 255

    found = detector.tiled(frame)

    np.testing.assert_allclose(found.boxes, [[6, 4, 12, 8]], atol=0.5)
    assert 1 == len(detector.session.fed)


def test_a_frame_without_objects_has_none(detector: Detector) -> None:
    found = detector.tiled(gray(0, 100, 200))

    assert ((0, 4), (), ()) == (found.boxes.shape, found.labels, tuple(found.classes))


def test_tiles_fill_the_batch_of_the_model(model_info: MakeInfo, fake_session: MakeSession) -> None:
    info = model_info(shape=(4, 3, 8, 8), output=(4, 6, 1))
    detector = Detector(fake_session(info, bright_box), DETECT)
    frame = gray(0, 8, 44)
    frame[2:6, 40:44] = 255

    found = detector.tiled(frame, overlap=0)

    assert [[40, 2, 44, 6]] == found.boxes.tolist()
    assert [4, 4] == [len(tensor) for tensor in detector.session.fed]


@pytest.mark.parametrize("tile", [(0, 8), (8, -1), (8,), 8, "8x8", (8.0, 8.0)])
def test_a_tile_of_no_size_is_an_error(detector: Detector, tile: Any) -> None:
    with pytest.raises(InputError, match="tile is"):
        detector.tiled(gray(0), tile=tile)


@pytest.mark.parametrize("overlap", [-0.1, 0.95, 1, float("nan"), "0.2", None, [0.2]])
def test_an_overlap_that_leaves_no_step_is_an_error(detector: Detector, overlap: Any) -> None:
    with pytest.raises(InputError, match="overlap is"):
        detector.tiled(gray(0), overlap=overlap)


def test_tiles_take_numpys_numbers(detector: Detector) -> None:
    frame = gray(0, 300, 400)
    frame[270:280, 350:360] = 255

    found = detector.tiled(frame, tile=np.array((32, 48), np.int8), overlap=np.array(0.2))

    assert [[350, 270, 360, 280]] == found.boxes.tolist()


def test_a_list_of_frames_is_refused(detector: Detector) -> None:
    with pytest.raises(InputError, match="the frame is list"):
        detector.tiled([gray(0)])  # type: ignore[arg-type]


def test_a_classifier_refuses_tiles(model_info: MakeInfo, fake_session: MakeSession) -> None:
    classifier = Classifier(fake_session(model_info(), brightness), CLASSIFY)

    with pytest.raises(InputError, match=r"tiles are for detectors.*'classify'.*roi="):
        classifier.tiled(gray(0))


def test_tiles_need_to_know_where_the_frame_lies(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    session = fake_session(model_info(output=(None, 6, 1)), one_box)
    detector = Detector(session, DETECT, preprocess=lambda frame, out: None)

    with pytest.raises(InputError, match="preprocess returned no Geometry"):
        detector.tiled(gray(0, 24, 64))
