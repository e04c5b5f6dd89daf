# Functions that the scripts share. Sourced, never run: each script sets its own options.

# The folder that holds Package.swift.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/Scripts/toolchain.bash"

# Says what begins now, with the seconds since the script began.
heading() {
  step=$*
  printf '\n== %s (after %d s)\n' "$step" "$SECONDS"
}
step=start

fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# Whether there is a way to do something as root.
may_be_root() { [[ $EUID -eq 0 ]] || command -v sudo >/dev/null; }

as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "root is needed for: $*. Run that as root, then start this script again."
  fi
}

# Asks the package servers what there is, once in the life of a script.
update_lists() {
  if [[ -n ${lists_are_fresh:-} ]] || ! may_be_root; then return; fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update
  lists_are_fresh=1
}

# Installs those of the Debian packages named that are missing. Where all are there, nothing is asked of the network.
need_packages() {
  local missing=() package
  if ! command -v dpkg-query >/dev/null; then
    printf 'This is no Debian system; please see to it that these are installed: %s\n' "$*" >&2
    return
  fi
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  if [[ ${#missing[@]} -eq 0 ]]; then return; fi
  may_be_root || fail "these packages are missing: ${missing[*]}. As root: apt-get install ${missing[*]}
  Then start this script again."
  printf 'Installing %s\n' "${missing[*]}"
  update_lists
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}"
}

# The shared libraries that programs ask for and that this machine has not got.
missing_libraries() {
  local program
  for program in "$@"; do
    ldd "$program" 2>/dev/null || true
  done | sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/\1/p' | sort -u
}

# Whether the lists of packages have this one.
is_offered() {
  [[ $(LC_ALL=C apt-cache policy "$1" | sed -n 's/^ *Candidate: //p') == [0-9]* ]]
}

# The package that has a shared library. Debian names it after the library: libncurses.so.6 is in libncurses6 and
# libsqlite3.so.0 in libsqlite3-0; some have had a t64 at the end since times have 64 bits, and a few have no number.
package_of_library() {
  local name=${1%%.so.*} version=${1##*.so.} numbered candidate
  name=$(tr 'A-Z_' 'a-z-' <<<"$name")
  # Both libraries of OpenSSL are in one package.
  if [[ $name == libcrypto ]]; then name=libssl; fi
  numbered=$name$version
  if [[ $name == *[0-9] ]]; then numbered=$name-$version; fi
  for candidate in "$numbered" "${numbered}t64" "$name"; do
    if is_offered "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
}

# Installs the shared libraries that programs ask for. Fails when there are some that no package has; `missing` then
# holds these.
need_libraries() {
  local packages=() library package
  mapfile -t missing < <(missing_libraries "$@")
  if [[ ${#missing[@]} -eq 0 ]]; then return; fi
  printf 'The programs in %s need %s, which this machine lacks.\n' "$(dirname "$1")" "${missing[*]}"
  if command -v apt-get >/dev/null; then
    update_lists
    for library in "${missing[@]}"; do
      package=$(package_of_library "$library")
      if [[ -n $package ]]; then packages+=("$package"); fi
    done
    if [[ ${#packages[@]} -gt 0 ]]; then need_packages "${packages[@]}"; fi
    mapfile -t missing < <(missing_libraries "$@")
  fi
  [[ ${#missing[@]} -eq 0 ]]
}

# A mount needs the kernel's FUSE device; without it the most important part could not be tried, so this never passes.
need_fuse() {
  if [[ ! -c /dev/fuse ]]; then
    fail "there is no /dev/fuse, and without it nothing can be mounted.
  On a machine:    modprobe fuse
  In a container:  start it with  --device /dev/fuse --cap-add SYS_ADMIN
                   (and, where AppArmor is in force, --security-opt apparmor=unconfined)"
  fi
  if [[ ! -r /dev/fuse || ! -w /dev/fuse ]]; then
    fail "/dev/fuse may not be used by $(id -un).
  Give it the mode it has on every Debian system:  chmod 0666 /dev/fuse  (as root)"
  fi
}

# Builds the programs as they are installed: with Swift's libraries inside, so that they start faster and run where no
# Swift is. Sets YESTER_BIN to their folder.
build_programs() {
  local build=("$SWIFT" build --package-path "$root" -c release --static-swift-stdlib)
  # Foundation, which a library brings in, has a call of mktemp that nobody makes. The linker of the system warns of
  # it each time, and that of the toolchain does not.
  if [[ -x $(toolchain_of "$SWIFT")/ld.lld ]]; then build+=(-Xswiftc -use-ld=lld); fi
  "${build[@]}" --product yester
  "${build[@]}" --product yesterfs
  YESTER_BIN=$("${build[@]}" --show-bin-path)
  export YESTER_BIN
}

# Sets YESTER_PYTHON to the first python3 that has what Scripts/recover.py and the end-to-end tests need.
need_python() {
  local candidate modules='import cryptography, zstandard'
  find_python() {
    for candidate in ${YESTER_PYTHON:-} $(type -ap python3) /usr/bin/python3; do
      if "$candidate" -c "$modules" 2>/dev/null; then
        YESTER_PYTHON=$candidate
        return 0
      fi
    done
    return 1
  }
  if ! find_python; then
    need_packages python3 python3-cryptography python3-zstandard
    find_python || fail "no python3 on this machine can import cryptography and zstandard"
  fi
  export YESTER_PYTHON
  printf 'Python %s\n' "$YESTER_PYTHON"
}
