"""A mount under load: many readers at once, random places, a small cache, and a repository that changes meanwhile."""

import os
import random
import sys
import time
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import driver_of, MIB, peak_memory, start, wait_until

# Reads random places of files below the second argument and compares them with those below the first.
READER = """
import os, random, sys
source, mounted, seed = sys.argv[1:]
rng = random.Random(seed)
names = sorted(name for name in os.listdir(source) if name.startswith("big-"))
for _ in range(150):
    name = rng.choice(names)
    with open(f"{source}/{name}", "rb", buffering=0) as a, open(f"{mounted}/{name}", "rb", buffering=0) as b:
        size = os.fstat(a.fileno()).st_size
        assert os.fstat(b.fileno()).st_size == size, "size"
        offset, length = rng.randrange(size + 10), rng.choice([1, 100, 4096, 70_000, 700_000])
        wanted, got = os.pread(a.fileno(), length, offset), os.pread(b.fileno(), length, offset)
        assert wanted == got, f"{name} at {offset}, {length} bytes"
"""


class Load(EndToEndTest):
    def setUp(self):
        super().setUp()
        make_tree(self.source)
        rng = random.Random("load")
        for number in range(8):
            (self.source / f"big-{number}").write_bytes(rng.randbytes(rng.randrange(MIB, 6 * MIB)))
        # Sizes around every border: an empty file, pages, blocks.
        for size in (0, 1, 4095, 4096, 4097, 131_071, 131_073, 524_288, 524_289):
            (self.source / f"size-{size}").write_bytes(rng.randbytes(size))
        self.init()
        self.made = self.backup()

    def finish(self, processes):
        for process in processes:
            _, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, err)

    def readers(self, mounted, count):
        started = [start([sys.executable, "-c", READER, self.source, mounted, str(seed)]) for seed in range(count)]
        self.processes += started
        return started

    def test_random_reads_from_many_processes_with_a_small_cache(self):
        point = self.mount("--cache-size", "2")
        readers = self.readers(self.in_mount(point), 6)
        # Between the reads everything is dropped from the kernel's cache, so that the driver is asked again.
        while any(reader.poll() is None for reader in readers):
            with open("/proc/sys/vm/drop_caches", "w") as file:
                file.write("3")
            time.sleep(0.1)
        self.finish(readers)
        self.assert_same_tree(self.source, self.in_mount(point))
        self.assertLess(peak_memory(driver_of(point)), 150 * MIB)
        self.unmount(point)

    def test_readers_while_snapshots_come_and_go(self):
        point = self.mount()
        readers = self.readers(self.in_mount(point, self.made["name"]), 3)
        walkers = [start(["sh", "-c", f"for n in 1 2 3 4 5 6; do find '{point}' > /dev/null 2>&1; done"])]
        self.processes += walkers
        for number in range(6):
            (self.source / "changing").write_bytes(os.urandom(100_000))
            self.backup("-d", f"n{number}", "--tag", "short-lived", "--plan", "short")
            self.yester("rotate", "--keep-last", "1", "--plan", "short", "--max-unused", "0", "--minimum-age", "0")
        self.finish(readers + walkers)
        names = {one["name"] for one in self.snapshots()}
        wait_until(lambda: {name for name in os.listdir(point) if "_" in name} == names, 3, "the names are stale")
        self.verify()

    def test_copies_in_parallel(self):
        point = self.mount("-o", "threads=4")
        copies = [start(["cp", "-a", self.in_mount(point), self.temp / f"copy-{number}"]) for number in range(4)]
        self.processes += copies
        self.finish(copies)
        for number in range(4):
            self.assert_same_tree(self.source, self.temp / f"copy-{number}")

    def test_mapped_into_memory(self):
        point = self.mount()
        mounted = self.in_mount(point, path=self.source / "big-0")
        code = "import mmap,sys; f=open(sys.argv[1],'rb'); m=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ); " \
               "sys.stdout.buffer.write(m[-5000:]+m[:5000])"
        process = start([sys.executable, "-c", code, mounted])
        out, err = process.communicate(timeout=30)
        content = (self.source / "big-0").read_bytes()
        self.assertEqual(out, content[-5000:] + content[:5000], err)

    def test_an_idle_mount_costs_nothing(self):
        point = self.mount()
        os.listdir(self.in_mount(point))
        time.sleep(0.5)
        driver = driver_of(point)

        def ticks():
            with open(f"/proc/{driver}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        before = ticks()
        time.sleep(2)
        # A driver whose workers spin would have used 200 of these hundredths of a second.
        self.assertLess(ticks() - before, 20, "the driver is busy though nobody asks it anything")


if __name__ == "__main__":
    unittest.main()
