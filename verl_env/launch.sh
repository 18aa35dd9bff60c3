#!/bin/sh
# bin/verl-env: starts verl-env with the Python that it was installed for, isolated (python -I) from PYTHONHOME,
# PYTHONPATH, the user's packages and the current directory, before that Python has read any of them. Installers copy
# this file as it is. The environment's variables stay, so that the doctor can report them.
self=$0
case $self in */*) ;; *) self=$(command -v -- "$self") ;; esac
[ -L "$self" ] && self=$(readlink -f -- "$self")
bin=${self%/*}
run='from verl_env.cli.main import run; run()'

for info in "${bin%/*}"/lib*/python3*/*-packages/verl_env-*.dist-info; do
    site=${info%/*}
    version=${site%/*}
    version=${version##*/}
    [ -x "$bin/$version" ] && exec "$bin/$version" -I -c "$run" "$@"
    # Packages of a user, or of a prefix without a Python: it is one of PATH, which must be told where they are.
    found=$(command -v -- "$version") && exec "$found" -I -c '
import sys
path, site = sys.path, sys.argv.pop(1)
at = next((n for n, entry in enumerate(path) if entry.endswith("-packages")), len(path))
path.insert(at, site)
'"$run" "$site" "$@"
done
for python in "$bin/python" "$bin/python3" python3; do
    found=$(command -v -- "$python") && exec "$found" -I -c "$run" "$@"
done
echo "verl-env: no Python beside $self" >&2
exit 2
