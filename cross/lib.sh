# Shared by the scripts of this directory.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The private toolchain, once `setup.sh` has linked it here.
toolchain=$root/target-cross/toolchain
# The linker for old systems, once `setup.sh` has put it here, and the oldest C library that it links for: that of
# Debian 10; Raspberry Pi OS "bullseye" has 2.31.
zig=$root/target-cross/zig
glibc=2.28

fail() { echo "$(basename "$0"): $*" >&2; exit 1; }

# install_packages NAME ...: with apt, as root; otherwise says which are missing.
install_packages() {
    local missing=() package
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' \
            || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    # Without recommendations: those of qemu-user conflict with qemu-user-static.
    local install="apt-get install -y --no-install-recommends ${missing[*]}"
    [ "$(id -u)" = 0 ] || fail "packages are missing; run: sudo $install"
    # Standard output belongs to the caller's result.
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive $install; } >&2
}

# apt with a state of its own under $prefix, which knows the packages of arm64 as well.
private_apt() {
    local state=$prefix/apt
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    "$@" -o APT::Architectures::=amd64 -o APT::Architectures::=arm64 -o Dir::State="$state" \
        -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$state/cache" -o APT::Sandbox::User=root
}

# The Rust target of a short name.
target_of() {
    case $1 in
        aarch64) echo aarch64-unknown-linux-gnu ;;
        armv7) echo armv7-unknown-linux-gnueabihf ;;
        x86_64) echo x86_64-unknown-linux-gnu ;;
        *) fail "unknown architecture '$1'; known are aarch64, armv7, x86_64" ;;
    esac
}

# What the names of the compiler, assembler and so on for a short name begin with.
binutils_of() {
    case $1 in
        aarch64) echo aarch64-linux-gnu- ;;
        armv7) echo arm-linux-gnueabihf- ;;
    esac
}

# The Rust target of an emulated CPU.
target_of_cpu() {
    case $1 in
        cortex-a7 | cortex-a8 | cortex-a9 | cortex-a15) target_of armv7 ;;
        *) target_of aarch64 ;;
    esac
}

# has_std RUSTC TARGET: whether that compiler has a standard library for the target.
has_std() {
    local lib
    lib=$("$1" --print target-libdir --target "$2" 2>/dev/null) && compgen -G "$lib/libstd-*.rlib" >/dev/null
}

# The compiler that builds for a target: the private one if `setup.sh` made it, else the machine's own.
rustc_for() {
    local compiler
    for compiler in "$toolchain/bin/rustc" rustc; do
        if has_std "$compiler" "$1"; then command -v "$compiler"; return; fi
    done
    fail "no Rust standard library for $1; run cross/setup.sh"
}

# cargo with the compiler for TARGET and the settings of `config.toml`: cargo_for TARGET SUBCOMMAND ...
cargo_for() {
    local target=$1 subcommand=$2 compiler
    shift 2
    compiler=$(rustc_for "$target") || exit
    (cd "$root" && RUSTC=$compiler CARGO_TARGET_DIR=$root/target-cross \
        nice cargo "$subcommand" --config cross/config.toml --target "$target" "$@")
}

# The same for programs that are to run with an old C library: zig links them. Its settings are its own: a linker that
# `config.toml` names would go before it.
zigbuild_for() {
    local target=$1 compiler
    shift
    [ -x "$zig/bin/cargo-zigbuild" ] || fail "no linker for old systems; run cross/setup.sh"
    compiler=$(rustc_for "$target") || exit
    (cd "$root" && RUSTC=$compiler CARGO_TARGET_DIR=$root/target-cross PYTHONPATH=$zig PATH=$zig/bin:$PATH \
        nice cargo zigbuild --target "$target.$glibc" "$@")
}
