"""An outside client of the fake library: NVIDIA's own Python binding (nvidia-ml-py) must find in it what it looks up.

Run with the library's folder in LD_LIBRARY_PATH, under the name libnvidia-ml.so.1. With `--loop SECONDS` it reads what
Kiln reads at a tick once a second instead, and prints the share of one core that took.
"""

import resource
import sys
import time

import pynvml as nvml

# Fields of one tick, in the numbering of drivers from 580.82 on.
FIELDS = [185, 186, 83, 82, 74, 269, 270, 271, 3, 4, 142, 143, 144, 145, 94, 38, 45, 52, 59]

# What a tick reads beside them.
CALLS = [
    lambda gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    nvml.nvmlDeviceGetMarginTemperature,
    nvml.nvmlDeviceGetEnforcedPowerLimit,
    lambda gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
    lambda gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    nvml.nvmlDeviceGetUtilizationRates,
    nvml.nvmlDeviceGetCurrentClocksEventReasons,
    nvml.nvmlDeviceGetCurrPcieLinkGeneration,
    nvml.nvmlDeviceGetCurrPcieLinkWidth,
]


def tick(gpus):
    for gpu in gpus:
        nvml.nvmlDeviceGetFieldValues(gpu, FIELDS)
        for call in CALLS:
            call(gpu)


def busy():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def loop(gpus, seconds):
    tick(gpus)
    before, began = busy(), time.monotonic()
    for second in range(seconds):
        time.sleep(max(0.0, began + second - time.monotonic()))
        tick(gpus)
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    print(f"{(busy() - before) / seconds:.3%} of one core")


def check(gpus):
    assert nvml.nvmlSystemGetDriverVersion().endswith("SIM")
    for gpu in gpus:
        assert nvml.nvmlDeviceGetBoardPartNumber(gpu).endswith("SIM")
        assert 0 < nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU) < 100
        assert 10_000 < nvml.nvmlDeviceGetPowerUsage(gpu) < 2_000_000
        assert nvml.nvmlDeviceGetMemoryInfo(gpu).total > 1 << 34
        shutdown, unknown = nvml.nvmlDeviceGetFieldValues(gpu, [193, 9999])
        assert shutdown.nvmlReturn == 0 and shutdown.value.siVal < 0
        assert unknown.nvmlReturn == nvml.NVML_ERROR_NOT_SUPPORTED
        by_uuid = nvml.nvmlDeviceGetHandleByUUID(nvml.nvmlDeviceGetUUID(gpu))
        assert nvml.nvmlDeviceGetIndex(by_uuid) == nvml.nvmlDeviceGetIndex(gpu)
        assert nvml.nvmlDeviceGetComputeRunningProcesses(gpu) == []
    print(f"{len(gpus)} GPUs answer")


def main():
    nvml.nvmlInit()
    gpus = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    if sys.argv[1:2] == ["--loop"]:
        loop(gpus, int(sys.argv[2]))
    else:
        check(gpus)
    nvml.nvmlShutdown()


if __name__ == "__main__":
    main()
