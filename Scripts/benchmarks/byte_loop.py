"""The subject `bytes`: how fast the loop over bytes is, beside the libraries that it calls."""

import contextlib
import os
import pathlib
import re
import shutil
import statistics
import tempfile

from .generated import Generator
from .peers import ROOT
from .report import table, write_json
from .system import Failure, describe_machine, find_swift, need_tools, run, say

DESCRIPTION = """Measure the loop over bytes piece by piece, beside the libraries that it calls.

Builds Tests/Benchmarks (in .build/bench, which takes some minutes the first time) and runs it: cutting, SHA-256,
compressing with zstd, sealing with AES-256-GCM, all that is done with a block when it is written and when it is read,
and looking up chunks in an index. The libraries' own numbers come from `openssl speed` and `zstd -b` with blocks of the
same size, on the same data, right after that. One thread does all of it. GB are 10^9 bytes, of plaintext.

Both tell the mean of a second, of which the best counts. On a busy machine that is less than what yester has, the best
time of going through the data once, so that ratios well above 1 say only that the machine was busy.

The table goes to the standard output as Markdown, and progress to the standard error. It needs swift, gcc, openssl
and zstd, and the network for the first build. Whatever else the machine does meanwhile makes the numbers worse.
"""

# Those of the writer, which Tests/Benchmarks compares with.
BLOCK_BYTES = 1 << 20
# What zstd itself is measured with: yester's own setting lies between its levels 2 and 3.
LEVEL = 3
BLOCKS = 32
CHUNKS = 1_000_000
LOOK_UPS = 100_000
SPEED_RUNS = 3   # of the libraries, a second each

PIECES = {"chunk": "chunk by content", "hash": "SHA-256", "compress": f"compress (beside zstd -{LEVEL})",
          "seal": "seal, AES-256-GCM", "compress,_seal_and_prove": "write: compress, seal, open again, compare",
          "open_and_decompress": "read: open, decompress"}
LOOKED_UP = {"look_up_a_chunk": "chunk that is there", "look_up_a_missing_chunk": "chunk that is not there"}


def add_options(parser):
    parser.add_argument("--data", metavar="FILE",
                        help="take the bytes from this file (default: made up ones that compress to less than a half)")
    parser.add_argument("--chunks", metavar="N", type=int, default=CHUNKS,
                        help=f"how many chunks the index has (default {CHUNKS:,})")
    parser.add_argument("--json", metavar="FILE", help="write all numbers into this file")


# Measuring

def sample(options, folder):
    """The file with the bytes: whole blocks."""
    data = folder / "data"
    if options.data:
        with open(options.data, "rb") as file:
            content = file.read(BLOCKS * BLOCK_BYTES)
        if len(content) < BLOCK_BYTES:
            raise Failure(f"{options.data} is smaller than a block of {BLOCK_BYTES:,} bytes")
        data.write_bytes(content[:len(content) // BLOCK_BYTES * BLOCK_BYTES])
    else:
        Generator(folder).large(data, BLOCKS * BLOCK_BYTES)
    return data


@contextlib.contextmanager
def kept(file):
    """What the file holds now, or that it is not there, is the same afterwards."""
    content = file.read_bytes() if file.exists() else None
    try:
        yield
    finally:
        if content is None:
            file.unlink(missing_ok=True)
        else:
            file.write_bytes(content)


def seconds_of_pieces(data, options, folder):
    """All times of each benchmark, in seconds."""
    out, scratch = folder / "out", folder / "scratch"
    out.mkdir()
    scratch.mkdir()
    environment = {"YESTER_BENCH": "1", "YESTER_BENCH_DATA": data, "YESTER_BENCH_SCRATCH": scratch,
                   "YESTER_BENCH_BLOCK_SIZE": BLOCK_BYTES,
                   "YESTER_BENCH_CHUNKS": options.chunks, "YESTER_BENCH_LOOK_UPS": LOOK_UPS}
    package = [find_swift(), "package", "--package-path", ROOT, "--scratch-path", ROOT / ".build" / "bench",
               "--allow-writing-to-directory", out]
    # Ordinary builds know nothing of the library, nor of which versions it depends on.
    with kept(ROOT / "Package.resolved"):
        run([*package, "benchmark", "--target", "Benchmarks", "--format", "histogramSamples", "--time-units",
             "nanoseconds", "--no-progress", "--path", out],
            env=os.environ | {name: str(value) for name, value in environment.items()})
    found = {}
    for file in out.glob("*.wallClock.histogram.samples.tsv"):
        name = file.name.removesuffix(".wallClock.histogram.samples.tsv").rpartition("Benchmarks.")[2]
        found[name] = [int(line) / 1e9 for line in file.read_text().splitlines()[1:]]
    missing = sorted({*PIECES, *LOOKED_UP} - {name for name, values in found.items() if values})
    if missing:
        raise Failure(f"the benchmark of {missing[0]} told no times")
    return found


def openssl_speed(*what):
    """Bytes per second, by the best of some runs; openssl counts the time of the processor alone."""
    best = 0
    for _ in range(SPEED_RUNS):
        out = run(["openssl", "speed", "-mr", "-seconds", "1", "-bytes", BLOCK_BYTES, *what])
        best = max(best, float(out.strip().splitlines()[-1].split(":")[-1]))
    return best


def zstd_speed(data):
    """Bytes per second of compressing and decompressing, and the share that is left."""
    out = run(["bash", "-c", 'zstd "-b$1" "-i$4" "-B$2" -q "$3" 2>&1', "bench", LEVEL, BLOCK_BYTES, data,
               SPEED_RUNS])
    found = re.search(r"([\d.]+)\)[, ]+([\d.]+) MB/s[, ]+([\d.]+) MB/s", out.replace("\r", "\n").splitlines()[-1])
    if not found:
        raise Failure(f"`zstd -b` said something unexpected: {out[-200:]}")
    times_smaller, compressing, decompressing = map(float, found.groups())
    return compressing * 1e6, decompressing * 1e6, 1 / times_smaller


def speeds_of_libraries(data):
    """For each piece what the libraries need for the same, one after the other, in bytes per second."""
    say("measuring openssl and zstd")
    compressing, decompressing, share = zstd_speed(data)
    sealing, opening = openssl_speed("-evp", "aes-256-gcm"), openssl_speed("-decrypt", "-evp", "aes-256-gcm")
    reading = 1 / decompressing + share / opening
    return {"hash": openssl_speed("-evp", "sha256"), "compress": compressing, "seal": sealing,
            "compress,_seal_and_prove": 1 / (1 / compressing + share / sealing + reading),
            "open_and_decompress": 1 / reading}


# The report

def print_header(data, machine):
    print("## The loop over bytes\n")
    print(f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB of memory, "
          f"Linux {machine['kernel']}.\n")
    print(f"One thread, {data.stat().st_size >> 20} MiB in blocks of {BLOCK_BYTES >> 10} KiB, the best time with the "
          f"median in brackets. Libraries: {' '.join(run(['openssl', 'version']).split()[:2])}, "
          f"zstd {run(['zstd', '-qV']).strip().split()[-1]}; where there are two, one after the other.\n")


def print_pieces(size, times, libraries):
    rows = []
    for name, label in PIECES.items():
        best, median = (size / seconds / 1e9 for seconds in (min(times[name]), statistics.median(times[name])))
        library = libraries.get(name)
        rows.append([label, f"{best:.2f} ({median:.2f})", f"{library / 1e9:.2f}" if library else "–",
                     f"{best * 1e9 / library:.2f}" if library else "–"])
    print(table(["piece", "yester, GB/s", "libraries, GB/s", "ratio"], rows))


def print_look_ups(times, chunks):
    rows = []
    for name, label in LOOKED_UP.items():
        best, median = (seconds / LOOK_UPS * 1e9 for seconds in (min(times[name]), statistics.median(times[name])))
        rows.append([label, f"{best:.0f}", f"{median:.0f}"])
    print(f"Looking up in an index of {chunks:,} chunks that was used before:\n")
    print(table(["look-up", "best, ns", "median, ns"], rows))


def main(options):
    need_tools("openssl", "zstd", "bash")
    if options.chunks < 1:
        raise Failure("--chunks wants at least 1")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="yester-bench-", dir="/var/tmp"))
    try:
        data = sample(options, folder)
        say("building and running Tests/Benchmarks")
        times = seconds_of_pieces(data, options, folder)
        libraries = speeds_of_libraries(data)
        machine, size = describe_machine(), data.stat().st_size
        print_header(data, machine)
        print_pieces(size, times, libraries)
        print_look_ups(times, options.chunks)
        write_json(options, {"machine": machine}, {"bytes": size, "seconds": times, "libraries": libraries})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
