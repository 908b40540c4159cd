#!/usr/bin/env bash
# Counts the instructions of one inference on an emulated Raspberry Pi, per function.
#
#     cross/count.sh CPU MODEL PICTURE [detect's options ...]
#     cross/count.sh cortex-a72 v5lite-e.param bus.jpg --isa neon
#
# CPU is one that qemu knows; cortex-a7 is a 32-bit one.
#
# Needs no hardware and says the same each time. What a run takes once, such as loading, is subtracted: the
# program runs with the picture once and three times, and half of the difference is reported.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -ge 3 ] || fail "usage: cross/count.sh CPU MODEL PICTURE [detect's options ...]"
cpu=$1 model=$2 picture=$3
shift 3
case $(target_of_cpu "$cpu") in
    armv7*) arch=armv7 emulator=(qemu-arm -L /usr/arm-linux-gnueabihf) ;;
    *) arch=aarch64 emulator=(qemu-aarch64 -L /usr/aarch64-linux-gnu) ;;
esac
out=$root/target-cross/count
mkdir -p "$out"
gcc -O2 -shared -fPIC -o "$out/icount.so" "$root/cross/icount.c"
program=$("$root/cross/build.sh" "$arch" --names | tail -1)

count() {
    nice "${emulator[@]}" -cpu "$cpu" -plugin "$out/icount.so,top=100000" -d plugin \
        -D "$out/log" "$program" detect --threads 1 --format json \
        --model "$model" "${options[@]}" "$@" >/dev/null
    c++filt -s rust <"$out/log"
}
options=("$@")
count "$picture" >"$out/once"
count "$picture" "$picture" "$picture" >"$out/thrice"

echo "million instructions per picture on $cpu:"
# Functions of the same name, such as the doors of several tiles, add up.
awk '{ name = substr($0, 16); sub(/::h[0-9a-f]+$/, "", name) }
     NR == FNR { count[name] -= $1; next }
     { count[name] += $1 }
     END { for (name in count) if (count[name] > 20000) printf "%10.3f %s\n", count[name] / 2e6, name }' \
    "$out/once" "$out/thrice" | sort -rn | head -25
