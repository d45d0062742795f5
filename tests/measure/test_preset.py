import pytest

from hwrt.measure.percentile import samples_needed
from hwrt.measure.preset import PRESETS


@pytest.mark.parametrize(
    ("name", "seconds", "samples"),
    [("quick", 3, 64), ("standard", 10, 662), ("mlperf", 600, 662)],
)
def test_presets_ask_for_these_seconds_and_samples(name, seconds, samples):
    preset = PRESETS[name]

    assert preset.name == name
    assert (preset.min_seconds, preset.min_samples) == (seconds, samples)


def test_a_quick_run_tells_p90_and_a_standard_run_p99():
    assert PRESETS["quick"].min_samples == samples_needed(0.9)
    assert PRESETS["standard"].min_samples == samples_needed(0.99)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_a_preset_leaves_more_time_than_it_asks_for(preset):
    assert preset.max_seconds > preset.min_seconds


def test_presets_can_not_be_changed():
    with pytest.raises(TypeError):
        PRESETS["quick"] = PRESETS["standard"]
