"""Large things to back up, made by a program in C: files by the million, and files of any size."""

import pathlib
import shutil

from .system import Failure, run

SOURCE = pathlib.Path(__file__).resolve().parent / "generate.c"


class Generator:
    """The program, compiled into a folder."""

    def __init__(self, folder):
        compiler = shutil.which("gcc") or shutil.which("cc")
        if not compiler:
            raise Failure("there is no C compiler (gcc), which is needed to make files")
        self.program = folder / "generate"
        run([compiler, "-O2", "-Wall", "-Wextra", "-o", self.program, SOURCE])

    def files(self, folder, count, each):
        """Files of a few bytes, `each` of them in a directory."""
        run([self.program, "files", folder, count, each])

    def large(self, file, size):
        """A file that compresses to less than a half."""
        run([self.program, "large", file, size])

    def sparse(self, file, size):
        """A file with few islands of data."""
        run([self.program, "sparse", file, size])
