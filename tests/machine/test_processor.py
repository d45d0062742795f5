from hwrt.machine.processor import describe_cpu

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R)  N100
flags\t\t: fpu sse sse2 avx avx2 f16c fma popcnt avx_vnni rdrand

processor\t: 1
vendor_id\t: GenuineIntel
model name\t: Intel(R)  N100
flags\t\t: fpu sse sse2 avx avx2 f16c fma popcnt rdrand
"""

ARM_CORE = """processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd {feature}
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: {part}

"""
RASPBERRY_PI = (
    "".join(ARM_CORE.format(number=n, feature="crc32", part="0xd0b") for n in range(4))
    + "Revision\t: d04170\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n"
)
BIG_LITTLE = "".join(
    ARM_CORE.format(number=n, feature="asimddp" if n < 4 else "asimddp i8mm", part=part)
    for n, part in enumerate(["0xd05"] * 4 + ["0xd0b"] * 2)
)


def test_an_x86_cpu_is_named_by_its_model(tree):
    cpu = describe_cpu(tree({"proc/cpuinfo": X86, "sys/devices/system/cpu/online": "0-1"}))

    assert cpu["model"] == "Intel(R) N100"
    assert cpu["cores"] == {"Intel(R) N100": 2}
    assert cpu["online"] == 2


def test_only_extensions_that_every_cpu_has_are_listed(tree):
    cpu = describe_cpu(tree({"proc/cpuinfo": X86, "sys/devices/system/cpu/online": "0-1"}))

    assert cpu["isa"] == ["avx", "avx2", "f16c", "fma", "popcnt", "sse", "sse2"]


def test_an_arm_cpu_without_model_name_is_named_by_its_part(tree):
    root = tree({"proc/cpuinfo": RASPBERRY_PI, "sys/devices/system/cpu/online": "0-3"})

    cpu = describe_cpu(root)

    assert cpu["model"] == "Cortex-A76"
    assert cpu["isa"] == ["asimd", "crc32", "fp"]


def test_an_arm_part_that_is_not_listed_is_named_by_number(tree):
    text = ARM_CORE.format(number=0, feature="sve", part="0xfff")

    cpu = describe_cpu(tree({"proc/cpuinfo": text, "sys/devices/system/cpu/online": "0"}))

    assert cpu["model"] == "Arm core 0x41:0xfff"


def test_cores_of_both_kinds_are_counted(tree):
    root = tree({"proc/cpuinfo": BIG_LITTLE, "sys/devices/system/cpu/online": "0-5"})

    cpu = describe_cpu(root)

    assert cpu["cores"] == {"Cortex-A55": 4, "Cortex-A76": 2}
    assert cpu["isa"] == ["asimd", "asimddp", "fp"]


def test_cores_outside_the_affinity_mask_are_not_counted(tree):
    root = tree(
        {
            "proc/cpuinfo": BIG_LITTLE,
            "proc/self/status": "Cpus_allowed_list:\t4-5\n",
            "sys/devices/system/cpu/online": "0-5",
        }
    )

    cpu = describe_cpu(root)

    assert cpu["cores"] == {"Cortex-A76": 2}
    assert cpu["allowed"] == 2
    assert cpu["online"] == 6


def test_efficient_cores_of_an_x86_hybrid_are_told_apart(tree):
    root = tree(
        {
            "proc/cpuinfo": X86,
            "sys/devices/system/cpu/online": "0-1",
            "sys/devices/cpu_atom/cpus": "1\n",
        }
    )

    assert describe_cpu(root)["cores"] == {
        "Intel(R) N100": 1,
        "Intel(R) N100 (efficient core)": 1,
    }


def test_top_clocks_and_governors_are_listed_once(tree):
    cpufreq = "sys/devices/system/cpu/cpu{}/cpufreq/cpuinfo_max_freq"
    policy = "sys/devices/system/cpu/cpufreq/policy{}/scaling_governor"
    root = tree(
        {
            "sys/devices/system/cpu/online": "0-2",
            cpufreq.format(0): "1800000\n",
            cpufreq.format(1): "1800000\n",
            cpufreq.format(2): "2400000\n",
            policy.format(0): "schedutil\n",
            policy.format(2): "schedutil\n",
        }
    )

    cpu = describe_cpu(root)

    assert cpu["max_mhz"] == [1800, 2400]
    assert cpu["governors"] == ["schedutil"]


def test_turbo_is_off_where_intel_pstate_says_so(tree):
    root = tree({"sys/devices/system/cpu/intel_pstate/no_turbo": "1\n"})

    assert describe_cpu(root)["boost"] is False


def test_boost_is_on_where_cpufreq_says_so(tree):
    assert describe_cpu(tree({"sys/devices/system/cpu/cpufreq/boost": "1\n"}))["boost"] is True


def test_without_any_file_nothing_is_made_up(tmp_path):
    cpu = describe_cpu(tmp_path)

    assert cpu["model"] == "unknown"
    assert (cpu["isa"], cpu["max_mhz"], cpu["governors"]) == ([], [], [])
    assert (cpu["quota"], cpu["boost"]) == (None, None)
