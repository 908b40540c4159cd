#!/usr/bin/env bash
# Checks that the program for 64-bit Raspberry Pis runs on the oldest one: instructions that came after ARMv8.0 stand only in
# functions that are called where the CPU has been found to know them.
#
#     cross/check.sh
#
# Prints the kind of program, the C library that it needs, and the functions with newer instructions; fails where these are
# not the kernels' or the C compiler's own, which both ask the CPU first.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

target=$(target_of aarch64)
# The program as it is released, but with the names of its functions.
cargo_for "$target" build --locked --quiet --bin ocellus --profile count \
    --config "profile.count.inherits = 'release'" --config 'profile.count.strip = false'
program=$root/target-cross/$target/count/ocellus
released=$root/target-cross/$target/release/ocellus
if [ -x "$released" ]; then
    file -b "$released" 2>/dev/null || true
    echo "glibc: $(readelf -V "$released" | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -1), $(stat -c %s "$released") bytes"
fi
# Dot and matrix products of bytes; atomic instructions of ARMv8.1.
newer='^(sdot|udot|usdot|smmla|ummla|usmmla|cas[abhl]*|casp[al]*|swp[abhl]*|ld(add|clr|eor|set|smax|smin|umax|umin)[abhl]*)$'
aarch64-linux-gnu-objdump -d --no-show-raw-insn "$program" \
    | awk -v newer="$newer" '
        /^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3); next }
        $2 ~ newer { count[name]++ }
        END { for (name in count) print count[name], name }' \
    | c++filt -s rust | sed -E 's/::h[0-9a-f]{16}$//' | sort -k2 >"$root/target-cross/newer"
echo "functions with newer instructions:"
awk '{ print $2 }' "$root/target-cross/newer" | sed -E 's/<.*//; s/::[a-z_0-9]*$//' | sort | uniq -c
others=$(grep -vE '^[0-9]+ (__aarch64_|.*(dotprod|i8mm|dot_product|matrix))' "$root/target-cross/newer" || true)
[ -z "$others" ] || fail "newer instructions in functions that do not ask the CPU:"$'\n'"$others"
echo "ok"
