#!/usr/bin/env bash
# Builds the program for the Raspberry Pi; the last line that it prints is the program's path.
#
#     cross/build.sh aarch64 [--static]     64-bit systems: Zero 2, Pi 3, 4, 5
#     cross/build.sh armv7 [--static]       32-bit systems: Pi 2 and later
#
# The program runs on the oldest CPU of its kind and finds out at run time what the others can do. It needs the
# C library of the machine that it was built on, or a newer one; --static makes it independent of any.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -ge 1 ] || fail "usage: cross/build.sh aarch64|armv7 [--static]"
target=$(target_of "$1") || exit
options=()
profile=release
case ${2:-} in
    '') ;;
    # A directory of its own: neither kind is rebuilt because of the other.
    --static)
        profile=static
        options=(--config "target.$target.rustflags = ['-C', 'target-feature=+crt-static']"
            --config "profile.static.inherits = 'release'") ;;
    *) fail "unknown option '$2'; known is --static" ;;
esac
cargo_for "$target" build --locked --bin ocellus --profile "$profile" "${options[@]}"
echo "$root/target-cross/$target/$profile/ocellus"
