"""How long a night's reads and writes of a monitor's state take, beside plain files of the same bytes.

    python -m bench.state_io --size 10980 --threads 2 --codec lz4-bitshuffle

Prints one JSON object. "read": coefficients, standard deviation and all belief arrays of every block. "write":
log-odds, last valid observation and status of every block, up to the durable commit. "plain": the same packed bytes
with `tofile` and `fromfile`, one file an array and block, on the same threads. "cpu": seconds of all threads together,
which tell more than the clock on a machine that is busy with other work. Run it with a warm page cache.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from bench.rows import BenchRow
from enggang.monitors import writer as state_writer
from enggang.monitors.device import keep_heap
from enggang.monitors.history import Change
from enggang.monitors.reader import StateReader, Window
from enggang.monitors.schema import BELIEF, StateIdentity, baseline_name, baseline_specs
from enggang.monitors.state import StateStore
from enggang.monitors.writer import Transaction
from enggang.types import AnyArray

CODECS = {
    "none": (Crc32cCodec(),),
    "lz4-bitshuffle": (BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle"), Crc32cCodec()),
    "lz4-shuffle": (BloscCodec(cname="lz4", clevel=1, shuffle="shuffle"), Crc32cCodec()),
    "zstd-bitshuffle": (BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"), Crc32cCodec()),
    "zstd": (ZstdCodec(level=1), Crc32cCodec()),
}
CHANNEL = "vh/descending"
BASELINE = tuple(baseline_name(CHANNEL, part) for part in ("coef", "sd"))
NIGHTLY = ("log_odds", "last_valid", "status")


def landscape(name: str, shape: tuple[int, ...], seed: int) -> AnyArray:
    """What a block of one array looks like: smooth relief plus noise; belief mostly at its floor, few flags."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : shape[-2], 0 : shape[-1]].astype(np.float32)
    relief = np.sin(x / 300 + seed) + np.cos(y / 250)
    noise = rng.standard_normal(shape, dtype=np.float32)
    if name.endswith("coef"):
        means, spreads = np.array([-14_000, 200, 100]), np.array([400, 150, 150])
        values: AnyArray = means[:, None, None] + 500 * relief + spreads[:, None, None] * noise
        return values.astype(np.int16)
    if name.endswith("sd"):
        return (1_200 + 200 * relief + 100 * noise).astype(np.uint16)
    if name == "log_odds":
        return np.where(noise > 0.5, -529 + 120 * noise, -529).astype(np.int16)
    if name == "last_valid":
        return np.where(relief + 0.1 * noise > -1, 4_000 + seed % 7, 3_990).astype(np.uint16)
    if name == "status":
        return np.where(noise > 3, 2, np.where(relief > 1.5, 5, 1)).astype(np.uint8)
    return np.where(noise > 3, 1, 0).astype(next(s.dtype for s in BELIEF if s.name == name))


def timed(pool: ThreadPoolExecutor, work: Callable[[Window], object], windows: Iterable[Window]) -> tuple[float, float]:
    """Seconds, and CPU seconds of all threads, that `work` takes over all windows."""
    start, cpu = time.perf_counter(), time.process_time()
    for _ in pool.map(work, windows):
        pass
    return time.perf_counter() - start, time.process_time() - cpu


def fill(tx: Transaction, names: Iterable[str], seed: int, pool: ThreadPoolExecutor) -> None:
    """Write every block of the named arrays."""

    def one(window: Window) -> None:
        size = (window[0].stop - window[0].start, window[1].stop - window[1].start)
        for name in names:
            tx.write(name, window, landscape(name, tx.spec(name).shape(size), seed + window[0].start + window[1].start))

    timed(pool, one, list(tx.blocks()))


def measure_plain(folder: Path, reader: StateReader, pool: ThreadPoolExecutor) -> dict[str, float]:
    """The same bytes through plain files."""
    names = (*BASELINE, *(s.name for s in BELIEF))

    def path(name: str, window: Window) -> Path:
        return folder / f"{name.replace('/', '-')}-{window[0].start}-{window[1].start}"

    for window in reader.blocks():
        for name in names:
            reader.read(name, window).tofile(path(name, window))
    kept = {w[0].start * 100_000 + w[1].start: {n: reader.read(n, w) for n in NIGHTLY} for w in reader.blocks()}

    def load(window: Window) -> None:
        for name in names:
            np.fromfile(path(name, window), reader.spec(name).dtype)

    def save(window: Window) -> None:
        for name in NIGHTLY:
            kept[window[0].start * 100_000 + window[1].start][name].tofile(path("new-" + name, window))

    windows = list(reader.blocks())
    read, write = min(timed(pool, load, windows) for _ in range(2)), timed(pool, save, windows)
    return {
        "plain_read_s": read[0],
        "plain_read_cpu_s": read[1],
        "plain_write_s": write[0],
        "plain_write_cpu_s": write[1],
    }


def measure_night(store: StateStore, pool: ThreadPoolExecutor, windows: list[Window]) -> dict[str, float]:
    """One night: read all, write what changes, commit. The new values are made beforehand."""
    names = (*BASELINE, *(s.name for s in BELIEF))
    reader = store.reader()
    read = min(timed(pool, lambda w: [reader.read(n, w) for n in names], windows) for _ in range(2))
    fresh = {(w[0].start, w[1].start): {n: reader.read(n, w) for n in NIGHTLY} for w in windows}
    for arrays in fresh.values():
        arrays["log_odds"][arrays["log_odds"] > -529] += 1
        arrays["last_valid"][arrays["last_valid"] > 3_990] += 6
        arrays["status"][0, :8] = 3
    with store.writer("bench", 90) as writer:
        change = Change("scene", "night", datetime(2026, 1, 1, tzinfo=UTC), "print")
        with writer.transaction(change) as tx:
            write = timed(pool, lambda w: [tx.write(n, w, fresh[w[0].start, w[1].start][n]) for n in NIGHTLY], windows)
            start = time.perf_counter()
        commit = time.perf_counter() - start
    return {
        "read_s": read[0],
        "read_cpu_s": read[1],
        "write_s": write[0],
        "write_cpu_s": write[1],
        "commit_s": commit,
    }


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Build a state in a temporary folder and measure a night and plain files."""
    geobox = GeoBox((options.size, options.size), Affine(10, 0, 500_000, 0, -10, 0), "EPSG:32750")
    identity = StateIdentity("bench", "forest-1", "0" * 64, geobox, options.block)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.threads) as pool:
        store = StateStore(Path(folder) / "state")
        with store.writer("bench", 90) as writer:
            writer.create(identity, (*BELIEF, *baseline_specs(CHANNEL, 3, 1e-3)))
            with writer.transaction(Change("baseline", fingerprint="bench")) as tx:
                fill(tx, (*BASELINE, *(s.name for s in BELIEF)), 0, pool)
        size = sum(p.stat().st_size for p in store.paths.repo.rglob("*") if p.is_file())
        windows = list(store.reader().blocks())
        figures = {"state_mb": size / 1e6, **measure_night(store, pool, windows)}
        figures |= measure_plain(Path(folder), store.reader(), pool)
    return figures


def run(quick: bool) -> list[BenchRow]:
    """One night's reads and writes of the state beside plain files, which compress and check nothing."""
    size = 2_048 if quick else 8_192
    keep_heap()
    found = measure(argparse.Namespace(size=size, block=1_024, threads=2))
    megapixels = size * size / 1e6
    note = f"{size}², 2 threads; plain files hold the same numbers, neither compressed nor checked nor committed"
    rates = {name: megapixels / found[name] for name in ("read_s", "plain_read_s", "plain_write_s")}
    ours = megapixels / (found["write_s"] + found["commit_s"])
    return [
        BenchRow("reading the state beside plain files", rates["read_s"], rates["plain_read_s"], "Mpx/s", None, note),
        BenchRow(
            "writing and committing the state beside plain files", ours, rates["plain_write_s"], "Mpx/s", None, note
        ),
    ]


def main() -> None:
    """Build a state, measure a night, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=10_980)
    parser.add_argument("--block", type=int, default=1_024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--codec", choices=sorted(CODECS), default="lz4-bitshuffle")
    options = parser.parse_args()
    state_writer.COMPRESSORS = CODECS[options.codec]
    figures = measure(options)
    figures["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({**vars(options), **{k: round(v, 3) for k, v in figures.items()}}))


if __name__ == "__main__":
    main()
