import pytest

from hwrt.machine.accelerators import accelerators

NVIDIA_INFORMATION = """Model: \t\t NVIDIA H200
IRQ:   \t\t 42
GPU UUID: \t GPU-0123
Bus Location: \t 0000:01:00.0
"""


def test_a_machine_without_accelerators_lists_none(tmp_path):
    assert accelerators(tmp_path) == []


def test_an_nvidia_gpu_is_named_by_its_driver_without_its_uuid(tree):
    root = tree(
        {
            "proc/driver/nvidia/gpus/0000:01:00.0/information": NVIDIA_INFORMATION,
            "sys/module/nvidia/version": "550.54.15\n",
        }
    )

    assert accelerators(root) == [{"kind": "gpu", "name": "NVIDIA H200", "driver": "550.54.15"}]


def test_an_nvidia_gpu_is_not_listed_again_for_its_render_node(tree):
    root = tree(
        {
            "proc/driver/nvidia/gpus/0000:01:00.0/information": NVIDIA_INFORMATION,
            "dev/nvidia0": "",
            "sys/class/drm/renderD128/device/vendor": "0x10de\n",
            "sys/class/drm/renderD128/device/device": "0x2335\n",
        }
    )

    assert [entry["name"] for entry in accelerators(root)] == ["NVIDIA H200"]


def test_in_a_container_the_device_nodes_alone_show_nvidia_gpus(tree):
    root = tree({"dev/nvidia0": "", "dev/nvidia1": "", "dev/nvidiactl": "", "dev/nvidia-uvm": ""})

    assert [entry["name"] for entry in accelerators(root)] == ["NVIDIA GPU", "NVIDIA GPU"]


def test_a_jetsons_gpu_is_named_by_its_chip_and_release(tree):
    root = tree(
        {
            "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0",
            "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081",
        }
    )

    assert accelerators(root) == [{"kind": "gpu", "name": "NVIDIA tegra234", "driver": "R36.4.3"}]


def test_an_integrated_gpu_is_named_by_its_pci_ids(tree):
    root = tree(
        {
            "sys/class/drm/renderD128/device/vendor": "0x8086\n",
            "sys/class/drm/renderD128/device/device": "0x46d1\n",
            "sys/class/drm/renderD128/device/uevent": "DRIVER=i915\nPCI_CLASS=30000\n",
        }
    )

    assert accelerators(root) == [{"kind": "gpu", "name": "8086:46d1", "driver": "i915"}]


def test_a_raspberry_pis_gpu_is_named_by_the_device_tree(tree):
    event = "DRIVER=v3d\nOF_NAME=gpu\nOF_COMPATIBLE_0=brcm,2712-v3d\n"
    root = tree({"sys/class/drm/renderD128/device/uevent": event})

    assert accelerators(root) == [{"kind": "gpu", "name": "brcm,2712-v3d", "driver": "v3d"}]


def test_a_device_of_the_accel_class_is_an_npu(tree):
    root = tree(
        {
            "sys/class/accel/accel0/device/vendor": "0x8086\n",
            "sys/class/accel/accel0/device/device": "0x7d1d\n",
            "sys/class/accel/accel0/device/uevent": "DRIVER=intel_vpu\n",
        }
    )

    assert accelerators(root) == [{"kind": "npu", "name": "8086:7d1d", "driver": "intel_vpu"}]


def test_ascend_devices_are_counted_without_their_control_node(tree):
    root = tree(
        {
            "dev/davinci0": "",
            "dev/davinci1": "",
            "dev/davinci_manager": "",
            "usr/local/Ascend/driver/version.info": "Version=24.1.rc3\nascendhal_version=7.35\n",
        }
    )

    one = {"kind": "npu", "name": "Ascend", "driver": "24.1.rc3"}
    assert accelerators(root) == [one, one]


@pytest.mark.parametrize(("vendor", "product"), [("1a6e", "089a"), ("18d1", "9302")])
def test_a_coral_stick_is_the_same_before_and_after_its_firmware_is_loaded(tree, vendor, product):
    root = tree(
        {
            "sys/bus/usb/devices/2-1/idVendor": f"{vendor}\n",
            "sys/bus/usb/devices/2-1/idProduct": f"{product}\n",
        }
    )

    assert accelerators(root) == [{"kind": "tpu", "name": "Coral USB", "driver": None}]


def test_a_coral_card_is_found_on_the_pci_bus(tree):
    root = tree(
        {
            "sys/bus/pci/devices/0000:03:00.0/vendor": "0x1ac1\n",
            "sys/bus/pci/devices/0000:03:00.0/device": "0x089a\n",
            "sys/bus/pci/devices/0000:03:00.0/uevent": "DRIVER=apex\n",
        }
    )

    assert accelerators(root) == [{"kind": "tpu", "name": "Coral PCIe", "driver": "apex"}]
