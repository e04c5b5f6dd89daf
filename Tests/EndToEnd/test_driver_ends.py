"""How a driver ends: killed, told to by a signal, with clients inside the mount, and while its store hangs."""

import errno
import mmap
import os
import pathlib
import random
import shutil
import signal
import stat
import sys
import tempfile
import time
import unittest

from support.cases import EndToEndTest, make_tree
from support.machine import BIN, driver_of, is_gone, MIB, run, start, wait_until, YESTERFS

DEAD = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO)
USER = 65534

# A client that is in the mount in every way: a directory it works in, an open file, one mapped into memory, an open
# directory. It says when it is ready, and what it got when it is told that the driver has ended.
CLIENT = """
import mmap, os, sys
folder, name = sys.argv[1:]
os.chdir(folder)
file = os.open(name, os.O_RDONLY)
pages = mmap.mmap(file, 0, prot=mmap.PROT_READ)
directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
os.scandir(directory)
first, names = os.pread(file, 10, 0), os.listdir(".")
print(pages[0], flush=True)
sys.stdin.readline()
for again, before in ((lambda: os.pread(file, 10, 0), first), (lambda: os.listdir("."), names)):
    try:
        print("same" if again() == before else "other")
    except OSError as error:
        print(error.errno)
"""


def assert_told_the_truth(test, client):
    """What the kernel still knows it may tell; all else is an error, and nothing looks empty."""
    out, err = client.communicate(b"\n", timeout=10)
    told = out.decode().split()
    test.assertEqual(len(told), 2, err)
    test.assertLessEqual(set(told), {"same", *map(str, DEAD)})


class Signals(EndToEndTest):
    """SIGTERM, SIGINT and SIGHUP end a driver at once, whoever is inside of the mount."""

    def setUp(self):
        super().setUp()
        make_tree(self.source, big=1)
        self.init()
        self.backup()

    def drive(self):
        """The driver as a child of ours, so that its exit status can be seen."""
        point = self.temp / "mnt"
        point.mkdir(exist_ok=True)
        driver = start([YESTERFS, self.repository, point, "-f", "-o", f"key_file={self.key}"], env=self.environment())
        self.processes.append(driver)
        wait_until(lambda: os.path.ismount(point) or driver.poll() is not None, 10, "no mount")
        self.assertIsNone(driver.poll())
        return point, driver

    def client(self, folder, name="big-0"):
        client = start([sys.executable, "-c", CLIENT, folder, name], stdin=-1)
        self.processes.append(client)
        self.assertTrue(client.stdout.readline(), "the client did not get into the mount")
        return client

    def ends_at_once(self, number, busy):
        point, driver = self.drive()
        mounted = self.in_mount(point)
        client = self.client(mounted)
        readers = [start(["sh", "-c", f"while cat '{mounted}'/dir*/file* '{mounted}/big-0'; do :; done > /dev/null"])
                   for _ in range(2 if busy else 0)]
        self.processes += readers
        time.sleep(0.2 if busy else 0)
        began = time.monotonic()
        driver.send_signal(number)
        _, err = driver.communicate(timeout=10)
        took = time.monotonic() - began
        self.assertEqual(driver.returncode, 0, err)
        self.assertLess(took, 1.0, f"the driver took {took:.2f} s to end")
        self.assertFalse(os.path.ismount(point))
        self.assertEqual(os.listdir(point), [])
        self.assertEqual(self.objects("leases"), [])
        assert_told_the_truth(self, client)
        for reader in readers:
            reader.communicate(timeout=10)

    def test_a_signal_with_clients_inside(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(number.name):
                self.ends_at_once(number, busy=False)

    def test_a_signal_while_others_read(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number.name):
                self.ends_at_once(number, busy=True)

    def test_several_signals_at_once(self):
        point, driver = self.drive()
        client = self.client(self.in_mount(point))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            driver.send_signal(number)
        _, err = driver.communicate(timeout=10)
        self.assertEqual(driver.returncode, 0, err)
        client.communicate(b"\n", timeout=10)


class HangingStore(EndToEndTest):
    """The repository lies in a mount of another repository, whose driver is stopped: so every access to it hangs."""

    def setUp(self):
        super().setUp()
        make_tree(self.source, files=20)
        for number in range(3):
            (self.source / f"big-{number}").write_bytes(random.Random(number).randbytes(3 * MIB))
        self.init()
        for number in range(3):
            self.backup(self.source / f"big-{number}")
        self.backup()
        inner, self.repository = self.repository, self.temp / "outer"
        self.key = self.temp / "outer-key"
        self.yester("init", "--key-file", self.key)
        self.yester("backup", inner)
        outer_point = self.mount("--cache-size", "1", at="outer-mnt")
        self.outer = driver_of(outer_point)
        self.repository = self.in_mount(outer_point, path=inner)
        self.addCleanup(self.let_go_on)

    def let_go_on(self):
        if not is_gone(self.outer):
            os.kill(self.outer, signal.SIGCONT)

    def drive(self):
        point = self.temp / "mnt"
        point.mkdir(exist_ok=True)
        driver = start([YESTERFS, self.repository, point, "-f", "-o", f"key_file={self.temp / 'key'},cache_size=1"],
                       env=self.environment())
        self.processes.append(driver)
        wait_until(lambda: os.path.ismount(point) or driver.poll() is not None, 10, "no mount")
        self.assertIsNone(driver.poll(), driver.poll() is not None and driver.communicate())
        return point, driver

    def hang(self, point):
        """Stops the store, and starts clients that hang in it; the first file was looked at before."""
        mounted = self.in_mount(point)
        self.assertEqual((mounted / "dir0" / "file-000").read_bytes(),
                         (self.source / "dir0" / "file-000").read_bytes())
        names = os.listdir(mounted)
        os.kill(self.outer, signal.SIGSTOP)
        run(["sync", "-f", self.temp])
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("1")
        code = "import mmap,sys; f=open(sys.argv[1],'rb'); print(mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ)[1000000])"
        clients = [start(["cat", mounted / "big-0"], stdout=-3),
                   start(["cp", mounted / "big-1", self.temp / "copy"]),
                   start([sys.executable, "-c", code, mounted / "big-2"])]
        self.processes += clients
        time.sleep(1)
        self.assertEqual([client.poll() for client in clients], [None] * 3, "nobody hangs: the test proves nothing")
        # What needs no store goes on, for whoever makes the driver look for new snapshots as well.
        for _ in range(3):
            self.assertIn(mounted.relative_to(point).parts[0], run(["ls", point], timeout=5).out.split())
            self.assertEqual(run(["stat", "-c", "%F", f"{point}/latest/."], timeout=5).out.strip(), "directory")
            self.assertEqual(run(["ls", mounted], timeout=5).out.split(), sorted(names))
            time.sleep(1)
        return clients

    def test_a_signal_ends_a_driver_whose_store_hangs(self):
        point, driver = self.drive()
        clients = self.hang(point)
        began = time.monotonic()
        driver.send_signal(signal.SIGTERM)
        try:
            _, err = driver.communicate(timeout=20)
        finally:
            took = time.monotonic() - began
            os.kill(self.outer, signal.SIGCONT)
        # Not 0: the lease could not be given back, and somebody should know.
        self.assertEqual(driver.returncode, 1, err)
        self.assertIn(b"hung", err)
        self.assertLess(took, 3.5, f"the driver took {took:.2f} s to end")
        self.assertFalse(os.path.ismount(point))
        for client in clients:
            client.communicate(timeout=10)
        for reader in clients[:3]:
            self.assertNotEqual(reader.returncode, 0, "a client that was cut off thinks that all went well")

    def test_unmounting_while_the_store_hangs(self):
        point, driver = self.drive()
        clients = self.hang(point)
        began = time.monotonic()
        self.yester("unmount", point, timeout=20)
        self.assertLess(time.monotonic() - began, 5)
        self.assertFalse(os.path.ismount(point))
        os.kill(self.outer, signal.SIGCONT)
        driver.communicate(timeout=20)
        for client in clients:
            client.communicate(timeout=10)

    def test_a_store_that_hangs_for_a_while_does_no_harm(self):
        point, driver = self.drive()
        clients = self.hang(point)
        os.kill(self.outer, signal.SIGCONT)
        for client in clients:
            _, err = client.communicate(timeout=20)
            self.assertEqual(client.returncode, 0, err)
        self.assertEqual((self.temp / "copy").read_bytes(), (self.source / "big-1").read_bytes())
        self.assertIn('"healthy": true', (point / ".yester" / "health").read_text())
        self.unmount(point)
        driver.communicate(timeout=10)
        self.assertEqual(driver.returncode, 0)


    def test_a_store_that_was_started_again(self):
        """As after a network file system's server was restarted: what the driver had open is of no use any more."""
        point, driver = self.drive()
        mounted, outer_point = self.in_mount(point), self.temp / "outer-mnt"
        self.assertEqual((mounted / "big-0").read_bytes(), (self.source / "big-0").read_bytes())
        os.kill(self.outer, signal.SIGKILL)
        wait_until(lambda: is_gone(self.outer), 10, "the store's driver lives on")
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
        for name in ("big-0", "big-1"):
            ran = run(["cat", mounted / name], timeout=20)
            self.assertIn("Input/output error", ran.err)
        self.assertIn('"healthy": false', (point / ".yester" / "health").read_text())
        outer_repository, inner = self.temp / "outer", self.repository
        self.repository = outer_repository
        self.yester("mount", outer_point, "--cache-size", "1")
        self.repository, self.outer = inner, driver_of(outer_point)
        for number in range(3):
            self.assertEqual((mounted / f"big-{number}").read_bytes(), (self.source / f"big-{number}").read_bytes())
        self.unmount(point)
        driver.communicate(timeout=10)


class Killed(EndToEndTest):
    """What is left after kill -9 is taken away by the next mount, whoever makes it."""

    def setUp(self):
        super().setUp()
        make_tree(self.source)
        self.init()
        self.backup()

    def kill(self, point):
        driver = driver_of(point)
        os.kill(driver, signal.SIGKILL)
        wait_until(lambda: is_gone(driver), 10, "the driver lives on")

    def test_clients_inside_get_errors(self):
        point = self.mount()
        mounted = self.in_mount(point)
        client = start([sys.executable, "-c", CLIENT, mounted, "dir4/file-004"], stdin=-1)
        self.processes.append(client)
        client.stdout.readline()
        self.kill(point)
        with self.assertRaises(OSError) as caught:
            (mounted / "dir3" / "file-003").read_bytes()
        self.assertIn(caught.exception.errno, DEAD)
        assert_told_the_truth(self, client)

    def test_yesterfs_takes_a_dead_mount_away(self):
        point = self.mount()
        for _ in range(2):
            # The kernel knows the root's attributes for a second, and tells them though the driver is dead.
            os.stat(point)
            self.kill(point)
            ran = run([YESTERFS, self.repository, point, "-o", f"key_file={self.key}"], env=self.environment())
            self.assertEqual(ran.status, 0, ran)
            self.assert_same_tree(self.source, self.in_mount(point))
        self.unmount(point)
        self.assertEqual(os.listdir(point), [])

    def test_an_ordinary_user(self):
        programs = pathlib.Path(tempfile.mkdtemp(prefix="yester-bin-"))
        self.addCleanup(shutil.rmtree, programs)
        for program in ("yester", "yesterfs"):
            shutil.copy(BIN / program, programs / program)
            (programs / program).chmod(0o755)
        programs.chmod(0o755)
        mode = stat.S_IMODE(os.stat("/dev/fuse").st_mode)
        if mode & 0o006 != 0o006:
            os.chmod("/dev/fuse", 0o666)
            self.addCleanup(os.chmod, "/dev/fuse", mode)
        self.assertEqual(run(["chown", "-R", f"{USER}:{USER}", self.temp]).status, 0)
        self.backup()
        self.assertEqual(run(["chown", "-R", f"{USER}:{USER}", self.temp]).status, 0)
        point = self.temp / "mnt"

        def as_user(*command, status=0):
            ran = run(command, env=self.environment(HOME=self.temp), user=USER, group=USER, extra_groups=[], cwd="/")
            self.assertEqual(ran.status, status, f"{command}: {ran}")
            return ran

        as_user("mkdir", point)
        as_user(programs / "yester", "mount", point)
        for again in ([programs / "yester", "mount", point],
                      [programs / "yesterfs", self.repository, point, "-o", f"key_file={self.key}"]):
            as_user("ls", point / "latest")
            self.kill(point)
            # A request under way is aborted; the next ones find nobody.
            self.assertRegex(as_user("ls", point, status=2).err, "not connected|connection abort")
            as_user(*again)
        as_user("diff", "-r", "--no-dereference", "--exclude=fifo", self.source, self.in_mount(point))
        self.kill(point)
        as_user(programs / "yester", "unmount", point)
        self.assertFalse(os.path.ismount(point))
        self.assertEqual(os.listdir(point), [])


if __name__ == "__main__":
    unittest.main()
