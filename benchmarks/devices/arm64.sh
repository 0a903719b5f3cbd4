#!/bin/sh
# The wheel on arm64, by emulation: the same decoded weights bit for bit, the same outputs to 1e-5, and what a device installs.
#
#     apt-get install debootstrap qemu-user-static          (as root, on an x86-64 Debian)
#     sh benchmarks/devices/arm64.sh WORK --light --nodes MODEL.onnx...
#
# WORK is a folder to build in (about 1 GB; kept, so that a second run starts at once). The models, ONNX's light ones and ONNX's
# node tests are packed here and run in an arm64 Debian root with the aarch64 wheels of the dependencies. Emulation is slow: with
# ONE_IN=10 in the environment, only one in ten of the node tests runs.
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

"$python" -m pip wheel --quiet --no-deps --wheel-dir "$work" "$here/../.."
rm -rf "$root$site"
"$python" -m pip install --quiet --target "$root$site" --only-binary=:all: --implementation cp --python-version 3.11 \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
    "$work"/tersor-*.whl

mkdir -p "$root/opt/case"
"$python" "$here/cases.py" "$root/opt/case" "$@"
cp "$here/conformance.py" "$root/opt/case/"

# Numba asks the host for the processor's name; under emulation that is the wrong one.
arm64() {
    qemu-aarch64-static -L "$root" -cpu max -E NUMBA_CPU_NAME=cortex-a72 -E NUMBA_CPU_FEATURES=+neon \
        -E TERSOR_CACHE_DIR="$root/opt/cache" \
        -E PYTHONPATH="$root$site" -E PYTHONDONTWRITEBYTECODE=1 "$root/usr/bin/python3" -S "$@"
}

arm64 -c 'import platform, sys; print(platform.machine(), sys.version.split()[0])'
arm64 "$root/opt/case/conformance.py" "$root/opt/case" "${ONE_IN:-1}"

echo "installed, MB: $(du -sm "$root$site" | cut -f1), of which"
du -sm "$root$site"/* | sort -rn | head -6 | sed "s#$root$site/##"
