#!/usr/bin/env bash
# Builds the library ncnn for the engine `ncnn`; the last line that it prints is the variable to build with.
#
#     cross/ncnn.sh [x86_64|aarch64] [PREFIX]      default: x86_64 ~/.cache/ocellus-ncnn/ARCH
#     export $(cross/ncnn.sh | tail -1)            NCNN_DIR=PREFIX
#     cargo build --release --features ncnn
#
# Needs cmake, ninja, libclang (for the crate's bindings) and Python's venv, which are installed with apt, as
# root; otherwise it says which are missing. The source is PyPI's, checked against its hash. Built are the layers
# that the loader of this project reads, with OpenMP. For x86-64 it is one instruction set, AVX2 with FMA and
# F16C, for the choice at run time doubles the work; DISPATCH=ON builds it, with AVX-VNNI and AVX-512, without
# which no comparison of int8 on such a CPU is fair. For aarch64 the choice is made at run time, fp16 arithmetic and
# dot products included. Another build for the same machine needs a `cargo clean -p ncnn-bind`.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

version=1.0.20260526
sha256=282f0f4a1beec1f5212aa0d22c00737418645055f33c2d2082922931cdbdc537
# What the loader reads, and what ncnn's layers make for themselves.
layers="Input Split Noop MemoryData Convolution ConvolutionDepthWise Deconvolution DeconvolutionDepthWise
    InnerProduct Pooling Interp BatchNorm Scale Bias PReLU BinaryOp UnaryOp Eltwise Quantize Dequantize Requantize
    Concat Slice Crop ShuffleChannel Padding Reshape Flatten Squeeze ExpandDims Permute Softmax Reduction ReLU
    Swish HardSwish HardSigmoid Sigmoid TanH Mish ELU Erf Softplus Clip AbsVal Dropout Packing Cast DeepCopy Gemm"

arch=${1:-x86_64}
prefix=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/ocellus-ncnn/$arch}
packages=(cmake ninja-build libclang-dev python3-venv)
options=()
case $arch in
    x86_64)
        packages+=(g++)
        options+=(-DNCNN_AVX2=ON -DNCNN_RUNTIME_CPU="${DISPATCH:-OFF}")
        # What is not switched off is taken for granted.
        [ "${DISPATCH:-OFF}" = ON ] || options+=(-DNCNN_{AVXVNNI,AVXNECONVERT,AVX512,XOP}=OFF) ;;
    aarch64)
        packages+=(g++-aarch64-linux-gnu libc6-dev-arm64-cross)
        # Extensions that no Raspberry Pi has are left out.
        options+=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DNCNN_RUNTIME_CPU=ON
            -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
            -DNCNN_ARM82FP16FML=OFF -DNCNN_ARM84BF16=OFF -DNCNN_ARM86SVE=OFF -DNCNN_BF16=OFF) ;;
    *) fail "unknown architecture '$arch'; known are x86_64, aarch64" ;;
esac

# Unpacks the source into the folder $1, which it then contains as ncnn-VERSION.
fetch() {
    python3 -m venv "$1/venv"
    "$1/venv/bin/pip" --quiet --disable-pip-version-check install setuptools wheel
    # The source's setup.py takes today's date for the version, and pip then refuses the file.
    mkdir "$1/date"
    printf 'import time\ntoday = time.localtime\ntime.localtime = lambda *a: today(*a) if a else time.strptime("%s", "%%Y%%m%%d")\n' \
        "${version##*.}" >"$1/date/sitecustomize.py"
    PYTHONPATH=$1/date "$1/venv/bin/pip" --quiet --disable-pip-version-check download --no-deps \
        --no-binary ncnn --no-build-isolation --dest "$1" "ncnn==$version"
    echo "$sha256  $1/ncnn-$version.tar.gz" | sha256sum --check --quiet >&2
    tar -xzf "$1/ncnn-$version.tar.gz" -C "$1"
}

build() {
    local work source layer
    work=$(mktemp -d)
    # The function's variables are gone when the trap runs.
    trap "rm -rf '$work'" EXIT
    fetch "$work"
    source=$work/ncnn-$version
    for layer in $(grep -oP 'ncnn_add_layer\(\K\w+' "$source/src/CMakeLists.txt"); do
        case " ${layers//$'\n'/ } " in
            *" $layer "*) ;;
            *) options+=("-DWITH_LAYER_${layer,,}=OFF") ;;
        esac
    done
    # The tools' folders are not part of this source.
    nice cmake -S "$source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" \
        -DNCNN_OPENMP=ON -DNCNN_VULKAN=OFF -DNCNN_C_API=ON -DNCNN_PYTHON=OFF -DNCNN_BUILD_TOOLS=OFF \
        -DNCNN_BUILD_EXAMPLES=OFF -DNCNN_BUILD_TESTS=OFF -DNCNN_BUILD_BENCHMARK=OFF "${options[@]}" >&2
    nice ninja -C "$work/build" install >&2
}

install_packages "${packages[@]}"
mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd)
[ -e "$prefix/lib/libncnn.a" ] || build
echo "NCNN_DIR=$prefix"
