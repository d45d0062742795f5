"""The drawn networks: shapes of every stage, and what they answer under ONNX Runtime."""

import math

import numpy as np
import onnx
import pytest

from hwrt import zoo

# Stage -> channels, size: the tables of the papers.
EFFICIENTNET = {
    "efficientnet_lite0": (224, (16, 24, 40, 80, 112, 192, 320), (112, 56, 28, 14, 7)),
    "efficientnet_lite1": (240, (16, 24, 40, 80, 112, 192, 320), (120, 60, 30, 15, 8)),
    "efficientnet_lite2": (260, (16, 24, 48, 88, 120, 208, 352), (130, 65, 33, 17, 9)),
    "efficientnet_lite3": (280, (24, 32, 48, 96, 136, 232, 384), (140, 70, 35, 18, 9)),
    "efficientnet_lite4": (300, (24, 32, 56, 112, 160, 272, 448), (150, 75, 38, 19, 10)),
}
STAGES = {
    "resnet50": {
        "images": (3, 224),
        "conv1": (64, 112),
        "conv2": (256, 56),
        "conv3": (512, 28),
        "conv4": (1024, 14),
        "conv5": (2048, 7),
    },
    "mobilenet_v3_large": {
        "images": (3, 224),
        "stem": (16, 112),
        "block1": (16, 112),
        "block2": (24, 56),
        "block3": (24, 56),
        "block4": (40, 28),
        "block5": (40, 28),
        "block6": (40, 28),
        "block7": (80, 14),
        "block8": (80, 14),
        "block9": (80, 14),
        "block10": (80, 14),
        "block11": (112, 14),
        "block12": (112, 14),
        "block13": (160, 7),
        "block14": (160, 7),
        "block15": (160, 7),
        "head": (960, 7),
    },
    "mobilenet_v3_small": {
        "images": (3, 224),
        "stem": (16, 112),
        "block1": (16, 56),
        "block2": (24, 28),
        "block3": (24, 28),
        "block4": (40, 14),
        "block5": (40, 14),
        "block6": (40, 14),
        "block7": (48, 14),
        "block8": (48, 14),
        "block9": (96, 7),
        "block10": (96, 7),
        "block11": (96, 7),
        "head": (576, 7),
    },
    "yolov8n": {
        "images": (3, 640),
        "backbone/p1": (16, 320),
        "backbone/p2": (32, 160),
        "backbone/p3": (64, 80),
        "backbone/p4": (128, 40),
        "backbone/p5": (256, 20),
        "backbone/sppf": (256, 20),
        "neck/up4": (128, 40),
        "neck/p3": (64, 80),
        "neck/p4": (128, 40),
        "neck/p5": (256, 20),
        "head/p3/box": (64, 80),
        "head/p4/box": (64, 40),
        "head/p5/box": (64, 20),
        "head/p3/class": (80, 80),
        "head/p4/class": (80, 40),
        "head/p5/class": (80, 20),
    },
    **{
        name: {
            "images": (3, image),
            "stem": (32, sizes[0]),
            "stage1": (channels[0], sizes[0]),
            "stage2": (channels[1], sizes[1]),
            "stage3": (channels[2], sizes[2]),
            "stage4": (channels[3], sizes[3]),
            "stage5": (channels[4], sizes[3]),
            "stage6": (channels[5], sizes[4]),
            "stage7": (channels[6], sizes[4]),
            "head": (1280, sizes[4]),
        }
        for name, (image, channels, sizes) in EFFICIENTNET.items()
    },
}
OUTPUTS = dict.fromkeys(STAGES, ("logits", (1000,))) | {"yolov8n": ("output0", (84, 8400))}
BLOCKS = {
    "resnet50": [3, 4, 6, 3],
    "efficientnet_lite0": [1, 2, 2, 3, 3, 4, 1],
    "efficientnet_lite1": [1, 3, 3, 4, 4, 5, 1],
    "efficientnet_lite2": [1, 3, 3, 4, 4, 5, 1],
    "efficientnet_lite3": [1, 3, 3, 5, 5, 6, 1],
    "efficientnet_lite4": [1, 4, 4, 6, 6, 8, 1],
}
FAMILIES = ("mobilenet_v3_small", "efficientnet_lite0", "yolov8n", "resnet50")
CLASSIFIERS = ("mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_lite0", "resnet50")


@pytest.mark.parametrize(
    ("name", "fold"), [(name, True) for name in STAGES] + [(name, False) for name in FAMILIES]
)
def test_every_stage_has_the_published_shape(name, fold):
    shapes = _inferred_shapes(zoo.build(name, fold_batch_norm=fold))

    expected = {
        stage: (1, channels, size, size) for stage, (channels, size) in STAGES[name].items()
    }
    assert expected == {stage: shapes[stage] for stage in expected}


@pytest.mark.parametrize("batch", [1, 4, None])
@pytest.mark.parametrize("name", FAMILIES)
def test_inputs_and_outputs_have_the_stated_shape(name, batch):
    shapes = _inferred_shapes(zoo.build(name, batch=batch))
    output, shape = OUTPUTS[name]

    first = "batch" if batch is None else batch
    assert shapes["images"] == (first, 3, *[STAGES[name]["images"][1]] * 2)
    assert shapes[output] == (first, *shape)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_stage_has_the_published_number_of_blocks(name):
    blocks = sorted(
        {tuple(n.name.split("/")[:2]) for n in zoo.build(name).graph.node if "/block" in n.name}
    )
    stages = [stage for stage, _ in blocks]

    assert BLOCKS[name] == [stages.count(stage) for stage in sorted(set(stages))]


@pytest.mark.parametrize("name", [*CLASSIFIERS, "efficientnet_lite4"])
def test_logits_are_finite_spread_and_follow_the_input(name):
    first, second = _answers(zoo.build(name), _noise(name, 0), _smooth(name))

    assert np.isfinite(first).all()
    assert np.isfinite(second).all()
    assert 1.0 < first.std() < 5.0
    assert 1.0 < second.std() < 5.0
    assert np.abs(first - second).std() > 0.05 * first.std()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_logits_are_finite_and_spread_for_other_seeds(name, seed):
    (logits,) = _answers(zoo.build(name, seed=seed), _noise(name, 0))

    assert np.isfinite(logits).all()
    assert 1.0 < logits.std() < 5.0


def test_yolov8n_finds_some_objects_of_many_sizes_in_noise():
    (output,) = _answers(zoo.build("yolov8n"), _noise("yolov8n", 0))
    width, height, scores = output[0, 2], output[0, 3], output[0, 4:]

    assert np.isfinite(output).all()
    assert scores.min() > 0.0
    assert scores.max() < 1.0
    assert 0 < (scores > 0.25).sum() < 200
    assert scores.std() > 0.005
    assert width.min() > 0.0
    assert height.min() > 0.0
    assert width.max() > 3 * width.min()


def test_yolov8n_answers_another_frame_otherwise():
    first, second = _answers(zoo.build("yolov8n"), _noise("yolov8n", 0), _smooth("yolov8n"))

    assert np.abs(_logit(first[:, 4:]) - _logit(second[:, 4:])).mean() > 0.1
    assert np.abs(first[:, :4] - second[:, :4]).mean() > 1.0


def test_yolov8n_decodes_boxes_as_the_papers_say():
    model = zoo.build("yolov8n")
    levels = {"p3": 8, "p4": 16, "p5": 32}
    for level in levels:
        model.graph.output.extend(
            onnx.helper.make_tensor_value_info(f"head/{level}/{part}", onnx.TensorProto.FLOAT, None)
            for part in ("box", "class")
        )
    output, *raw = _session(model).run(None, {"images": _noise("yolov8n", 0)})

    expected = np.concatenate(
        [
            _decoded(raw[2 * i][0], raw[2 * i + 1][0], stride)
            for i, stride in enumerate(levels.values())
        ],
        axis=1,
    )
    np.testing.assert_allclose(output[0], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_folded_classifier_answers_as_the_unfolded_one(name):
    x = _noise(name, 0)
    (folded,) = _answers(zoo.build(name), x)
    (unfolded,) = _answers(zoo.build(name, fold_batch_norm=False), x)

    np.testing.assert_allclose(folded, unfolded, rtol=1e-3, atol=1e-3)


def test_a_folded_detector_answers_as_the_unfolded_one():
    x = _noise("yolov8n", 0)
    (folded,) = _answers(zoo.build("yolov8n"), x)
    (unfolded,) = _answers(zoo.build("yolov8n", fold_batch_norm=False), x)

    np.testing.assert_allclose(folded[:, :4], unfolded[:, :4], rtol=1e-3, atol=0.1)
    np.testing.assert_allclose(folded[:, 4:], unfolded[:, 4:], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_dynamic_batch_answers_each_frame_as_a_batch_of_one_does(name):
    session = _session(zoo.build(name, batch=None))
    x = np.concatenate([_noise(name, 0), _smooth(name), _noise(name, 1)])

    (together,) = session.run(None, {"images": x})
    alone = [session.run(None, {"images": x[i : i + 1]})[0] for i in range(3)]

    assert together.shape == (3, *OUTPUTS[name][1])
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-3, atol=1e-2)


def _inferred_shapes(model):
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    return {
        value.name: tuple(
            dim.dim_value if dim.HasField("dim_value") else dim.dim_param
            for dim in value.type.tensor_type.shape.dim
        )
        for value in (*graph.input, *graph.value_info, *graph.output)
    }


def _decoded(box, scores, stride):
    """One level's boxes and scores (84, cells), straight from the definitions."""
    _, rows, columns = box.shape
    bins = np.exp(box.reshape(4, 16, rows * columns).astype(np.float64))
    left, top, right, bottom = np.einsum("sbc,b->sc", bins / bins.sum(1, keepdims=True), range(16))
    x = np.tile(np.arange(columns) + 0.5, rows)
    y = np.repeat(np.arange(rows) + 0.5, columns)
    x0, y0, x1, y1 = x - left, y - top, x + right, y + bottom
    boxes = np.stack([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]) * stride
    return np.concatenate([boxes, 1 / (1 + np.exp(-scores.reshape(80, -1).astype(np.float64)))])


def _logit(scores):
    return np.log(scores) - np.log1p(-scores)


def _answers(model, *inputs):
    session = _session(model)
    return [session.run(None, {"images": x})[0] for x in inputs]


def _session(model):
    ort = pytest.importorskip("onnxruntime", reason="the zoo's models are run on onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _noise(name, seed):
    size = STAGES[name]["images"][1]
    return _normalised(name, np.random.default_rng(seed).integers(0, 256, (3, size, size)))


def _smooth(name):
    """A frame of slow waves, as unlike noise as a photograph is."""
    size = STAGES[name]["images"][1]
    y, x = np.mgrid[:size, :size] * (2 * math.pi / size)
    return _normalised(name, 127.5 * (1 + np.stack([np.sin(x), np.cos(2 * y), np.sin(x + 3 * y)])))


def _normalised(name, levels):
    mean, std = (0.0, 255.0) if name == "yolov8n" else (127.5, 60.0)
    return ((levels - mean) / std)[None].astype(np.float32)
