"""Shows a `MemoryDisk` to the programs of this machine: the kernel's FUSE protocol (linux/fuse.h, version 7.31),
without a library between.

Nothing is remembered by the kernel but the pages of open files, so that each call of a program gets here, and fails
here where it is to fail. One thread answers, one call after another.
"""

import ctypes
import errno
import os
import stat
import struct
import threading

from support.machine import Broken, run
from support.memory_disk import Fails

LIBC = ctypes.CDLL(None, use_errno=True)
MS_NOSUID, MS_NODEV = 2, 4

(LOOKUP, FORGET, GETATTR, SETATTR, MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC,
 FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, FSYNCDIR, CREATE, INTERRUPT, DESTROY, BATCH_FORGET, RENAME2) = (
    1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 25, 26, 27, 28, 29, 30, 35, 36, 38, 42, 45)
WITHOUT_ANSWER = (FORGET, BATCH_FORGET, INTERRUPT)
SET_MODE, SET_SIZE = 1, 8
BIG_WRITES = 1 << 5
MAX_WRITE = 128 << 10
BLOCK = 4096


class Mounted:
    """A mount point at which a disk is seen."""

    def __init__(self, disk, point):
        self.disk, self.point = disk, point
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.device},rootmode=40755,user_id=0,group_id=0,allow_other"
        if LIBC.mount(b"yester-test", os.fsencode(point), b"fuse.yester-test", MS_NOSUID | MS_NODEV,
                      options.encode()) != 0:
            os.close(self.device)
            raise Broken(f"mounting at {point}: {os.strerror(ctypes.get_errno())}")
        self.trouble = None
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def unmount(self):
        run(["umount", "-l", self.point])
        self.thread.join(timeout=20)
        os.close(self.device)
        if self.trouble:
            raise self.trouble

    def serve(self):
        while True:
            try:
                request = os.read(self.device, MAX_WRITE + BLOCK)
            except OSError as error:
                # An interrupted request is none any more; without the mount there is nobody to serve.
                if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                return
            opcode, unique, node = struct.unpack_from("<IQQ", request, 4)
            if opcode in WITHOUT_ANSWER:
                continue
            number, answer = 0, b""
            try:
                answer = self.answer(opcode, node, request[40:])
            except Fails as failure:
                number = failure.number
            except Exception as error:  # Whatever it is, the program that waits gets an answer.
                self.trouble = error
                number = errno.EIO
            try:
                os.write(self.device, struct.pack("<IiQ", 16 + len(answer), -number, unique) + answer)
            except OSError:
                pass

    def answer(self, opcode, node, body):
        disk = self.disk
        if opcode == INIT:
            return struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, BIG_WRITES, 12, 9, MAX_WRITE, 1, 0, 0, 0)
        if opcode == LOOKUP:
            return self.entry(disk.lookup(node, name_in(body)))
        if opcode == GETATTR:
            return self.attributes(disk.attributes(node))
        if opcode == SETATTR:
            return self.set_attributes(node, body)
        if opcode in (OPEN, OPENDIR):
            disk.open(node)
            return struct.pack("<QII", 0, 0, 0)
        if opcode == READ:
            offset, size = struct.unpack_from("<QI", body, 8)
            return disk.read(node, offset, size)
        if opcode == READDIR:
            offset, size = struct.unpack_from("<QI", body, 8)
            return self.names(node, offset, size)
        if opcode == WRITE:
            offset, size = struct.unpack_from("<QI", body, 8)
            return struct.pack("<II", disk.write(node, offset, body[40:40 + size]), 0)
        if opcode == CREATE:
            mode, = struct.unpack_from("<I", body, 4)
            return self.entry(disk.make(node, name_in(body[16:]), mode)) + struct.pack("<QII", 0, 0, 0)
        if opcode == MKNOD:
            mode, = struct.unpack_from("<I", body)
            return self.entry(disk.make(node, name_in(body[16:]), mode))
        if opcode == MKDIR:
            mode, = struct.unpack_from("<I", body)
            return self.entry(disk.make(node, name_in(body[8:]), stat.S_IFDIR | mode))
        if opcode in (UNLINK, RMDIR):
            disk.remove(node, name_in(body), opcode == RMDIR)
        elif opcode == RENAME:
            self.rename(node, body, 8, 0)
        elif opcode == RENAME2:
            self.rename(node, body, 16, *struct.unpack_from("<I", body, 8))
        elif opcode == LINK:
            old, = struct.unpack_from("<Q", body)
            return self.entry(disk.link(old, node, name_in(body[8:])))
        elif opcode in (FSYNC, FSYNCDIR):
            disk.sync(node)
        elif opcode == FLUSH:
            disk.close(node)
        elif opcode == STATFS:
            disk.space(node)
            return struct.pack("<QQQQQIIII24x", 1 << 20, 1 << 19, 1 << 19, 1 << 20, 1 << 19, BLOCK, 255, BLOCK, 0)
        elif opcode not in (RELEASE, RELEASEDIR, DESTROY):
            # The kernel remembers that there is no such call, and does without.
            raise Fails(errno.ENOSYS)
        return b""

    def rename(self, node, body, header, flags):
        to_parent, = struct.unpack_from("<Q", body)
        name, to_name = body[header:].split(b"\0")[:2]
        self.disk.rename(node, name, to_parent, to_name, flags)

    def set_attributes(self, node, body):
        valid, _, _, size = struct.unpack_from("<IIQQ", body)
        if valid & SET_SIZE:
            self.disk.truncate(node, size)
        if valid & SET_MODE:
            self.disk.change_mode(node, struct.unpack_from("<I", body, 68)[0])
        return self.attributes(self.disk.nodes[node])

    def attribute(self, node):
        seconds, rest = divmod(node.changed, 10**9)
        return struct.pack("<QQQQQQIIIIIIIIII", node.number, len(node.data), -(-len(node.data) // 512),
                           seconds, seconds, seconds, rest, rest, rest, node.mode, max(1, node.links), 0, 0, 0, BLOCK,
                           0)

    def attributes(self, node):
        return struct.pack("<QII", 0, 0, 0) + self.attribute(node)

    def entry(self, node):
        return struct.pack("<QQQQII", node.number, 0, 0, 0, 0, 0) + self.attribute(node)

    def names(self, number, offset, size):
        answer = b""
        for place, (name, node) in enumerate(self.disk.names(number)):
            if place < offset:
                continue
            one = struct.pack("<QQII", node.number, place + 1, len(name), stat.S_IFMT(node.mode) >> 12) + name
            one += bytes(-len(one) % 8)
            if len(answer) + len(one) > size:
                break
            answer += one
        return answer


def name_in(body):
    return body[:body.index(b"\0")]
