"""What a process knows of the GPUs it uses, without any framework."""

from pathlib import Path


def holds_gpu(
    driver: Path = Path("/dev/nvidiactl"), open_files: Path = Path("/proc/self/fd")
) -> bool:
    """Tell whether this process has an NVIDIA GPU open.

    A CUDA context keeps its device file (``/dev/nvidia0`` ...) open for as long as
    it lives, whichever framework made it. Where there is no driver, or no
    ``/proc``, the answer is no.
    """
    if not driver.exists():
        return False
    device = driver.name.removesuffix("ctl")
    try:
        for entry in open_files.iterdir():
            name = _target_name(entry)
            if name.startswith(device) and name.removeprefix(device).isdigit():
                return True
    except OSError:
        return False
    return False


def _target_name(entry: Path) -> str:
    try:
        return entry.readlink().name
    except OSError:  # closed between the listing and the look
        return ""
