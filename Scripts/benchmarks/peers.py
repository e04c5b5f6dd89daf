"""The programs that are measured beside each other, and how each of them makes a backup of a tree, verifies it, brings
it back and mounts it."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import time

from .system import Failure, descendants, is_mounted, measured, run, say, unmount

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSWORD = "measured in public"
MOUNT_SECONDS_MAX = 120
# The name of the one backup of what is only read afterwards.
BACKUP = "tree"


@dataclasses.dataclass
class Command:
    """A program with its arguments, and what it needs of its surroundings."""
    words: list
    changes: dict = dataclasses.field(default_factory=dict)
    # The folder that it runs in.
    place: str | None = None

    @property
    def options(self):
        return {"env": os.environ | self.changes, "cwd": self.place}

    def run(self):
        return run(self.words, **self.options)

    def measure(self):
        return measured(self.words, **self.options)


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
    # Whether a backup builds on the one before; otherwise each one is a whole one.
    is_incremental = True

    def version(self):
        return run([self.program, "--version"]).splitlines()[0]

    # Backups. All that is stored lies in `folder / "repository"`; `name` is that of one backup.

    def create(self, folder):
        """Makes a repository without backups in the folder, which is empty."""
        (folder / "repository").mkdir()

    def backup_command(self, folder, tree, name):
        raise NotImplementedError

    def verify_command(self, folder):
        """What opens and checks all data, or None."""
        return None

    def restore_command(self, folder, tree, name, target):
        """Brings the last backup, which has this name, back into an empty directory."""
        raise NotImplementedError

    def restored(self, target, tree):
        """Where in the target the tree then lies."""
        return str(target)

    def prepare(self, folder, tree):
        """Makes a backup of the tree in the folder, which is empty."""
        self.create(folder)
        self.backup_command(folder, tree, BACKUP).run()

    # Mounts

    def mount_command(self, folder, tree, point):
        """The command that stays in the foreground."""
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
        command = self.mount_command(folder, tree, point)
        with open(folder / "mount.log", "wb") as log:
            begin = time.perf_counter()
            # A session of its own: Ctrl-C goes to the benchmark alone, which then unmounts.
            process = subprocess.Popen(list(map(str, command.words)), **command.options, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, start_new_session=True)
        try:
            while not is_mounted(point):
                if process.poll() is not None or time.perf_counter() - begin > MOUNT_SECONDS_MAX:
                    messages = (folder / "mount.log").read_text(errors="replace")
                    raise Failure(f"{self.name} did not mount: {' '.join(map(str, command.words))}\n{messages[-2000:]}")
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

    def prepare(self, folder, tree):
        pass

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

    def prepare(self, folder, tree):
        pass

    def version(self):
        return f"a file system in memory, libfuse {run(['pkg-config', '--modversion', 'fuse3']).strip()}"

    def mount_command(self, folder, tree, point):
        (folder / "requests").unlink(missing_ok=True)
        return Command([self.program, "--stats", folder / "requests", tree, point])

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
                "YESTER_CACHE_DIR": str(folder / "cache"), "YESTER_STATE_DIR": str(folder / "state")}

    def command(self, folder, *words):
        return Command([self.program, *words], self.environment(folder))

    def create(self, folder):
        self.command(folder, "init", "--key-file", folder / "key").run()

    def backup_command(self, folder, tree, name):
        return self.command(folder, "backup", "--quiet", tree)

    def verify_command(self, folder, level="data"):
        return self.command(folder, "verify", "--quiet", "--level", level)

    def restore_command(self, folder, tree, name, target):
        return self.command(folder, "restore", "--quiet", f"latest:{tree}", "--to", target)

    def mount_command(self, folder, tree, point):
        return self.command(folder, "mount", "--foreground", point)

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

    def command(self, folder, *words):
        return Command(["restic", "--quiet", *words], self.environment(folder))

    def create(self, folder):
        (folder / "password").write_text(PASSWORD + "\n")
        self.command(folder, "init").run()

    def backup_command(self, folder, tree, name):
        return self.command(folder, "backup", tree)

    def verify_command(self, folder):
        return self.command(folder, "check", "--read-data")

    def restore_command(self, folder, tree, name, target):
        return self.command(folder, "restore", "latest", "--target", target)

    def restored(self, target, tree):
        return f"{target}{tree}"

    def mount_command(self, folder, tree, point):
        return self.command(folder, "mount", "--no-lock", point)

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

    def command(self, folder, *words, place=None):
        return Command(["borg", *words], self.environment(folder), place)

    def create(self, folder):
        self.command(folder, "init", "--encryption", "repokey-blake2", folder / "repository").run()

    def backup_command(self, folder, tree, name):
        return self.command(folder, "create", "--compression", "lz4", f"{folder / 'repository'}::{name}", tree)

    def verify_command(self, folder):
        return self.command(folder, "check", "--verify-data", folder / "repository")

    def restore_command(self, folder, tree, name, target):
        return self.command(folder, "extract", f"{folder / 'repository'}::{name}", place=target)

    def restored(self, target, tree):
        return f"{target}{tree}"

    def mount_command(self, folder, tree, point):
        return self.command(folder, "mount", "--foreground", f"{folder / 'repository'}::{BACKUP}", point)


class Tar(Peer):
    """What one gets without any backup program: an archive, compressed and encrypted in a pipe."""
    name = "tar"
    is_incremental = False
    encrypting = 'tar -C "$1" -cf - . | zstd -q -1 -T2 | openssl enc -aes-256-ctr -pbkdf2 -pass file:"$2" -out "$3"'
    decrypting = 'openssl enc -d -aes-256-ctr -pbkdf2 -pass file:"$2" -in "$3" | zstd -q -d | tar -C "$1" -xpf -'

    def __init__(self):
        self.missing = missing_program("tar") or missing_program("zstd") or missing_program("openssl")

    def version(self):
        words = [run(["tar", "--version"]).splitlines()[0], "zstd " + run(["zstd", "-qV"]).strip().split()[-1],
                 " ".join(run(["openssl", "version"]).split()[:2])]
        return " | ".join(words)

    def create(self, folder):
        super().create(folder)
        (folder / "password").write_text(PASSWORD + "\n")

    def pipe(self, script, folder, tree, name):
        return Command(["bash", "-o", "pipefail", "-c", script, "bench", tree, folder / "password",
                        folder / "repository" / name])

    def backup_command(self, folder, tree, name):
        return self.pipe(self.encrypting, folder, tree, name)

    def restore_command(self, folder, tree, name, target):
        return self.pipe(self.decrypting, folder, target, name)


class Squashfs(Peer):
    """No backup program, but a compressed image; it is not encrypted."""
    name = "squashfs"
    is_incremental = False

    def __init__(self):
        self.missing = missing_program("mksquashfs") or missing_program("unsquashfs")

    def version(self):
        return run(["mksquashfs", "-version"]).splitlines()[0].split(" (")[0]

    def backup_command(self, folder, tree, name):
        return Command(["mksquashfs", tree, folder / "repository" / name, "-comp", "zstd", "-Xcompression-level", "1",
                        "-no-progress", "-quiet"])

    def restore_command(self, folder, tree, name, target):
        return Command(["unsquashfs", "-force", "-no-progress", "-dest", target, folder / "repository" / name])


class Squashfuse(Squashfs):
    """A fast reader of such an image with low-level FUSE."""
    name = "squashfuse"

    def __init__(self):
        self.program = shutil.which("squashfuse_ll") or "squashfuse"
        self.missing = missing_program(self.program) or missing_program("mksquashfs")

    def version(self):
        # It knows no option for that, and its usage is a failure.
        ran = subprocess.run([self.program], capture_output=True, check=False)
        return (ran.stderr + ran.stdout).decode().splitlines()[0].split(" (c)")[0]

    def mount_command(self, folder, tree, point):
        return Command([self.program, "-f", folder / "repository" / BACKUP, point])

    def place(self, tree):
        return ""


def missing_program(program):
    return None if shutil.which(program) else f"{program} is not installed"


MAKERS = {"restic": Restic, "borg": Borg, "tar": Tar, "squashfs": Squashfs, "squashfuse": Squashfuse, "limit": Limit,
          "none": NoFuse}
# Those that can be compared, in the order of the table; yester comes first.
MOUNTING = ("yester", "restic", "borg", "squashfuse", "limit", "none")
WRITING = ("yester", "restic", "borg", "tar", "squashfs")


def builds(also=()):
    """yester itself, and the other builds of it that --also names."""
    found = [Yester("yester", os.environ.get("YESTER_BIN") or ROOT / ".build" / "release")]
    for pair in also:
        name, equals, programs = pair.partition("=")
        if not (name and equals and programs) or name in MAKERS or name in [build.name for build in found]:
            raise Failure(f"--also wants NAME=FOLDER with a name of its own, not {pair}")
        found.append(Yester(name, programs))
    return found


def chosen_peers(names, options, work):
    """Those of the peers named that can be measured here and are wanted; says which are left out, and why."""
    found = builds(options.also)
    others = [name for name in names if name != "yester"]
    wanted = options.only.split(",") if options.only else [*names, *[build.name for build in found]]
    unknown = set(wanted) - {build.name for build in found} - set(others)
    if unknown:
        raise Failure(f"there is no peer called {', '.join(sorted(unknown))}")
    peers = [build for build in found if build.name in wanted or build.name != "yester"]
    peers += [MAKERS[name](work) if name == "limit" else MAKERS[name]() for name in others if name in wanted]
    return usable(peers)


def usable(peers):
    for peer in peers:
        if peer.missing:
            say(f"{peer.name} is left out: {peer.missing}")
    found = [peer for peer in peers if not peer.missing]
    if not found:
        raise Failure("there is nothing to measure")
    return found


# Backups of trees

def folder_of(work, peer, tree):
    """Where a peer keeps what belongs to a tree."""
    return work / f"{peer.name}-{hashlib.sha256(os.fsencode(tree)).hexdigest()[:8]}"


def prepare(title, tree, peers, work, made):
    """Makes the backups of a tree that are not there yet; appends to `made` the folders that it makes."""
    for peer in peers:
        folder = folder_of(work, peer, tree)
        # Written at the end, so that nobody takes an unfinished backup for one.
        finished = folder / "finished"
        if finished.exists():
            continue
        shutil.rmtree(folder, ignore_errors=True)
        made.append(folder)
        folder.mkdir(parents=True)
        if peer.makes_backups:
            say(f"{title}: making a backup with {peer.name}")
        peer.prepare(folder, tree)
        finished.touch()


def give_up(made, work, is_kept):
    """Removes the backups that were made, unless the next run is to find them."""
    if is_kept:
        say(f"The backups are kept in {work}.")
    for folder in made if not is_kept else []:
        shutil.rmtree(folder, ignore_errors=True)
