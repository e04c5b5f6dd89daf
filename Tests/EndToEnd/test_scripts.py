"""The scripts find the Swift compiler and say what is wrong with others; programs that are built are installed as they are."""

import os
import shutil
import unittest

from support.cases import EndToEndTest
from support.machine import BIN, ROOT, run

COMMON = ROOT / "Scripts" / "common.bash"
OPENSTACK = "echo python-swiftclient 4.2.0"
# A compiler that tells its version, and builds what is to be tried.
COMPILER = """
case $(basename "$0") in
  swift) echo "Swift version $VERSION (swift-$VERSION-RELEASE)" ;;
  swiftc)
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\necho works\\n' > "$2"
    chmod +x "$2"
    ;;
esac
"""


class Scripts(EndToEndTest):
    def fake(self, folder, script, version="6.3.1"):
        """Makes a program called swift, and the compiler beside it."""
        place = self.temp / folder
        place.mkdir(parents=True)
        for name in ("swift", "swiftc"):
            (place / name).write_text(f"#!/bin/sh\nVERSION={version}\n{script}\n")
            (place / name).chmod(0o755)
        return place / "swift"

    def bash(self, script, *path, **variables):
        """Runs a script with the functions of all scripts, and only these folders before those of the system."""
        environment = {"PATH": ":".join([*(str(place.parent) for place in path), "/usr/sbin:/usr/bin:/sbin:/bin"]),
                       "HOME": str(self.temp), **{name: str(value) for name, value in variables.items()}}
        return run(["bash", "-euo", "pipefail", "-c", f'source "{COMMON}"; {script}'], env=environment)

    def test_the_compiler_is_found_behind_another_program(self):
        client, old, good = (self.fake("client", OPENSTACK), self.fake("old", COMPILER, "5.10"),
                             self.fake("good", COMPILER, "6.3"))
        ran = self.bash('need_swift; echo "$SWIFT"', client, old, good)
        self.assertEqual((ran.status, ran.err), (0, ""), ran)
        self.assertEqual(ran.out.split(), ["Swift", "6.3,", str(good), str(good)])

    def test_the_compiler_is_found_where_it_is_usually_unpacked(self):
        client, good = self.fake("client", OPENSTACK), self.fake("swift-6.4-RELEASE-debian12/usr/bin", COMPILER, "6.4")
        ran = self.bash('find_swift; echo "$SWIFT"', client)
        # This machine's own may lie in a place that is looked at before or after this one; the client never counts.
        self.assertEqual((ran.status, ran.err), (0, ""), ran)
        self.assertEqual(ran.out.strip(), str(good))

    def test_the_variable_decides(self):
        good, chosen = self.fake("good", COMPILER), self.fake("chosen", COMPILER, "6.10.2")
        ran = self.bash('find_swift; echo "$SWIFT $swift_version"', good, SWIFT=chosen)
        self.assertEqual((ran.status, ran.out.split()), (0, [str(chosen), "6.10.2"]), ran)
        client = self.fake("client", OPENSTACK)
        ran = self.bash("need_swift", good, SWIFT=client)
        self.assertEqual(ran.status, 1, ran)
        self.assertIn(f"{client}: it is another program, which says: python-swiftclient 4.2.0", ran.err)

    def test_what_a_broken_compiler_says_is_shown(self):
        said = "error while loading shared libraries: libmissing.so.7"
        broken = self.fake("broken", f"echo '{said}' >&2; exit 127")
        ran = self.bash("need_swift", SWIFT=broken)
        self.assertEqual(ran.status, 1, ran)
        self.assertIn(f"{broken}: it fails with status 127: {said}", ran.err)
        self.assertIn("Swift 6.3 or later is needed", ran.err)
        # One that tells its version and still cannot build.
        half = self.fake("half", COMPILER.replace("while", "echo 'invalid linker name' >&2; exit 1; while"))
        ran = self.bash("linking_packages() { :; }; update_lists() { :; }; need_swift", SWIFT=half)
        self.assertEqual(ran.status, 1, ran)
        self.assertIn("invalid linker name", ran.err)

    def test_an_old_compiler_is_named_with_its_version(self):
        old = self.fake("old", COMPILER, "6.2.4")
        ran = self.bash("need_swift", SWIFT=old)
        self.assertEqual(ran.status, 1, ran)
        self.assertIn(f"{old}: it is Swift 6.2.4", ran.err)

    def test_packages_of_libraries(self):
        offered = "libncurses6 libsqlite3-0 libcurl4t64 libxml2 libssl3 libfuse3-3"
        ran = self.bash(f"""
            is_offered() {{ [[ " {offered} " == *" $1 "* ]]; }}
            for library in libncurses.so.6 libsqlite3.so.0 libcurl.so.4 libxml2.so.2 libcrypto.so.3 libfuse3.so.3; do
              package_of_library $library
            done
            package_of_library libmissing.so.7""")
        self.assertEqual((ran.status, ran.out.split()), (0, offered.split()), ran)

    def test_missing_libraries_are_told(self):
        program = self.temp / "program"
        shutil.copy(BIN / "yester", program)
        content = program.read_bytes()
        self.assertEqual(content.count(b"libzstd.so.1\0"), 1)
        program.write_bytes(content.replace(b"libzstd.so.1\0", b"libzstd.so.9\0"))
        ran = self.bash(f'update_lists() {{ :; }}; need_libraries "{program}" || echo "none has ${{missing[*]}}"')
        self.assertEqual(ran.status, 0, ran)
        self.assertIn(f"The programs in {self.temp} need libzstd.so.9, which this machine lacks.", ran.out)
        self.assertIn("none has libzstd.so.9", ran.out)

    def test_programs_that_are_built_are_installed_with_what_they_need(self):
        tools = self.temp / "tools"
        tools.mkdir()
        for tool in ("dpkg-query", "apt-get"):
            (tools / tool).write_text(f'#!/bin/sh\necho {tool} "$@" >> "{self.temp}/asked"\n')
            (tools / tool).chmod(0o755)
        destination = self.temp / "root"
        destination.mkdir()
        environment = self.environment(DESTDIR=destination, YESTER_BIN=os.path.relpath(BIN, self.temp),
                                       PATH=f"{tools}:{os.environ['PATH']}")
        ran = run([ROOT / "Scripts" / "install"], env=environment, cwd=self.temp)
        self.assertEqual(ran.status, 0, ran)
        self.assertIn("--no-install-recommends install fuse3\n", (self.temp / "asked").read_text())
        for name in ("yester", "yesterfs"):
            self.assertTrue(os.access(destination / "usr/local/bin" / name, os.X_OK), name)
        ran = run([ROOT / "Scripts" / "install"], env=environment | {"YESTER_BIN": str(self.temp)}, cwd=self.temp)
        self.assertEqual(ran.status, 1, ran)
        self.assertIn("there is no program yester in", ran.err)


if __name__ == "__main__":
    unittest.main()
