"""The short form of Scripts/stress-mount: readers of every kind, while snapshots come and go, against a model."""

import os
import pathlib
import random
import re
import unittest

from support.cases import EndToEndTest
from support.machine import driver_of, MIB
from support.random_readers import Stress


class RandomReaders(EndToEndTest):
    def test_readers_of_every_kind_see_what_was_backed_up(self):
        seed = random.randrange(10**6)
        said = []
        try:
            Stress(self.temp, 12, seed, readers=5, bulk=6000, say=said.append).run()
        except Exception as error:
            raise AssertionError(f"{error}\nAgain: Scripts/stress-mount --seed {seed} --readers 5 --bulk 6000 "
                                 f"--seconds 12\n" + "\n".join(said)) from error
        print("\n".join(said), flush=True)

    def test_memory_does_not_grow_with_the_number_of_snapshots_that_are_looked_at(self):
        self.source.mkdir()
        for number in range(4500):
            (self.source / f"file-{number:05d}").write_bytes(b"")
        self.init()
        names = [self.backup("-d", str(number))["name"] for number in range(11)]
        point = self.mount("--cache-size", "1")
        driver, sizes = driver_of(point), []
        for name in names:
            mounted = self.in_mount(point, name)
            for place in range(4500):
                os.lstat(f"{mounted}/file-{place:05d}")
            status = pathlib.Path(f"/proc/{driver}/status").read_text()
            sizes.append(int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024)
        # Each would cost 2 to 3 MiB if what is known of its entries were kept for ever.
        self.assertLess(sizes[-1] - sizes[4], 7 * MIB, [size // MIB for size in sizes])


if __name__ == "__main__":
    unittest.main()
