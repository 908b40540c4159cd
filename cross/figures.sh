#!/usr/bin/env bash
# The figures of docs/BENCHMARKS.md, section "ARM, without hardware": this program beside ncnn on emulated Pis.
#
#     cross/figures.sh MODELS [CASE ...]
#
# MODELS is a folder with e.param and s.param (YOLOv5-Lite for ncnn, float) and i8e.param (int8), each with its
# .bin; e-qdq.onnx, v5lite-e in int8 as ONNX QDQ (`calib quantize --size 320`), and FastestDet.param are run too where
# they are there. Each CASE is a row of the table below; default: all. One thread, floats in, detection maps as floats
# out, on both sides.
#
# Counted: instructions of one inference under qemu, half the difference between one run and three. Predicted: its
# cycles, by llvm-mca's models of the cores from the blocks that were executed (see predict.py); milliseconds are
# these cycles at the board's clock. The costliest functions and loops of each row stay in
# target-cross/count/details.CASE.BOARD.
#
# What is needed is installed: by cross/setup.sh, by cross/ncnn.sh, and llvm-mca, of which LLVM names the folder where it
# is not to be Debian's newest; it must be 20 or newer.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -ge 1 ] || fail "usage: cross/figures.sh MODELS [CASE ...]"
models=$(cd "$1" && pwd)
shift
out=$root/target-cross/count
mkdir -p "$out"

# name, kind (ours: arithmetic; ncnn: whether it may use 16-bit floats), side of the input, file or built-in network
cases='
e-fp32-ours        ours fp32 320 e.param
e-fp32-ncnn        ncnn 0    320 e.param
e-fp16-ncnn        ncnn 1    320 e.param
s-fp32-ours        ours fp32 320 s.param
s-fp32-ncnn        ncnn 0    320 s.param
s-fp16-ncnn        ncnn 1    320 s.param
s-int8-ours        ours int8 320 v5lite-s
i8e-int8-ours      ours int8 320 i8e.param
i8e-int8-ncnn      ncnn 0    320 i8e.param
i8e-int8-fp16-ncnn ncnn 1    320 i8e.param
e-qdq-ours         ours int8 320 e-qdq.onnx
fastest-fp32-ncnn  ncnn 0    352 FastestDet.param
fastest-fp16-ncnn  ncnn 1    352 FastestDet.param
'

build() {
    "$root/cross/setup.sh" >&2
    gcc -O2 -shared -fPIC -o "$out/icount.so" "$root/cross/icount.c"
    ours=$("$root/cross/build.sh" aarch64 --names | tail -1)
    local ncnn
    ncnn=$("$root/cross/ncnn.sh" aarch64 | tail -1)
    ncnn=${ncnn#NCNN_DIR=}
    aarch64-linux-gnu-gcc -O2 -c -I"$ncnn/include" -o "$out/ncnn_run.o" "$root/cross/ncnn_run.c"
    aarch64-linux-gnu-g++ -static -o "$out/ncnn_run" "$out/ncnn_run.o" -L"$ncnn/lib" -lncnn -lgomp -lpthread -lm \
        2>/dev/null # a warning about dlopen in static programs
}

# The folder of Debian's newest llvm-mca, which is installed where it is missing.
find_llvm() {
    local package
    package=$(apt-cache search --names-only '^llvm-[0-9]+$' | cut -d ' ' -f 1 | sort -V | tail -1)
    install_packages "$package"
    echo "/usr/lib/$package/bin"
}

# The maps that YOLOv5's heads of an ncnn file are made from; of another network, its last blob.
maps_of() {
    awk '$1 == "Reshape" && / 1=85 / { print $5; found = 1 } { last = $(4 + $3 + $4) } END { if (!found) print last }' "$1"
}

# run CPU RUNS KIND HOW SIDE MODEL
run() {
    local cpu=$1 runs=$2 kind=$3 how=$4 side=$5 model=$6 file=$models/$6 program
    [ -e "$file" ] || file=$model
    case $kind in
        ours) program=("$ours" bench --model "$file" --size "$side" --threads 1
                --precision "$how" --warmup 0 --loops "$runs") ;;
        # shellcheck disable=SC2046
        ncnn) program=("$out/ncnn_run" "$file" "${file%.param}.bin" "$side" "$how" "$runs" $(maps_of "$file")) ;;
    esac
    # Threads of OpenMP count while they wait.
    OMP_THREAD_LIMIT=1 nice qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu "$cpu" -plugin "$out/icount.so,top=1000000,blocks=1" -d plugin \
        -D "$out/log.$runs" "${program[@]}" >"$out/said" 2>&1 || fail "${program[*]}: $(cat "$out/said")"
}

# row NAME BOARD GHZ CORE: what ran last; its details stay in a file.
row() {
    local name=$1 board=$2 clock=$3 core=$4 instructions cycles
    "$root/cross/predict.py" "$llvm" "$core" "$out/log.1" "$out/log.3" 2 --details 8 >"$out/details.$name.$board"
    read -r instructions cycles <"$out/details.$name.$board"
    awk -v n="$name" -v b="$board" -v i="$instructions" -v c="$cycles" -v f="$clock" \
        'BEGIN { printf "%-18s %-6s %12.1f %10.1f %6.2f %8.1f\n", n, b, i, c, i / c, c / f }'
}

build
llvm=${LLVM:-$(find_llvm)}
[ $# -gt 0 ] || set -- $(awk '{ print $1 }' <<<"$cases")
printf '%-18s %-6s %12s %10s %6s %8s\n' case board "instr. / M" "cycles / M" "IPC" "ms"
for name; do
    read -r _ kind how side model < <(grep "^$name " <<<"$cases") || fail "unknown case '$name'"
    if [[ $model = *.* && ! -e $models/$model ]]; then
        echo "$name: $models/$model is absent" >&2
        continue
    fi
    # Cortex-A53 and A72 have the same instructions; llvm-mca has the A76 under the name of its server sibling.
    run cortex-a72 1 "$kind" "$how" "$side" "$model" && run cortex-a72 3 "$kind" "$how" "$side" "$model"
    row "$name" Pi3 1.2 cortex-a53
    row "$name" Pi4 1.8 cortex-a72
    run cortex-a76 1 "$kind" "$how" "$side" "$model" && run cortex-a76 3 "$kind" "$how" "$side" "$model"
    row "$name" Pi5 2.4 neoverse-n1
done
