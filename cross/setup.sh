#!/usr/bin/env bash
# Prepares an x86-64 Debian or Ubuntu machine to build and test for the Raspberry Pi.
#
#     cross/setup.sh [PREFIX]
#
# Installs the cross linkers, qemu and pip with apt, as root; otherwise says which are missing. zig, which links for old
# C libraries, goes to target-cross/zig. The compiler for the
# Raspberry Pi is the one of rustup, which is asked for the targets' standard libraries. Where there is no
# rustup, or where PREFIX is given, it is Debian's, unpacked into PREFIX (default: ~/.cache/ocellus-cross, about
# 700 MB) and linked as target-cross/toolchain. Nothing else on the system changes, and what is there already
# is kept: a second call takes a second.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages=(
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross
    qemu-user-static qemu-user python3-pip
)

# Whether the machine's own Rust has the targets, once rustup was asked for them.
rustup_targets() {
    rm -f "$toolchain"
    local arch
    for arch in "${architectures[@]}"; do
        has_std rustc "$(target_of "$arch")" || rustup target add "$(target_of "$arch")" || return
    done
}

# Debian's newest Rust: the package for building browsers is kept up to date in stable releases.
unpack_compiler() {
    echo "unpacking Debian's Rust into $prefix" >&2
    private_apt apt-get -qq update
    local needs
    needs=$(private_apt apt-cache depends --recurse --important rustc-web \
        | grep -oxE '(libstd-rust-web-[0-9.]+|libllvm[0-9]+)' | sort -u)
    [ -n "$needs" ] || fail "this release has no package rustc-web; install Rust with rustup"
    local debs=$prefix/debs
    mkdir -p "$debs" "$prefix/bin"
    # shellcheck disable=SC2086
    (cd "$debs" && private_apt apt-get -qq download rustc-web:amd64 $needs libstd-rust-web-dev:amd64 \
        libstd-rust-web-dev:arm64 rust-web-src)
    local deb
    for deb in "$debs"/*.deb; do dpkg -x "$deb" "$prefix"; done
    rm -rf "$debs" "$prefix/apt"
    cat >"$prefix/bin/rustc" <<'RUSTC'
#!/bin/sh
prefix=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
LD_LIBRARY_PATH="$prefix/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$prefix/usr/bin/rustc" "$@"
RUSTC
    chmod +x "$prefix/bin/rustc"
}

# Debian has this compiler's library for armv7 in another architecture's archive, out of step with this one's.
# Built from the compiler's own source and installed beside the others, it makes later builds plain ones.
build_std() {
    local target=$1 work
    echo "building the standard library for $target" >&2
    work=$(mktemp -d)
    mkdir "$work/src"
    printf '[package]\nname = "empty"\nedition = "2024"\n[lib]\n[profile.release]\ndebug = 0\n' >"$work/Cargo.toml"
    echo '#![no_std]' >"$work/src/lib.rs"
    # Building the library needs the unstable option; using it does not.
    (cd "$work" && RUSTC=$prefix/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR=$work/target \
        nice cargo build -q -Zbuild-std=std,panic_abort,test --release --target "$target")
    local lib=$prefix/usr/lib/rustlib/$target/lib
    mkdir -p "$lib"
    rm -f "$work/target/$target/release/deps/"libempty*
    cp "$work/target/$target/release/deps/"*.rlib "$lib/"
    rm -rf "$work"
}

# The private toolchain, made where it is not there yet.
link_toolchain() {
    mkdir -p "$1" "$root/target-cross"
    prefix=$(cd "$1" && pwd)
    [ -x "$prefix/bin/rustc" ] || unpack_compiler
    ln -sfn "$prefix" "$toolchain"
    local arch
    for arch in "${architectures[@]}"; do
        has_std "$prefix/bin/rustc" "$(target_of "$arch")" || build_std "$(target_of "$arch")"
    done
}

# The linker that knows the symbols of old C libraries.
add_zig() {
    [ -x "$zig/bin/cargo-zigbuild" ] && return
    echo "fetching zig, for linking against glibc $glibc" >&2
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target "$zig" \
        ziglang==0.17.1 cargo-zigbuild==0.24.0
}

install_packages "${packages[@]}"
architectures=(aarch64 armv7)
if [ $# -gt 0 ]; then
    link_toolchain "$1"
elif ! rustup_targets; then
    link_toolchain "${XDG_CACHE_HOME:-$HOME/.cache}/ocellus-cross"
fi
add_zig
for arch in "${architectures[@]}"; do
    echo "$arch: $("$(rustc_for "$(target_of "$arch")")" -V)"
done
