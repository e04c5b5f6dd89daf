"""The programs that are measured beside each other, and how each of them makes a backup of a tree and mounts it."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import time

from .system import Failure, descendants, is_mounted, run, say, unmount

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSWORD = "measured in public"
MOUNT_SECONDS_MAX = 120


@dataclasses.dataclass
class Mounted:
    """A tree that can be read: where it is, and who serves it."""
    tree: str
    point: str | None = None
    process: int | None = None
    # From the start of the command until `ls` of the mount point had listed something.
    first_ls_s: float | None = None


class Peer:
    """One program. `folder` is where it keeps what belongs to one tree."""

    name: str
    # Why this peer cannot be measured here, or None.
    missing: str | None = None
    # Whether it reads a copy of its own that has to be made first.
    makes_backups = True

    def version(self):
        return run([self.program, "--version"]).splitlines()[0]

    def prepare(self, folder, tree):
        """Makes a repository or an image of the tree in the folder, which is empty."""

    def mount_command(self, folder, tree, point):
        """The command that stays in the foreground, and its environment."""
        raise NotImplementedError

    def place(self, tree):
        """Where in the mount the tree is."""
        return tree.lstrip("/")

    def requests(self, folder, point):
        """How many FUSE requests of each kind the driver has had; asked before the end of the mount."""
        return None

    def requests_afterwards(self, folder):
        """The same for drivers that tell it when they end."""
        return None

    @contextlib.contextmanager
    def mounted(self, folder, tree, point):
        """Mounts, and takes the mount away again whatever happens."""
        os.makedirs(point, exist_ok=True)
        command, changes = self.mount_command(folder, tree, point)
        with open(folder / "mount.log", "wb") as log:
            begin = time.perf_counter()
            # A session of its own: Ctrl-C goes to the benchmark alone, which then unmounts.
            process = subprocess.Popen(list(map(str, command)), env=os.environ | changes, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, start_new_session=True)
        try:
            while not is_mounted(point):
                if process.poll() is not None or time.perf_counter() - begin > MOUNT_SECONDS_MAX:
                    messages = (folder / "mount.log").read_text(errors="replace")
                    raise Failure(f"{self.name} did not mount: {' '.join(map(str, command))}\n{messages[-2000:]}")
                time.sleep(0.001)
            if not run(["ls", point]):
                raise Failure(f"{self.name} mounted, but the mount is empty")
            first_ls = time.perf_counter() - begin
            place = os.path.join(point, self.place(tree))
            yield Mounted(place, point, descendants(process.pid)[-1], first_ls)
        finally:
            unmount(point, process)


class NoFuse(Peer):
    """The source itself: what the work costs without any mount."""
    name = "none"
    makes_backups = False

    def version(self):
        return "the source directory itself, without FUSE"

    @contextlib.contextmanager
    def mounted(self, folder, tree, point):
        yield Mounted(tree)


class Limit(Peer):
    """The limit program, which is compiled when it is needed."""
    name = "limit"
    makes_backups = False
    source = ROOT / "Scripts" / "benchmarks" / "limit.c"

    def __init__(self, work):
        self.program = work / "limit"
        compiler = shutil.which("gcc") or shutil.which("cc")
        if not compiler:
            self.missing = "there is no C compiler (gcc)"
            return
        try:
            flags = run(["pkg-config", "--cflags", "--libs", "fuse3"]).split()
        except (Failure, FileNotFoundError):
            self.missing = "pkg-config or libfuse3-dev is missing"
            return
        run([compiler, "-O2", "-Wall", "-Wextra", "-o", self.program, self.source, *flags, "-lpthread"])

    def version(self):
        return f"a file system in memory, libfuse {run(['pkg-config', '--modversion', 'fuse3']).strip()}"

    def mount_command(self, folder, tree, point):
        (folder / "requests").unlink(missing_ok=True)
        return [self.program, "--stats", folder / "requests", tree, point], {}

    def place(self, tree):
        return ""

    def requests_afterwards(self, folder):
        counts = json.loads((folder / "requests").read_text())
        return counts["requests"] | {"files stored ahead": counts["stored_files"]}


class Yester(Peer):
    """yester from a folder of programs, so that two builds of it can be compared."""

    def __init__(self, name, programs):
        self.name = name
        self.programs = pathlib.Path(programs).resolve()
        self.program = self.programs / "yester"
        if not os.access(self.program, os.X_OK):
            self.missing = f"there is no {self.program}; build it with `swift build -c release --static-swift-stdlib`"

    def environment(self, folder):
        return {"YESTER_REPOSITORY": str(folder / "repository"), "YESTER_KEY_FILE": str(folder / "key"),
                "YESTER_CACHE_DIR": str(folder / "cache")}

    def prepare(self, folder, tree):
        environment = os.environ | self.environment(folder)
        run([self.program, "init", "--key-file", folder / "key"], env=environment)
        run([self.program, "backup", tree], env=environment)

    def mount_command(self, folder, tree, point):
        return [self.program, "mount", "--foreground", point], self.environment(folder)

    def place(self, tree):
        return "latest/" + tree.lstrip("/")

    def requests(self, folder, point):
        try:
            with open(os.path.join(point, ".yester", "stats"), encoding="utf-8") as file:
                counts = json.load(file)["requests"]
            return {name: int(count) for name, count in counts.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # a build that does not count


class Restic(Peer):
    name = "restic"
    program = "restic"

    def __init__(self):
        self.missing = missing_program(self.program)

    def version(self):
        return run(["restic", "version"]).split(" compiled")[0]

    def environment(self, folder):
        return {"RESTIC_REPOSITORY": str(folder / "repository"), "RESTIC_PASSWORD_FILE": str(folder / "password"),
                "RESTIC_CACHE_DIR": str(folder / "cache")}

    def prepare(self, folder, tree):
        (folder / "password").write_text(PASSWORD + "\n")
        environment = os.environ | self.environment(folder)
        run(["restic", "init"], env=environment)
        run(["restic", "backup", "--quiet", tree], env=environment)

    def mount_command(self, folder, tree, point):
        return ["restic", "mount", "--no-lock", point], self.environment(folder)

    def place(self, tree):
        return "snapshots/latest/" + tree.lstrip("/")


class Borg(Peer):
    """Borg; the archive itself is mounted, since Borg otherwise builds its table of files in the first work."""
    name = "borg"
    program = "borg"

    def __init__(self):
        self.missing = missing_program(self.program)

    def environment(self, folder):
        return {"BORG_PASSPHRASE": PASSWORD, "BORG_BASE_DIR": str(folder / "base"),
                "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes"}

    def prepare(self, folder, tree):
        environment = os.environ | self.environment(folder)
        run(["borg", "init", "--encryption", "repokey-blake2", folder / "repository"], env=environment)
        run(["borg", "create", "--compression", "lz4", f"{folder / 'repository'}::tree", tree], env=environment)

    def mount_command(self, folder, tree, point):
        return ["borg", "mount", "--foreground", f"{folder / 'repository'}::tree", point], self.environment(folder)


class Squashfuse(Peer):
    """No backup program, but a fast reader of a compressed image with low-level FUSE."""
    name = "squashfuse"

    def __init__(self):
        self.program = shutil.which("squashfuse_ll") or "squashfuse"
        self.missing = missing_program(self.program) or missing_program("mksquashfs")

    def version(self):
        # It knows no option for that, and its usage is a failure.
        ran = subprocess.run([self.program], capture_output=True, check=False)
        return (ran.stderr + ran.stdout).decode().splitlines()[0].split(" (c)")[0]

    def prepare(self, folder, tree):
        run(["mksquashfs", tree, folder / "image", "-comp", "zstd", "-Xcompression-level", "1", "-no-progress"])

    def mount_command(self, folder, tree, point):
        return [self.program, "-f", folder / "image", point], {}

    def place(self, tree):
        return ""


def missing_program(program):
    return None if shutil.which(program) else f"{program} is not installed"


NAMES = ("yester", "restic", "borg", "squashfuse", "limit", "none")


def all_peers(work, only=None, also=()):
    """The peers that can be measured here, in the order of the table; says which are left out, and why."""
    makers = {"restic": Restic, "borg": Borg, "squashfuse": Squashfuse, "limit": lambda: Limit(work), "none": NoFuse}
    builds = [("yester", os.environ.get("YESTER_BIN") or ROOT / ".build" / "release")]
    for pair in also:
        name, equals, programs = pair.partition("=")
        if not (name and equals and programs) or name in makers or name == "yester":
            raise Failure(f"--also wants NAME=FOLDER with a name of its own, not {pair}")
        builds.append((name, programs))
    wanted = only.split(",") if only else [name for name, _ in builds] + list(makers)
    unknown = set(wanted) - {name for name, _ in builds} - set(makers)
    if unknown:
        raise Failure(f"there is no peer called {', '.join(sorted(unknown))}")
    peers = [Yester(name, programs) for name, programs in builds if name in wanted or name != "yester"]
    peers += [make() for name, make in makers.items() if name in wanted]
    for peer in peers:
        if peer.missing:
            say(f"{peer.name} is left out: {peer.missing}")
    return [peer for peer in peers if not peer.missing]
