#!/bin/sh
# The wheel on arm64, by emulation: the same decoded weights bit for bit, the same outputs to 1e-5, and what a device installs.
#
#     apt-get install debootstrap qemu-user-static          (as root, on an x86-64 Debian)
#     sh benchmarks/devices/arm64.sh WORK --light --nodes MODEL.onnx...
#
# WORK is a folder to build in (about 1 GB; kept, so that a second run starts at once). The models, ONNX's light ones and ONNX's
# node tests are packed here and run in an arm64 Debian root with the aarch64 wheels of the dependencies. Emulation is slow:
# kernels are compiled for arm64 outside of it, which takes Python 3.11 here as there. With ONE_IN=10 in the environment, only
# one in ten of the node tests runs, and with CONTINUE=1 nothing is installed and packed anew: an interrupted run goes on.
set -eu

work=$1
shift
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$work/root
site=/opt/site
python=${PYTHON:-python3}

if [ ! -e "$root/usr/bin/python3" ]; then
    mkdir -p "$work"
    debootstrap --arch=arm64 --foreign --variant=minbase --include=python3-minimal,libpython3-stdlib bookworm "$root"
    # The second stage would run every package's scripts under emulation; unpacking is all that Python needs.
    for package in "$root"/var/cache/apt/archives/*python3*.deb "$root"/var/cache/apt/archives/lib*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root"
    done
fi

if [ -z "${CONTINUE:-}" ]; then
    "$python" -m pip wheel --quiet --no-deps --wheel-dir "$work" "$here/../.."
    rm -rf "$root$site"
    "$python" -m pip install --quiet --target "$root$site" --only-binary=:all: --implementation cp --python-version 3.11 \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
        "$work"/tersor-*.whl

    mkdir -p "$root/opt/case"
    "$python" "$here/cases.py" "$root/opt/case" "$@"
    cp "$here/conformance.py" "$root/opt/case/"
fi

# Numba asks the host for the processor's name; under emulation that is the wrong one.
export NUMBA_CPU_NAME=cortex-a72 NUMBA_CPU_FEATURES=+neon TERSOR_CACHE_DIR="$root/opt/cache"
arm64() {
    env -u PYTHONPATH qemu-aarch64-static -L "$root" -cpu max -E PYTHONPATH="$root$site" -E PYTHONDONTWRITEBYTECODE=1 \
        "$root/usr/bin/python3" -S "$@"
}

mkdir -p "$root/opt/requests"
rm -f "$root"/opt/requests/*
"$python" "$here/compile_for.py" "$root/opt/requests" > "$work/compiled.txt" &
trap 'kill $!' EXIT

arm64 -c 'import platform, sys; print(platform.machine(), sys.version.split()[0])'
arm64 "$root/opt/case/conformance.py" "$root/opt/case" --one-in "${ONE_IN:-1}" --requests "$root/opt/requests"

echo "installed, MB: $(du -sm "$root$site" | cut -f1), of which"
du -sm "$root$site"/* | sort -rn | head -6 | sed "s#$root$site/##"
