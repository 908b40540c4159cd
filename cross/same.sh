#!/usr/bin/env bash
# Checks that the objects of a picture are the same bytes on this machine and on emulated Raspberry Pis.
#
#     cross/same.sh PICTURE [CPU ...]      default: cortex-a53 cortex-a72 cortex-a76 max cortex-a7
#
# The programs are those of cross/build.sh, with the model that is in them, on every instruction set of each CPU. Prints the
# checksum of each line of JSON without its times.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -ge 1 ] || fail "usage: cross/same.sh PICTURE [CPU ...]"
picture=$(realpath "$1")
[ -r "$picture" ] || fail "no picture $picture"
shift
[ $# -gt 0 ] || set -- cortex-a53 cortex-a72 cortex-a76 max cortex-a7

# sums NAME COMMAND ...: a line for every instruction set that the program finds.
sums() {
    local name=$1 isa line
    for isa in scalar avx2 avxvnni avx512vnni amx neon dotprod i8mm; do
        line=$("${@:2}" detect --isa "$isa" --format json "$picture" 2>"$work/said") || {
            grep -q 'this CPU lacks' "$work/said" || fail "$name, $isa: $(cat "$work/said")"
            continue
        }
        [[ $line = *'"class":'* ]] || fail "$name, $isa: no objects in $line"
        printf '%-12s %-11s %s\n' "$name" "$isa" "$(sed -E 's/,"ms":\{[^}]*\}//' <<<"$line" | sha256sum | cut -c 1-64)"
    done
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=$("$root/cross/build.sh" x86_64 | tail -1)
sums x86-64 "$program" | tee "$work/sums"
for cpu; do
    case $(target_of_cpu "$cpu") in
        armv7*) arch=armv7 emulator=(qemu-arm-static -L /usr/arm-linux-gnueabihf) ;;
        *) arch=aarch64 emulator=(qemu-aarch64-static -L /usr/aarch64-linux-gnu) ;;
    esac
    program=$("$root/cross/build.sh" "$arch" | tail -1)
    sums "$cpu" "${emulator[@]}" -cpu "$cpu" "$program" | tee -a "$work/sums"
done
[ "$(awk '{ print $3 }' "$work/sums" | sort -u | wc -l)" = 1 ] || fail "the objects differ"
echo "the same $(wc -l <"$work/sums") times"
