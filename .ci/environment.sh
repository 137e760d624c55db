#!/bin/sh
# Make the virtual environment named by $1 with the first Python that is new enough; PYTHON=/path chooses one.
set -eu

target=$1

if [ -x "$target/bin/python" ] && "$target/bin/python" -m pip --version >/dev/null 2>&1 &&
   "$target/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  exit 0
fi

for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3.14 python3 python; do
  if command -v "$candidate" >/dev/null 2>&1 &&
     "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
    echo "Building the environment in $target with $("$candidate" --version) (once; a few minutes) …"
    rm -rf "$target"
    if "$candidate" -m venv "$target" >/dev/null 2>&1 && "$target/bin/python" -m pip --version >/dev/null 2>&1; then
      exit 0
    fi
    rm -rf "$target"
    echo "$candidate can't make a virtual environment. Install its venv module (on Debian and Ubuntu: apt install python3-venv) and try again." >&2
    exit 1
  fi
done

echo "Rapport needs Python 3.11 or newer, and none was found. Install it, or say where it is: make run PYTHON=/path/to/python3.11" >&2
exit 1
