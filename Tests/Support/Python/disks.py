"""Small real file systems, as disks, USB sticks and servers have them. All of them need root.

FAT, exFAT and NTFS are mounted through FUSE, for not every kernel has drivers for them; where it has, so are these.
"""

import os
import pathlib
import shutil
import signal

from support.machine import Broken, mounts_below, run, wait_until

MIB = 1 << 20
# What makes each, and how large it has to be.
KINDS = {
    "ext4": (["mkfs.ext4", "-q", "-F"], 64),
    "xfs": (["mkfs.xfs", "-q", "-f"], 320),
    "btrfs": (["mkfs.btrfs", "-q", "-f"], 128),
    "exfat-fuse": (["mkfs.exfat"], 64),
    "fat-fuse": (["mkfs.vfat", "-F", "32"], 64),
    "ntfs-3g": (["mkfs.ntfs", "-q", "-F"], 64),
    "exfat": (["mkfs.exfat"], 64),
    "vfat": (["mkfs.vfat", "-F", "32"], 64),
    "ntfs3": (["mkfs.ntfs", "-q", "-F"], 64),
}
SFTP_SERVER = "/usr/lib/openssh/sftp-server"


def kinds_of_this_machine():
    """Those that every machine with the packages has, and those of the kernel's drivers that are there."""
    known = {line.split()[-1] for line in pathlib.Path("/proc/filesystems").read_text().splitlines()}
    return [kind for kind in KINDS if kind not in ("exfat", "vfat", "ntfs3") or kind in known]


def require(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Broken(f"the tool {tool} is missing")


class Disk:
    """A disk with one file system; it can be pulled out and plugged in again."""

    def __init__(self, kind, folder):
        self.kind, self.folder = kind, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.image, self.point = self.folder / "image", self.folder / "disk"
        self.point.mkdir()
        make, size = KINDS[kind]
        require(make[0])
        with open(self.image, "wb") as file:
            file.truncate(size * MIB)
        self.check(run([*make, self.image]))
        # Its driver takes block devices alone.
        self.device = self.attach_device() if kind == "exfat-fuse" else self.image
        self.plug_in()

    def check(self, ran):
        if ran.status != 0:
            raise Broken(f"{self.kind}: {ran}")

    def attach_device(self):
        ran = run(["losetup", "--find", "--show", self.image])
        self.check(ran)
        return ran.out.strip()

    def plug_in(self):
        if self.kind == "fat-fuse":
            # With one thread: several share one position in the image, between lseek and read.
            self.check(run(["fusefat", "-s", "-o", "rw+", self.image, self.point]))
        elif self.kind == "exfat-fuse":
            self.check(run(["mount.exfat-fuse", self.device, self.point]))
        elif self.kind == "ntfs-3g":
            self.check(run(["ntfs-3g", self.image, self.point]))
        else:
            self.check(run(["mount", "-t", self.kind, "-o", "loop", self.image, self.point]))
        wait_until(lambda: os.path.ismount(self.point), 10, f"{self.kind} is not mounted")

    def eject(self):
        self.check(run(["umount", self.point]))
        self.wait_for_server()

    def servers(self):
        """The programs that serve the file system: their command line names the mount point."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            name = os.path.basename(words[0])
            if os.fsencode(self.point) in words and name in (b"fusefat", b"mount.exfat-fuse", b"ntfs-3g", b"sshfs"):
                found.append(int(entry.name))
        return found

    def wait_for_server(self):
        wait_until(lambda: not self.servers(), 20, f"the server of {self.kind} does not end")

    def pull(self):
        """What is not on the disk yet will never be."""
        if self.kind in ("ext4", "xfs"):
            self.check(run(["xfs_io", "-x", "-c", "shutdown", self.point]))
        elif self.servers():
            for server in self.servers():
                os.kill(server, signal.SIGKILL)
            self.wait_for_server()
        else:
            self.check(run(["umount", "-l", self.point]))

    def plug_in_again(self):
        # Others may still have something open on it for a moment. (What lies there may give errors, so that looking at
        # the mount point says nothing.)
        wait_until(lambda: run(["umount", self.point]).status == 0 or not mounts_below(self.point), 20,
                   f"{self.kind} stays busy")
        # A mount namespace that was made meanwhile has a copy of the mount, and keeps what was shut down until it ends.
        wait_until(lambda: not run(["losetup", "--associated", self.image]).out or self.device != self.image, 30,
                   f"{self.kind} stays in use")
        self.plug_in()

    def remove(self):
        # A server that hangs would hold the unmounting up.
        for server in self.servers():
            os.kill(server, signal.SIGKILL)
        run(["umount", "-l", self.point])
        if self.device != self.image:
            run(["losetup", "--detach", self.device])


class Share(Disk):
    """A directory that OpenSSH's server of files gives over sshfs, without a network in between."""

    def __init__(self, folder, *options):
        require("sshfs")
        if not os.access(SFTP_SERVER, os.X_OK):
            raise Broken(f"there is no {SFTP_SERVER}")
        self.kind, self.folder, self.options = "sshfs", pathlib.Path(folder), options
        self.device = self.image = None
        self.point, self.served = self.folder / "disk", self.folder / "served"
        for path in (self.folder, self.point, self.served):
            path.mkdir(parents=True, exist_ok=True)
        self.command = self.folder / "connect"
        self.command.write_text(f"#!/bin/sh\nexec {SFTP_SERVER}\n")
        self.command.chmod(0o700)
        self.plug_in()

    def plug_in(self):
        options = [word for option in self.options for word in ("-o", option)]
        self.check(run(["sshfs", f"server:{self.served}", self.point, "-o", f"ssh_command={self.command}", *options]))
        wait_until(lambda: os.path.ismount(self.point), 10, "sshfs is not mounted")
