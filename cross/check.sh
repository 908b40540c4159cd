#!/usr/bin/env bash
# Checks that the programs for Raspberry Pis run on the oldest one of their kind: instructions that came later stand only in
# functions that are called where the CPU has been found to know them.
#
#     cross/check.sh [aarch64|armv7 ...]      default: both
#     cross/check.sh aarch64 PROGRAM          a program of yours, not stripped
#
# Prints the kind of program and the C library that it needs, and which functions have newer instructions; fails where one of
# them does not ask the CPU first. Which instructions are newer the assembler says, told to know nothing but the oldest
# CPU: ARMv8.0 with NEON and without its optional parts; for 32 bits ARMv7-A with VFPv3 and without NEON.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# disassemble ARCH PROGRAM: lines of function, tab, instruction. Jumps and addresses lose their target, and 32-bit
# instructions say which of the two kinds they are of: those of Thumb are shown in groups of four digits.
disassemble() {
    local plain=()
    # As what they are encoded: a newer name for an old instruction is no newer instruction.
    [ "$1" != aarch64 ] || plain=(-M no-aliases)
    "$(binutils_of "$1")objdump" -d -z "${plain[@]}" "$2" | awk -F '\t' -v arch="$1" '
        /^[0-9a-f]+ <.*>:$/ { name = substr($0, index($0, "<") + 1); sub(/>:$/, "", name); next }
        /^ *[0-9a-f]+:\t/ {
            code = $3 " " $4
            sub(/ *(\/\/|;|@).*/, "", code)
            sub(/[0-9a-f]+ <.*/, ".+8", code)
            sub(/\[pc, #-?[0-9]+\]/, "[pc]", code)
            # Shown in a way that is not read: numbers as they are encoded, one number in braces.
            if (code ~ /^vmov[a-z]*\.f/) sub(/#.*/, "#1.0", code)
            if (code ~ /^m[cr][cr] /) gsub(/[{}]/, "", code)
            # Let through by the assembler without NEON.
            if (code ~ /^(v(ld|st)[1-4]\.|vcvt[bt])/) code = "neon_" code
            # What the disassembler does not know is shown as a number.
            sub(/^\.inst /, "unknown ", code)
            kind = arch == "aarch64" ? "" : substr($2, 5, 1) == " " ? ".thumb; " : ".arm; "
            if (code !~ /^(\.|it[te]* )/) print name "\t" kind code
        }'
}

# refused ARCH: of the instructions in standard input, those that the oldest CPU lacks.
refused() {
    local cpu=(-march=armv8-a) no='selected .* does not support|unknown mnemonic|bad instruction'
    sort -u >"$work/instructions"
    [ "$1" = aarch64 ] || cpu=(-march=armv7-a -mfpu=vfpv3 -mimplicit-it=always)
    { [ "$1" = aarch64 ] || echo .syntax unified; cat "$work/instructions"; } >"$work/text.s"
    LC_ALL=C "$(binutils_of "$1")as" "${cpu[@]}" -o /dev/null "$work/text.s" 2>&1 | grep 'Error:' >"$work/said" || true
    local other
    other=$(grep -vE "$no" "$work/said" || true)
    [ -z "$other" ] || fail "the assembler does not understand the disassembler:"$'\n'"$other"
    cut -d: -f2 "$work/said" | awk 'NR == FNR { bad[$1]; next } FNR in bad' - "$work/text.s"
}

# Functions that ask the CPU, or are reached only through a table that was chosen so.
asks() {
    case $1 in
        # Doors to the kernels; the compiler's atomic operations; sums of PNG's chunks; what the unwinder does for frames
        # that use such registers.
        aarch64) echo '(ocellus::kernels::arch::(dotprod|i8mm)::kernels::door|__aarch64_.*' \
            '|crc32fast::specialized::.*|_ZN9libunwind.*|__libunwind_Registers_arm64_za_disable)' | tr -d ' ' ;;
        armv7) echo '(ocellus::kernels::arch::neon32::.*)' ;;
    esac
}

check() {
    local arch=$1 program=$2
    echo "$arch: $("$(binutils_of "$arch")readelf" -h "$program" | sed -n 's/^ *\(Class\|Machine\|Flags\): *//p' | paste -sd ' ')," \
        "glibc $("$(binutils_of "$arch")readelf" -V "$program" | grep -oE 'GLIBC_[0-9.]+' | cut -d_ -f2 | sort -Vu | tail -1)"
    disassemble "$arch" "$program" | c++filt -s rust | sed -E 's/::h[0-9a-f]{16}\t/\t/' >"$work/all"
    [ -s "$work/all" ] || fail "no instructions in $program"
    cut -f2- "$work/all" | refused "$arch" >"$work/newer"
    awk -F '\t' 'NR == FNR { newer[$0]; next }
        { code = substr($0, index($0, "\t") + 1) }
        code in newer { sub(/^\.[a-z]+; /, "", code); sub(/ .*/, "", code); n[$1]++; if (!seen[$1, code]++) codes[$1] = codes[$1] " " code }
        END { for (name in n) printf "%s\t%d instructions:%s\n", name, n[name], codes[name] }' \
        "$work/newer" "$work/all" | sort >"$work/functions"
    echo "$(wc -l <"$work/all") instructions; functions with newer ones:"
    column -t -s $'\t' <"$work/functions"
    local others
    others=$(awk -F '\t' -v asks="^$(asks "$arch")\$" '$1 !~ asks' "$work/functions")
    [ -z "$others" ] || fail "newer instructions in functions that do not ask the CPU:"$'\n'"$others"
    echo "ok"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ $# = 2 ] && [ -f "$2" ]; then
    check "$1" "$2"
    exit
fi
[ $# -gt 0 ] || set -- aarch64 armv7
for arch; do
    program=$("$root/cross/build.sh" "$arch" --names | tail -1)
    check "$arch" "$program"
done
