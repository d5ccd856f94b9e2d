"""What it brings that several folds share one GPU.

    python benchmarks/gpu_sharing.py --minutes 9            on a machine with a GPU
    python benchmarks/gpu_sharing.py --quick                anywhere, 5 minutes at most
    python benchmarks/gpu_sharing.py [--models NAME ...] [--k N ...] [--repeats N]
        [--folds N] [--json FILE] [--plot FILE]

The environment variable KERAS_BACKEND chooses TensorFlow, JAX or PyTorch; without it,
the first of them that is installed is used. The arms are

- ``sequential``: a plain loop over the folds in one process;
- ``by hand``: that loop with jit_compile=True and a larger steps_per_execution, at the
  same batch size;
- ``time slices``: ResumableGridSearchCV with k workers and mps="off";
- ``MPS``: the same with mps="on", where NVIDIA's control program is there.

Each arm runs in a fresh process, the arms take turns, and medians are printed with the
least and the most. "Folds per hour" is the number of folds over the time of the whole
fit: imports of the framework, the start of the workers and compilation included. What
a long search has per second is in "samples/s": the samples of a fold over the median
time of an epoch after its first, times the workers. SM, memory and CPU activity are
means from the first epoch's end to the last epoch's end, over the whole machine.

``--minutes`` gives every arm about the same time: the sequential loop stops when its
time is over, the others get a number of folds to fit, and the least important values
of k are left out when there is no time for them. JAX then keeps compiled programs in
a directory of the benchmark, for all arms.
"""

import argparse
import importlib.util
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import traceback
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

try:
    import psutil
except ImportError:
    psutil = None

CV = 2
N_CLASSES = 10
LOG = "GPU_SHARING_LOG"
MPS_PROGRAM = "nvidia-cuda-mps-control"
BACKENDS = {"jax": "jax", "tensorflow": "tensorflow", "torch": "torch"}

# Samples and their shape, epochs, batch size, and what the builder is told. On the CPU
# and with --quick: the second line.
MODELS = {
    "mlp": (
        {"shape": [64], "n": 8192, "epochs": 10, "batch": 32, "width": 256},
        {"shape": [64], "n": 1024, "epochs": 4, "batch": 32, "width": 256},
    ),
    "cnn": (
        {"shape": [28, 28, 1], "n": 4096, "epochs": 10, "batch": 32, "width": 16},
        {"shape": [28, 28, 1], "n": 512, "epochs": 4, "batch": 32, "width": 8},
    ),
    "resnet18": (
        {"shape": [32, 32, 3], "n": 2048, "epochs": 6, "batch": 64, "width": 64},
        {"shape": [32, 32, 3], "n": 128, "epochs": 3, "batch": 32, "width": 8},
    ),
    "loader": (
        {"shape": [32, 32, 1], "n": 1797, "epochs": 6, "batch": 32, "width": 16},
        {"shape": [32, 32, 1], "n": 256, "epochs": 3, "batch": 32, "width": 8},
    ),
    # The control: it fills the GPU alone.
    "saturating": (
        {"shape": [1024], "n": 32768, "epochs": 6, "batch": 4096, "width": 8192},
        {"shape": [256], "n": 2048, "epochs": 4, "batch": 512, "width": 512},
    ),
}


# ---------------------------------------------------------------------------
# Models


def build_model(meta, kind, width, rate, jit=None, steps=None):
    """Build one of MODELS; `jit` and `steps` are what is tuned by hand."""
    import keras
    from keras import layers

    def convolution(x, filters, strides=1):
        x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    def block(x, filters, strides):
        y = layers.ReLU()(convolution(x, filters, strides))
        y = convolution(y, filters)
        if strides > 1 or x.shape[-1] != filters:
            x = layers.Conv2D(filters, 1, strides, use_bias=False)(x)
            x = layers.BatchNormalization()(x)
        return layers.ReLU()(layers.Add()([x, y]))

    class Augmented(keras.Model):
        """Trains on pictures that the CPU turns and shifts, batch by batch."""

        def fit(self, x, y, batch_size=32, sample_weight=None, **arguments):
            del sample_weight
            return super().fit(augmented(x, y, batch_size), **arguments)

    x = inputs = layers.Input(meta["X_shape_"][1:])
    if kind in ("mlp", "saturating"):
        for _ in range(3):
            x = layers.Dense(width, activation="relu")(x)
    elif kind == "resnet18":
        x = layers.ReLU()(convolution(x, width))
        for level in range(4):
            x = block(x, width * 2**level, 1 if level == 0 else 2)
            x = block(x, width * 2**level, 1)
        x = layers.GlobalAveragePooling2D()(x)
    else:
        for level in range(2):
            x = layers.Conv2D(width * 2**level, 3, activation="relu")(x)
            x = layers.MaxPooling2D()(x)
        x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    outputs = layers.Dense(N_CLASSES, activation="softmax")(x)
    model_class = Augmented if kind == "loader" else keras.Model
    model = model_class(inputs, outputs)
    tuning = {}
    if jit:
        tuning["jit_compile"] = True
    if steps:
        tuning["steps_per_execution"] = steps
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss="sparse_categorical_crossentropy",
        **tuning,
    )
    return model


def augmented(X, y, batch_size):
    """Give batches of turned and shifted pictures, the same in every process."""
    import keras
    from scipy import ndimage

    class Batches(keras.utils.PyDataset):
        epoch = 0

        def __len__(self):
            return -(-len(X) // batch_size)

        def __getitem__(self, index):
            random = np.random.default_rng([self.epoch, index])
            rows = slice(index * batch_size, (index + 1) * batch_size)
            pictures = [
                ndimage.shift(
                    ndimage.rotate(picture, random.uniform(-15, 15), reshape=False),
                    [*random.uniform(-2, 2, 2), 0],
                )
                for picture in X[rows]
            ]
            return np.stack(pictures), y[rows]

        def on_epoch_end(self):
            self.epoch += 1

    return Batches()


def make_data(kind, shape, n):
    """Give X and y; digits for the loader, else noise with something to learn."""
    random = np.random.default_rng(0)
    if kind == "loader":
        from scipy import ndimage
        from sklearn.datasets import load_digits

        digits = load_digits()
        X = ndimage.zoom(digits.images[:n] / 16, (1, 4, 4), order=1)[..., None]
        return X.astype(np.float32), digits.target[:n]
    X = random.standard_normal((n, *shape), dtype=np.float32)
    weights = random.standard_normal((int(np.prod(shape)), N_CLASSES))
    return X, (X.reshape(n, -1) @ weights).argmax(1)


# ---------------------------------------------------------------------------
# What a fold writes down


def note(event, **values):
    """Append a line to the log of the arm; lines this short do not mix."""
    line = json.dumps({"event": event, "pid": os.getpid(), "at": time.time(), **values})
    with open(os.environ[LOG], "a") as file:  # noqa: PTH123 - runs in every epoch
        file.write(line + "\n")


def epoch_clock():
    """Give the callbacks of a fit."""
    import keras

    class Clock(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's
            note("epoch", epoch=epoch)

    return [Clock()]


def make_estimator(kind, spec, by_hand):
    from resumable_search.keras import KerasClassifier

    class Logged(KerasClassifier):
        """Notes when a fold runs out of memory, also if it is tried again."""

        def fit(self, X, y, sample_weight=None, **arguments):
            note("begin")
            try:
                return super().fit(X, y, sample_weight, **arguments)
            except Exception as exc:
                text = f"{type(exc).__name__}: {exc}".lower()
                signs = ("out of memory", "outofmemory", "out_of_memory", "exhausted")
                note("oom" if any(sign in text for sign in signs) else "error")
                raise

    tuning = {}
    if by_hand:
        steps = max(1, spec["n"] * (CV - 1) // CV // spec["batch"])
        tuning["model__jit"] = True
        if backend() != "torch":  # whose trainer has no such loop
            tuning["model__steps"] = min(32, steps)
    return Logged(
        build_model,
        epochs=spec["epochs"],
        batch_size=spec["batch"],
        callbacks=epoch_clock,
        random_state=0,
        model__kind=kind,
        model__width=spec["width"],
        model__rate=1e-3,
        **tuning,
    )


# ---------------------------------------------------------------------------
# The arms, each in a process of its own


def run_arm(order):
    """Fit as `order` says; give the time and the scores by candidate and split."""
    from sklearn.model_selection import ParameterGrid, StratifiedKFold

    X, y = np.load(order["X"], mmap_mode="r"), np.load(order["y"])
    arm, spec = order["arm"], order["spec"]
    estimator = make_estimator(order["model"], spec, arm == "by hand")
    n_candidates = -(-order["folds"] // CV)
    # The first candidates are the same for any number of folds.
    grid = {"model__rate": [1e-3 * 0.97**i for i in range(n_candidates)]}
    cv = StratifiedKFold(CV)
    scores, failed, warned = {}, 0, []
    begin = time.perf_counter()
    if arm in ("sequential", "by hand"):
        X = np.array(X)
        for i, parameters in enumerate(ParameterGrid(grid)):
            for j, (train, test) in enumerate(cv.split(X, y)):
                late = time.perf_counter() - begin > order["seconds"]
                if late and len(scores) >= 2:
                    break
                scores[f"{i}/{j}"] = one_fold(estimator, parameters, X, y, train, test)
    else:
        from resumable_search import ResumableGridSearchCV, ResumableSearchWarning

        search = ResumableGridSearchCV(
            estimator,
            grid,
            cv=cv,
            refit=False,
            n_jobs=order["k"],
            checkpoint="checkpoint.sqlite",
            devices="auto",
            gpu_memory=0.9,
            mps="on" if arm == "MPS" else "off",
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResumableSearchWarning)
            search.fit(X, y)
        warned = [str(w.message) for w in caught]
        failed = search.resumption.n_failed
        for j in range(CV):
            for i, score in enumerate(search.cv_results_[f"split{j}_test_score"]):
                scores[f"{i}/{j}"] = float(score)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "scores": scores, "failed": failed, "warned": warned}


def one_fold(estimator, parameters, X, y, train, test):
    """Fit and score as scikit-learn does, and clean up as a careful script does."""
    import keras
    from sklearn.base import clone

    fitted = clone(estimator).set_params(**parameters).fit(X[train], y[train])
    score = float(fitted.score(X[test], y[test]))
    del fitted
    keras.utils.clear_session()
    return score


def probe():
    """Name what Keras computes on: in a process of its own, as this one uses none."""
    code = {
        "jax": "import jax; print(jax.default_backend())",
        "tensorflow": "import tensorflow as tf; "
        "print('gpu' if tf.config.list_physical_devices('GPU') else 'cpu')",
        "torch": "import torch; print('gpu' if torch.cuda.is_available() else 'cpu')",
    }[backend()]
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300
    )
    if found.returncode:
        raise SystemExit(f"{backend()} cannot be used:\n{found.stderr[-2000:]}")
    return found.stdout.split()[-1]


def backend():
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen:
        return chosen
    for name, module in BACKENDS.items():
        if importlib.util.find_spec(module):
            return name
    raise SystemExit("Install TensorFlow, JAX or PyTorch, and Keras.")


# ---------------------------------------------------------------------------
# What the machine does meanwhile


class Gpu:
    """The first GPU this process may use, by NVML."""

    def __init__(self):
        import pynvml

        self.nvml = pynvml
        pynvml.nvmlInit()
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
        if visible.startswith(("GPU-", "MIG-")):
            self.handle = pynvml.nvmlDeviceGetHandleByUUID(visible)
        else:
            self.handle = pynvml.nvmlDeviceGetHandleByIndex(int(visible or 0))
        self.uuid = text(pynvml.nvmlDeviceGetUUID(self.handle))
        self.name = text(pynvml.nvmlDeviceGetName(self.handle))
        self.driver = text(pynvml.nvmlSystemGetDriverVersion())
        self.idle_bytes = self.used()
        self._last = None
        try:
            support = pynvml.nvmlGpmQueryDeviceSupport(self.handle)
            self.has_counters = bool(support.isSupportedDevice)
        except Exception:  # before Hopper, or before driver 520
            self.has_counters = False

    @property
    def what(self):
        if self.has_counters:
            return "SM: part of the multiprocessors with work; memory: its bandwidth"
        return "SM: part of the time with a kernel running; memory: with a transfer"

    def used(self):
        return self.nvml.nvmlDeviceGetMemoryInfo(self.handle).used

    def sample(self):
        """Give activities since the last sample (percent), memory and MPS clients."""
        values = {"bytes": self.used() - self.idle_bytes}
        try:
            values["sm"], values["memory"] = self._activity()
        except Exception:
            self.has_counters = False
        try:
            values["clients"] = len(
                self.nvml.nvmlDeviceGetMPSComputeRunningProcesses(self.handle)
            )
        except Exception:
            values["clients"] = 0
        return values

    def _activity(self):
        nvml = self.nvml
        if not self.has_counters:
            rates = nvml.nvmlDeviceGetUtilizationRates(self.handle)
            return rates.gpu, rates.memory
        now = nvml.nvmlGpmSampleAlloc()
        nvml.nvmlGpmSampleGet(self.handle, now)
        before, self._last = self._last, now
        if before is None:
            return None, None
        wanted = (nvml.NVML_GPM_METRIC_SM_UTIL, nvml.NVML_GPM_METRIC_DRAM_BW_UTIL)
        request = nvml.c_nvmlGpmMetricsGet_t()
        request.version = nvml.NVML_GPM_METRICS_GET_VERSION
        request.numMetrics = len(wanted)
        request.sample1, request.sample2 = before, now
        for i, metric in enumerate(wanted):
            request.metrics[i].metricId = metric
        nvml.nvmlGpmMetricsGet(request)
        nvml.nvmlGpmSampleFree(before)
        return tuple(request.metrics[i].value for i in range(len(wanted)))


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def find_gpu():
    try:
        return Gpu()
    except Exception:  # no pynvml, no driver, no GPU
        return None


class Watch:
    """Samples of the GPU and of the CPUs while an arm runs."""

    def __init__(self, gpu):
        self.gpu = gpu
        self.samples = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *raised):
        self.stop.set()
        self.thread.join()

    def _watch(self):
        while not self.stop.wait(0.5):
            sample = {"at": time.time()}
            if psutil:
                times = psutil.cpu_times()
                idle = times.idle + getattr(times, "iowait", 0)
                sample["busy"] = sum(times[:8]) - idle
            if self.gpu:
                sample.update(self.gpu.sample())
            self.samples.append(sample)

    def between(self, begin, end):
        """Give means over a time, and the peak over all of it."""
        inside = [s for s in self.samples if begin <= s["at"] <= end]
        found = {}
        for name in ("sm", "memory"):
            values = [s[name] for s in inside if s.get(name) is not None]
            found[name] = statistics.fmean(values) if values else None
        busy = [s for s in inside if "busy" in s]
        found["cores"] = None
        if len(busy) > 1:
            first, last = busy[0], busy[-1]
            found["cores"] = (last["busy"] - first["busy"]) / (last["at"] - first["at"])
        for name in ("bytes", "clients"):
            values = [s[name] for s in self.samples if name in s]
            found[name] = max(values) if values else None
        return found


# ---------------------------------------------------------------------------
# Running the arms


class Bench:
    """Runs arms one after the other, and keeps what they measured."""

    def __init__(self, options, gpu, folder, small):
        self.options = options
        self.gpu = gpu
        self.folder = folder
        self.small = small
        self.records = []
        self.fold_seconds = {}
        self.deadline = None
        self.arm_seconds = float("inf")
        self.environment = {
            **os.environ,
            "KERAS_BACKEND": backend(),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_ENABLE_ONEDNN_OPTS": "0",  # other results with other threads
        }
        if "PYTHONPATH" in os.environ:  # the arms have directories of their own
            places = os.environ["PYTHONPATH"].split(os.pathsep)
            places = [str(Path(place).absolute()) for place in places if place]
            self.environment["PYTHONPATH"] = os.pathsep.join(places)
        if gpu:
            self.environment["CUDA_VISIBLE_DEVICES"] = gpu.uuid
        if options.minutes:
            self.deadline = time.monotonic() + 60 * options.minutes
            # An arm for each model with the three most telling settings, and more.
            self.arm_seconds = 60 * options.minutes / (7.5 * len(options.models))
            cache = Path(folder, "jax")
            self.environment["JAX_COMPILATION_CACHE_DIR"] = str(cache)
            self.environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        self.data = {name: self._save(name) for name in options.models}

    def spec(self, model):
        return MODELS[model][1 if self.small else 0]

    def _save(self, model):
        spec = self.spec(model)
        paths = {name: str(Path(self.folder, f"{model}-{name}.npy")) for name in "Xy"}
        X, y = make_data(model, spec["shape"], spec["n"])
        np.save(paths["X"], X)
        np.save(paths["y"], y)
        return paths

    def left(self):
        """Give the seconds until the deadline."""
        if self.deadline is None:
            return float("inf")
        return self.deadline - time.monotonic()

    def n_folds(self, model, k):
        """Choose a number of folds that fits the time, a multiple of k and of CV."""
        if self.deadline is None:
            return self.options.folds
        known = self.fold_seconds.get(model)
        rounds = 1
        if known:
            # As if sharing doubled what a GPU does.
            rounds = max(1, min(3, int(2 * self.arm_seconds / (known * k))))
        return max(CV, -(-k * rounds // CV) * CV)

    def run(self, model, arm, k, repeat):
        spec = self.spec(model)
        plain = arm in ("sequential", "by hand")
        folds = self.options.folds if plain else self.n_folds(model, k)
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory, "log")
            log.touch()
            order = {
                "arm": arm,
                "model": model,
                "k": k,
                "folds": folds,
                "seconds": 1e9 if self.deadline is None else self.arm_seconds,
                "spec": spec,
                **self.data[model],
            }
            with Watch(self.gpu) as watch:
                result = self._start(order, directory, log)
            lines = [json.loads(line) for line in log.read_text().splitlines()]
        record = {"model": model, "arm": arm, "k": k, "repeat": repeat, **result}
        if "seconds" in result:
            n = len(result["scores"])
            record["folds"] = n
            record["folds_per_hour"] = 3600 * n / result["seconds"]
            record.update(steady(lines, spec, min(k, n)))
            begin, end = record.pop("window")
            record.update(watch.between(begin, end))
            if arm == "sequential":
                self.fold_seconds.setdefault(model, result["seconds"] / n)
        record["ooms"] = sum(line["event"] == "oom" for line in lines)
        self.records.append(record)
        self._say(record)

    def _start(self, order, directory, log):
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--arm", json.dumps(order)],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environment, LOG: str(log)},
            start_new_session=True,
        )
        # One that hangs is not to take the time of all.
        usual = max(90, 6 * self.arm_seconds)
        limit = max(1.0, min(self.left(), self.options.arm_limit, usual))
        try:
            output, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return self._stop(process, f"stopped after {limit:.0f} s")
        except BaseException:
            self._stop(process, "")
            raise
        for line in output.splitlines():
            if line.startswith("RESULT "):
                return json.loads(line.removeprefix("RESULT "))
        return {"error": (errors.strip() or "no result").splitlines()[-1][:200]}

    @staticmethod
    def _stop(process, reason):
        # First so that it can end its workers and its MPS daemon.
        for number, patience in ((signal.SIGINT, 15), (signal.SIGKILL, 15)):
            os.killpg(process.pid, number)
            try:
                process.communicate(timeout=patience)
                break
            except subprocess.TimeoutExpired:
                continue
        return {"error": reason}

    @staticmethod
    def _say(record):
        what = f"{record['model']}, {record['arm']}, k={record['k']}"
        done = record.get("error")
        if done is None:
            done = f"{record['folds']} folds in {record['seconds']:.1f} s"
        now = time.strftime("%H:%M:%S")
        print(f"{now} {what}: {done}", file=sys.stderr, flush=True)

    def go_on(self):
        """Tell whether there is time for one more arm."""
        return self.left() > min(self.arm_seconds, 60)

    def run_all(self):
        ks = in_order(self.options.k)
        arms = [("sequential", 1)]
        shared = ["time slices"]
        if self.gpu and shutil.which(MPS_PROGRAM):
            shared.append("MPS")
        arms += [(name, ks[0]) for name in shared] + [("by hand", 1)]
        arms += [(name, k) for k in ks[1:] for name in shared]
        for repeat in range(self.options.repeats):
            for arm, k in arms:
                for model in self.options.models:
                    if not self.go_on():
                        return
                    self.run(model, arm, k, repeat)


def in_order(ks):
    """Put the most telling numbers of workers first."""
    telling = [8, 4, 16, 2, 12, 1]
    return sorted(ks, key=lambda k: telling.index(k) if k in telling else len(telling))


def steady(lines, spec, workers):
    """Give samples per second without the first epoch of each fold, and their time."""
    last, durations, ends = {}, [], []
    for line in lines:
        if line["event"] == "begin":
            last.pop(line["pid"], None)
        elif line["event"] == "epoch":
            ends.append(line["at"])
            if line["pid"] in last:
                durations.append(line["at"] - last[line["pid"]])
            last[line["pid"]] = line["at"]
    if not durations:
        return {"samples_per_second": None, "window": (0, 0)}
    samples = spec["n"] * (CV - 1) / CV
    rate = workers * samples / statistics.median(durations)
    return {"samples_per_second": rate, "window": (min(ends), max(ends))}


# ---------------------------------------------------------------------------
# The report


def show(values, form="{:,.0f}"):
    values = [value for value in values if value is not None]
    if not values:
        return "not measured"
    middle = form.format(statistics.median(values))
    low, high = form.format(min(values)), form.format(max(values))
    return middle if low == high else f"{middle} ({low} to {high})"


def groups(records):
    """Give the records of each model, arm and k, in the order of the table."""
    found = {}
    for record in records:
        key = (record["model"], record["arm"], record["k"])
        found.setdefault(key, []).append(record)
    names = ["sequential", "by hand", "time slices", "MPS"]

    def place(item):
        model, arm, k = item[0]
        return list(MODELS).index(model), names.index(arm), k

    return sorted(found.items(), key=place)


def baseline(records, model):
    """Give the sequential runs of a model."""
    return [
        record
        for record in records
        if (record["model"], record["arm"]) == (model, "sequential")
        and "seconds" in record
    ]


def rate(records, model, field):
    values = [record[field] for record in baseline(records, model)]
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def ratios(records, group, field):
    """Give each run's rate over the sequential one of its repeat, or the median."""
    model = group[0]["model"]
    by_repeat = {r["repeat"]: r[field] for r in baseline(records, model)}
    usual = rate(records, model, field)
    pairs = [(r.get(field), by_repeat.get(r["repeat"]) or usual) for r in group]
    return [ours / theirs for ours, theirs in pairs if ours and theirs]


def largest_difference(records, group):
    """Compare the scores of the folds that also the sequential loop has run."""
    expected = {}
    for record in baseline(records, group[0]["model"]):
        expected.update(record["scores"])
    differences = [
        abs(score - expected[fold])
        for record in group
        for fold, score in record.get("scores", {}).items()
        if fold in expected
    ]
    if not differences:
        return "not compared"
    worst = max(differences) if not np.isnan(differences).any() else float("nan")
    return "equal" if worst == 0 else f"{worst:.2g}"


HEADERS = (
    "model",
    "arm",
    "k",
    "folds",
    "folds/h",
    "x sequential",
    "samples/s",
    "x sequential",
    "SM %",
    "memory %",
    "peak GB",
    "cores",
    "OOM",
    "failed",
    "scores differ by",
)


def table(records):
    rows = [HEADERS, ("---",) * len(HEADERS)]
    for (model, arm, k), group in groups(records):
        good = [record for record in group if "seconds" in record]
        head = (model, arm, str(k))
        if not good:
            reason = group[-1]["error"].replace("|", "/")
            rows.append((*head, f"no result: {reason}", *[""] * (len(HEADERS) - 4)))
            continue

        def values(name, scale=1.0, good=good):
            return [r[name] * scale for r in good if r.get(name) is not None]

        rows.append(
            (
                *head,
                show(values("folds")),
                show(values("folds_per_hour")),
                show(ratios(records, good, "folds_per_hour"), "{:.2f}"),
                show(values("samples_per_second")),
                show(ratios(records, good, "samples_per_second"), "{:.2f}"),
                show(values("sm")),
                show(values("memory")),
                show(values("bytes", 1e-9), "{:.1f}"),
                show(values("cores"), "{:.1f}"),
                str(sum(record["ooms"] for record in group)),
                str(sum(record["failed"] for record in good)),
                largest_difference(records, good),
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def surroundings(options, gpu, device):
    names = ("resumable-search", "scikit-learn", "numpy", "keras", "jax", "torch")
    names += ("tensorflow", "tensorflow-cpu")
    versions = []
    for name in names:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    memory = f", {psutil.virtual_memory().total / 1e9:.0f} GB" if psutil else ""
    if gpu and device != "cpu":
        # The whole card, or what of it this process sees.
        card = f"{gpu.name}, driver {gpu.driver}. {gpu.what}."
        if not shutil.which(MPS_PROGRAM):
            card += f" No MPS: {MPS_PROGRAM} is not on the PATH."
    elif device != "cpu":
        card = "A GPU that could not be measured (install nvidia-ml-py)."
    else:
        card = "CPU: no GPU here. These figures say nothing about sharing a GPU."
    command = " ".join(["python", "benchmarks/gpu_sharing.py", *sys.argv[1:]])
    return "\n".join(
        [
            f"- {card}",
            f"- {os.cpu_count()} cores{memory}, {platform.platform()}, "
            f"Python {platform.python_version()}",
            f"- Keras on {backend()}; {', '.join(versions)}",
            f"- {time.strftime('%Y-%m-%d')}, `{command}`",
            *(
                [
                    f"- In {options.minutes:g} minutes: folds and k as time allowed. "
                    "With few folds, folds/h is mostly how long things take to start."
                ]
                if options.minutes
                else []
            ),
        ]
    )


def remarks(records):
    """Say what the table cannot."""
    for (model, arm, k), group in groups(records):
        seen = [r["clients"] for r in group if r.get("clients") is not None]
        if arm == "MPS" and seen and max(seen) == 0:
            yield f"- {model}, k={k}: NVML saw no MPS client. Did MPS work?"
        for warned in sorted({w for r in group for w in r.get("warned", ())}):
            yield f"- {model}, {arm}, k={k}: {' '.join(warned.split())[:300]}"
    for model in dict.fromkeys(record["model"] for record in records):
        if not baseline(records, model):
            yield f"- {model}: the sequential arm has no result to compare with."


def plot(records, path):
    try:
        import matplotlib as mpl
    except ImportError:
        print("No plot: matplotlib is not installed.", file=sys.stderr)
        return
    mpl.use("agg")
    from matplotlib import pyplot as plt

    names = list(dict.fromkeys(record["model"] for record in records))
    figure, axes = plt.subplots(
        1, len(names), figsize=(3.2 * len(names), 3.2), sharey=True, squeeze=False
    )
    for axis, model in zip(axes[0], names, strict=True):
        for arm, points in lines_of(records, model).items():
            middle = [statistics.median(found) for _, found in points]
            low = [m - min(f) for m, (_, f) in zip(middle, points, strict=True)]
            high = [max(f) - m for m, (_, f) in zip(middle, points, strict=True)]
            if arm in ("sequential", "by hand"):
                style = ":" if arm == "sequential" else "--"
                axis.axhline(middle[0], label=arm, linestyle=style, color="gray")
            else:
                ks = [k for k, _ in points]
                axis.errorbar(ks, middle, [low, high], marker="o", label=arm)
        axis.set(title=model, xlabel="k (workers)")
    axes[0][0].set_ylabel("folds per hour / sequential")
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(path)


def lines_of(records, model):
    """Give for each arm the values of k, and the ratios found at each."""
    lines = {}
    for (other, arm, k), group in groups(records):
        if other == model and (found := ratios(records, group, "folds_per_hour")):
            lines.setdefault(arm, []).append((k, found))
    return lines


def parse():
    parser = argparse.ArgumentParser(
        description=textwrap.dedent(__doc__),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--k", nargs="+", type=int, help="1 2 4 8 12 16; CPU: 1 2")
    parser.add_argument("--repeats", type=int, help="3; with --minutes: as time allows")
    parser.add_argument("--folds", type=int, default=48, help="of each arm")
    parser.add_argument("--minutes", type=float, help="time for all of it")
    parser.add_argument("--arm-limit", type=float, default=3600, help="seconds")
    parser.add_argument("--quick", action="store_true", help="small, --minutes 4.5")
    parser.add_argument("--json", type=Path, help="write what was measured")
    parser.add_argument("--plot", type=Path, help="draw folds per hour over k")
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse()
    if options.arm:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            result = run_arm(json.loads(options.arm))
        except Exception as exc:
            traceback.print_exc()
            message = str(exc).strip().splitlines() or [""]
            result = {"error": f"{type(exc).__name__}: {message[0][:200]}"}
        print("RESULT " + json.dumps(result), flush=True)
        return
    if options.quick:
        options.minutes = options.minutes or 4.5
    device = probe()
    gpu = find_gpu() if device != "cpu" else None
    if options.k is None:
        options.k = [1, 2] if device == "cpu" else [1, 2, 4, 8, 12, 16]
    if options.repeats is None:
        options.repeats = 100 if options.minutes else 3
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, gpu, folder, options.quick or device == "cpu")
        try:
            bench.run_all()
        except KeyboardInterrupt:
            print("Interrupted: what there is follows.", file=sys.stderr)
    report(options, gpu, device, bench, time.monotonic() - begun)


def report(options, gpu, device, bench, seconds):
    head = surroundings(options, gpu, device)
    print(f"# Folds that share a GPU\n\n{head}\n\n{table(bench.records)}\n")
    for remark in remarks(bench.records):
        print(remark)
    print(f"\n{len(bench.records)} runs in {seconds / 60:.1f} minutes.")
    if options.json:
        content = {"surroundings": head, "models": MODELS, "records": bench.records}
        options.json.write_text(json.dumps(content, indent=1))
    if options.plot:
        plot(bench.records, options.plot)


if __name__ == "__main__":
    main()
