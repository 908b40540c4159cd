#!/usr/bin/env bash
# Builds the program for the Raspberry Pi; the last line that it prints is the program's path.
#
#     cross/build.sh aarch64 [--static]     64-bit systems: Zero 2, Pi 3, 4, 5
#     cross/build.sh armv7 [--static]       32-bit systems: Pi 2 and later
#     cross/build.sh x86_64 [--static]      PCs
#
# The program runs on the oldest CPU of its kind and finds out at run time what the others can do. It needs glibc
# 2.28 or newer (Debian 10, Raspberry Pi OS "bullseye"); --static makes it independent of any.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -ge 1 ] || fail "usage: cross/build.sh aarch64|armv7|x86_64 [--static]"
target=$(target_of "$1") || exit
# Paths of this machine are not part of the program.
flags="'--remap-path-prefix=$root=ocellus', '--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo'"
case ${2:-} in
    '')
        profile=release
        build=(zigbuild_for "$target") ;;
    # A directory of its own: neither kind is rebuilt because of the other.
    --static)
        profile=static
        build=(cargo_for "$target" build)
        flags+=", '-Ctarget-feature=+crt-static'" ;;
    *) fail "unknown option '$2'; known is --static" ;;
esac
"${build[@]}" --locked --bin ocellus --profile "$profile" \
    --config "target.$target.rustflags = [$flags]" --config "profile.static.inherits = 'release'"
echo "$root/target-cross/$target/$profile/ocellus"
