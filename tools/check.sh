#!/bin/sh
# What pip cannot install: Python, a C++20 compiler, GNU make and perl. Says every missing thing in one line with its
# remedy and then fails. Usage: tools/check.sh PYTHON MAKE
python=${1:-python3}
make=${2:-make}
cxx=${CXX:-c++}
bad=0

missing() {
    printf 'missing: %s\n' "$1" >&2
    bad=1
}

if ! command -v "$python" >/dev/null 2>&1; then
    missing "Python 3.11 or newer ($python): sudo apt install python3 python3-venv"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    version=$("$python" -c 'import platform; print(platform.python_version())' 2>/dev/null)
    missing "Python 3.11 or newer ($python is ${version:-broken}): install one and run make PYTHON=python3.11"
elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    missing "Python's venv module: sudo apt install python3-venv"
fi

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
if ! command -v "$cxx" >/dev/null 2>&1; then
    missing "a C++20 compiler ($cxx): sudo apt install g++"
elif ! printf '#include <concepts>\nint main() { return std::integral<int> ? 0 : 1; }\n' >"$scratch/a.cpp" ||
    ! "$cxx" -std=c++20 "$scratch/a.cpp" -o "$scratch/a" >/dev/null 2>&1; then
    missing "a compiler that builds C++20 ($cxx does not): install g++ 10 or newer and run make CXX=g++-10"
fi

command -v perl >/dev/null 2>&1 || missing "perl, which Verilator runs in: sudo apt install perl"
case $("$make" --version 2>/dev/null) in
    "GNU Make"*) ;;
    *) missing "GNU make ($make is not): sudo apt install make" ;;
esac
exit $bad
