#!/usr/bin/env bash
# Runs the library's tests on emulated Raspberry Pis: those of the kernels on every CPU and instruction set.
#
#     cross/test.sh [CPU ...]      default: cortex-a53 cortex-a72 cortex-a76 max cortex-a7
#
# cortex-a53 is in the Pi 3 and Zero 2, cortex-a72 in the Pi 4, cortex-a76 in the Pi 5; cortex-a7, 32-bit, in the
# Pi 2; max has whatever qemu knows. PROPTEST_CASES is the number of random cases of each test (default 32:
# emulated, a case takes some twenty times its time). FILTER selects the tests (default: kernels).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

export PROPTEST_CASES=${PROPTEST_CASES:-32}
[ $# -gt 0 ] || set -- cortex-a53 cortex-a72 cortex-a76 max cortex-a7
for cpu in "$@"; do
    target=$(target_of_cpu "$cpu")
    echo "== $cpu ($target)"
    # --nocapture: the tests print once which instruction sets they run on.
    QEMU_CPU=$cpu cargo_for "$target" test --locked --release -p ocellus --lib "${FILTER-kernels}" \
        -- --nocapture 2>&1 | grep --line-buffered -vE '^test .* \.\.\. ok$|^running|^$'
done
