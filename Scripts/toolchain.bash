# Finds the Swift compiler and installs what it lacks. Sourced by common.bash.

swift_wanted=6.3
swift_page=https://www.swift.org/install/linux/

# Every program called swift: the one that SWIFT names and no other, or those on PATH and then in the usual places.
# The first need not be the compiler: OpenStack's client has the same name.
swift_candidates() {
  if [[ -n ${SWIFT:-} ]]; then
    type -P "$SWIFT" || printf '%s\n' "$SWIFT"
    return
  fi
  local path home=${HOME:-/root}
  {
    type -ap swift || true
    for path in "$home"/.swiftly/bin "$home"/.local/share/swiftly/{bin,toolchains/*/usr/bin} "$home"/swift*/usr/bin \
      {/opt,/usr/local}/{,*/}usr/bin {/opt,/usr/local}/*/bin {/usr/lib,/usr/libexec,/usr/share}/swift*/{,usr/}bin; do
      if [[ -f $path/swift && -x $path/swift ]]; then printf '%s\n' "$path/swift"; fi
    done
  } | awk '!seen[$0]++'
}

# Whether this program is a Swift compiler that is new enough. Sets swift_version, or why_not to one line.
is_wanted_swift() {
  local said status=0
  said=$("$1" --version 2>&1 </dev/null) || status=$?
  swift_version=$(sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' <<<"$said" | head -n 1)
  if [[ $status -ne 0 ]]; then
    why_not="it fails with status $status: $(grep . <<<"$said" | tail -n 1)"
  elif [[ -z $swift_version ]]; then
    why_not="it is another program, which says: $(grep . <<<"$said" | head -n 1)"
  elif [[ $(printf '%s\n' "$swift_wanted" "$swift_version" | sort -V | head -n 1) != "$swift_wanted" ]]; then
    why_not="it is Swift $swift_version"
  else
    return 0
  fi
  return 1
}

# The folder of a toolchain's programs; nothing where this swift belongs to none. A manager of toolchains has to be
# asked; a toolchain that does not start is known by what lies beside it.
toolchain_of() {
  local folder resources
  folder=$(dirname "$(readlink -f "$1")")
  if [[ -x $folder/swift-frontend ]]; then
    printf '%s\n' "$folder"
    return
  fi
  resources=$("$1" -print-target-info 2>/dev/null </dev/null | sed -n 's/.*"runtimeResourcePath": "\(.*\)".*/\1/p')
  if [[ -n $resources && -d $resources/../../bin ]]; then (cd "$resources/../../bin" && pwd); fi
}

# The programs of a toolchain that are needed here.
programs_of() {
  local program
  for program in swift-driver swift-frontend swift-package swift-format swift-autolink-extract clang ld.lld; do
    if [[ -x $1/$program ]]; then printf '%s\n' "$1/$program"; fi
  done
}

# Installs the libraries that a toolchain lacks. Fails when there is one that nothing has.
complete_toolchain() {
  local programs
  if [[ $1 == "${unusable:-}" ]]; then return 1; fi
  mapfile -t programs < <(programs_of "$1")
  if need_libraries "${programs[@]}"; then return; fi
  unusable=$1
  printf 'The toolchain in %s cannot be used: no package of this system has %s.
  Install that by hand, or take a toolchain that was made for this system: %s\n' \
    "$1" "${missing[*]}" "$swift_page" >&2
  return 1
}

# The packages that programs are linked with. Needs fresh lists of packages.
linking_packages() {
  local release
  printf 'binutils\n'
  if ! command -v apt-get >/dev/null; then return; fi
  # Since Debian 13 the linker that Swift takes is a package of its own.
  if is_offered binutils-gold; then printf 'binutils-gold\n'; fi
  # The C++ library of the system's own compiler. It brings the C library, and with what programs begin and end.
  release=$(LC_ALL=C apt-cache depends g++ | sed -n 's/^ *Depends: g++-\([0-9]*\)$/\1/p' | head -n 1)
  if [[ -n $release ]]; then printf 'libstdc++-%s-dev\n' "$release"; fi
}

# Builds a program of one line, as the real ones are built. Fails with what the compiler says.
try_swift() {
  local work status=0
  work=$(mktemp -d)
  echo 'print("works")' >"$work/try.swift"
  {
    "$(dirname "$SWIFT")/swiftc" -static-stdlib -o "$work/try" "$work/try.swift" && [[ $("$work/try") == works ]]
  } 2>&1 || status=$?
  rm -rf "$work"
  return "$status"
}

# Sets SWIFT to the first compiler that is new enough; fails, with why_not telling of each, when there is none.
find_swift() {
  local candidate found=1 tried=()
  while read -r candidate; do
    if is_wanted_swift "$candidate"; then
      SWIFT=$candidate
      export SWIFT
      found=0
      break
    fi
    tried+=("  $candidate: $why_not")
  done < <(swift_candidates)
  if [[ $found -ne 0 ]]; then why_not=$(printf '%s\n' "${tried[@]}"); fi
  return "$found"
}

# Sets SWIFT to a compiler that works, after installing what it lacks.
need_swift() {
  local candidate folder said
  if ! find_swift; then
    # A toolchain that was only unpacked does not even tell its version when libraries are missing.
    while read -r candidate; do
      folder=$(toolchain_of "$candidate")
      if [[ -n $folder ]] && complete_toolchain "$folder" && is_wanted_swift "$candidate"; then break; fi
    done < <(swift_candidates)
    if ! find_swift; then
      fail "Swift $swift_wanted or later is needed, and there is none on PATH or in the usual places.${why_not:+
$why_not}
  Install it from $swift_page, or name the program in the variable SWIFT."
    fi
  fi
  folder=$(toolchain_of "$SWIFT")
  if [[ -n $folder ]]; then complete_toolchain "$folder" || exit 1; fi
  if ! said=$(try_swift); then
    printf 'Nothing can be linked here yet.\n'
    if command -v apt-get >/dev/null; then update_lists; fi
    need_packages $(linking_packages)
    said=$(try_swift) || fail "$SWIFT builds no programs here. It says:
$said"
  fi
  printf 'Swift %s, %s\n' "$swift_version" "$SWIFT"
}
