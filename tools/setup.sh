#!/usr/bin/env bash
# What the Makefile needs before it can run anything. Each command says what it does in one line, changes nothing when
# there is nothing to do, and may be interrupted and run again.
#   tools/setup.sh gl               a GL library that renders off screen, installed with apt-get where this is root on Debian
#   tools/setup.sh venv [FOLDER]    .venv, or FOLDER, with hdream[$EXTRAS] at the versions of $CONSTRAINTS
#   tools/setup.sh slurm            Slurm, for the tests that need a cluster, likewise; goes on where that cannot be
#   tools/setup.sh python [lowest]  print the Python that .venv is made with, or the oldest one here that is supported
# Environment: PYTHON (an interpreter), EXTRAS, CONSTRAINTS (a file; empty: newest versions), PIP_ARGS (to pip install).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
if [ "${1-}" = venv ]; then venv=${2:-.venv}; fi
stamp=$venv/hdream-installed     # what the last complete install was made from
marker=$venv/hdream-installing   # there while an install runs; found at the start, that install was interrupted
extras=${EXTRAS-test,dmc,atari,tensorboard,cluster}
constraints=${CONSTRAINTS-constraints.txt}
gl_packages=(libegl1 libgl1-mesa-dri libgl1) # libgl1: MuJoCo's EGL backend takes its GL functions from there
osmesa_package=libosmesa6                    # where EGL finds no device; newer releases no longer have it
slurm_packages=(slurm-wlm munge)

say() { printf 'hdream: %s\n' "$*"; }
die() { printf 'hdream: %s\n' "$*" >&2; exit 1; }

# The supported Python versions stand in pyproject.toml alone.
read -r min end < <(sed -nE 's/^requires-python = ">=3\.([0-9]+),<3\.([0-9]+)"$/\1 \2/p' pyproject.toml) \
    || die 'pyproject.toml must have a line such as: requires-python = ">=3.11,<3.14"'
supported="Python 3.$min to 3.$((end - 1))"

have_apt() { command -v apt-get >/dev/null; }
apt_has() { apt-cache show "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" = 0 ]; }

apt_install() {
    local log
    say "running apt-get update and apt-get install $*"
    log=$(mktemp)
    # A third-party source that is down must not stand in the way; a fresh machine may be upgrading itself just now.
    if ! { apt-get update || true
           DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
         } </dev/null >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        die "apt-get could not install $*"
    fi
    rm -f "$log"
}

supports() { # whether interpreter $1 runs and has a supported version
    "$1" -c "import sys; sys.exit(not (3, $min) <= sys.version_info[:2] < (3, $end))" >/dev/null 2>&1
}

find_python() {
    local candidate candidates=(python3)
    if [ -n "${PYTHON:-}" ]; then
        candidates=("$PYTHON")
    else
        for ((minor = end - 1; minor >= min; minor--)); do
            if [ "${1-}" = lowest ]; then
                candidates=("python3.$minor" "${candidates[@]}")
            else
                candidates+=("python3.$minor")
            fi
        done
    fi
    for candidate in "${candidates[@]}"; do
        if supports "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    if [ -n "${PYTHON:-}" ]; then die "PYTHON=$PYTHON does not run or is not $supported"; fi
    if have_apt; then
        die "needs $supported, found none of: ${candidates[*]} (try: sudo apt-get install python3 python3-venv)"
    fi
    die "needs $supported, found none of: ${candidates[*]}"
}

# Debian and Ubuntu keep ensurepip, which venv needs, in a package of its own.
has_venv_module() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }
venv_package() { "$1" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])'; }

ensure_venv_module() {
    local python=$1 package
    if has_venv_module "$python"; then return; fi
    package=$(venv_package "$python")
    have_apt || die "$python has no venv module; install it, or choose another Python with PYTHON=..."
    is_root || die "$python has no venv module; run: sudo apt-get install $package"
    apt_install "$package"
    has_venv_module "$python" || die "$python has no venv module; choose another with PYTHON=..."
}

make_venv() {
    local python reason want
    exec 9<pyproject.toml # one setup at a time in this folder, where flock exists
    if command -v flock >/dev/null; then flock 9 2>/dev/null || true; fi

    want="$PWD [$extras] $constraints $(cat pyproject.toml ${constraints:+"$constraints"} | cksum)"
    if supports $venv/bin/python && [ "$(cat $stamp 2>/dev/null)" = "$want" ]; then
        say "$venv is up to date"
        return
    fi
    reason=
    if [ -e $marker ]; then
        reason=", as the last install was interrupted"
    elif [ -e $venv ] && ! { supports $venv/bin/python && $venv/bin/python -m pip --version >/dev/null 2>&1; }; then
        reason=", as the one here is broken or not of $supported"
    fi
    if [ -n "$reason" ] || [ ! -e $venv ]; then
        python=$(find_python)
        ensure_venv_module "$python"
        say "making $venv with $python ($("$python" --version 2>&1))$reason"
        rm -rf $venv
        mkdir $venv
        touch $marker
        "$python" -m venv $venv || die "$python -m venv $venv failed"
    fi
    rm -f $stamp
    touch $marker
    say "installing hdream[$extras] into $venv (minutes the first time; tail -f $venv/install.log to watch)"
    # shellcheck disable=SC2086  # PIP_ARGS is a list of words
    if ! $venv/bin/python -m pip install --no-input --disable-pip-version-check \
        ${constraints:+-c "$constraints"} $PIP_ARGS -e ".[$extras]" >$venv/install.log 2>&1; then
        rm -f $marker # pip undoes an install that fails: the environment is as it was
        { grep -v ^WARNING $venv/install.log || true; } | tail -n 15 >&2
        die "the install failed; all that pip said is in $venv/install.log"
    fi
    printf '%s\n' "$want" >$stamp
    rm -f $marker
}

ensure_gl() {
    local python found
    if supports $venv/bin/python; then python=$venv/bin/python; else python=$(find_python); fi
    if found=$("$python" tools/check_gl.py); then
        say "renders off screen with $found"
        return
    fi
    say "cannot render off screen yet ($found)"
    have_apt || die "install Mesa's EGL or OSMesa library with this system's package manager"
    if ! is_root; then
        if apt_has $osmesa_package; then gl_packages+=("$osmesa_package"); fi
        if ! has_venv_module "$python"; then gl_packages+=("$(venv_package "$python")"); fi # ask once, not twice
        die "run: sudo apt-get install ${gl_packages[*]}"
    fi
    apt_install "${gl_packages[@]}"
    if ! found=$("$python" tools/check_gl.py) && apt_has $osmesa_package; then
        apt_install $osmesa_package
        found=$("$python" tools/check_gl.py) || true
    fi
    "$python" tools/check_gl.py >/dev/null || die "still cannot render off screen: $found"
    say "renders off screen with $found"
}

ensure_slurm() {
    local path=$PATH:/usr/sbin:/sbin program missing=
    for program in munged slurmctld slurmd sbatch squeue; do
        PATH=$path command -v $program >/dev/null || missing=$program
    done
    if [ -z "$missing" ]; then
        say "Slurm is here"
    elif ! have_apt || ! is_root; then
        say "no Slurm here, so the tests that need it skip (as root on Debian: apt-get install ${slurm_packages[*]})"
    elif ! (apt_install "${slurm_packages[@]}"); then
        say "goes on without Slurm; the tests that need it skip"
    fi
}

PIP_ARGS=${PIP_ARGS-}
trap 'exit 130' INT TERM # so that an interrupted install leaves its marker
case ${1-} in
    gl) ensure_gl ;;
    venv) make_venv ;;
    slurm) ensure_slurm ;;
    python) find_python "${2-}" ;;
    *) die "usage: tools/setup.sh gl | venv | slurm | python" ;;
esac
