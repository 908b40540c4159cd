#!/usr/bin/env bash
# Builds the program for the Raspberry Pi; the last line that it prints is the program's path.
#
#     cross/build.sh aarch64 [--static] [--names]     64-bit systems: Zero 2, Pi 3, 4, 5
#     cross/build.sh armv7 [--static] [--names]       32-bit systems: Pi 2 and later
#     cross/build.sh x86_64 [--static] [--names]      PCs
#
# The program runs on the oldest CPU of its kind and finds out at run time what the others can do. It needs glibc
# 2.28 or newer (Debian 10, Raspberry Pi OS "bullseye"); --static makes it independent of any. --names prints the path of
# the same program with the names of its functions, for whoever counts or checks its instructions.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -ge 1 ] || fail "usage: cross/build.sh aarch64|armv7|x86_64 [--static] [--names]"
target=$(target_of "$1") || exit
# Paths of this machine are not part of the program.
flags="'--remap-path-prefix=$root=ocellus', '--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo'"
profile=release
build=(zigbuild_for "$target")
names=
for option in "${@:2}"; do
    case $option in
        # A directory of its own: neither kind is rebuilt because of the other.
        --static)
            profile=static
            build=(cargo_for "$target" build)
            flags+=", '-Ctarget-feature=+crt-static'" ;;
        --names) names=1 ;;
        *) fail "unknown option '$option'; known are --static, --names" ;;
    esac
done
"${build[@]}" --locked --bin ocellus --profile "$profile" --config "target.$target.rustflags = [$flags]" \
    --config "profile.static.inherits = 'release'" --config 'profile.release.strip = false'
program=$root/target-cross/$target/$profile/ocellus
if [ -z "$names" ]; then
    mkdir -p "$(dirname "$program")/stripped"
    "$(binutils_of "$1")strip" -o "$(dirname "$program")/stripped/ocellus" "$program"
    program=$(dirname "$program")/stripped/ocellus
fi
echo "$program"
