#!/usr/bin/env bash
# Makes what is given to users, in dist/: packages for Debian and Raspberry Pi OS, and archives of a program that needs no
# library at all.
#
#     packaging/package.sh [amd64|arm64|armhf ...]      default: amd64 arm64 armhf
#
#     ocellus_VERSION_ARCH.deb              program, unit of systemd, configuration, pages for man, completions
#     ocellus-VERSION-ARCH-static.tar.gz    program and licences
#     ocellus-VERSION.cdx.json              what it is made of (CycloneDX)
#     SHA256SUMS                            of all of them
#
# Times are those of the last commit, and paths of this machine are not in the programs: with one toolchain, clones in
# different folders give the same bytes (tried with the package for amd64).
# Needs dpkg-deb, and for other machines' programs what cross/setup.sh installs.
set -euo pipefail
. "$(dirname "$0")/../cross/lib.sh"

cyclonedx=0.5.9
[ $# -gt 0 ] || set -- amd64 arm64 armhf
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
dist=$root/dist
mkdir -p "$dist"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() {
    case $1 in
        amd64) "$root/cross/build.sh" x86_64 "${@:2}" ;;
        arm64) "$root/cross/build.sh" aarch64 "${@:2}" ;;
        armhf) "$root/cross/build.sh" armv7 "${@:2}" ;;
        *) fail "unknown architecture '$1'; known are amd64, arm64, armhf" ;;
    esac | tail -1
}

# The newest version of the C library that a program asks for.
glibc_of() { readelf -V "$1" | grep -oE 'GLIBC_[0-9.]+' | cut -d_ -f2 | sort -Vu | tail -1; }

same_times() { find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }

deb() {
    local arch=$1 program tree=$work/deb-$1
    program=$(build "$arch")
    install -D -m 755 "$program" "$tree/usr/bin/ocellus"
    install -D -m 644 "$root/packaging/ocellus.toml" "$tree/etc/ocellus/ocellus.toml"
    install -d "$tree/usr/lib/systemd/system"
    # The first lines of the unit are for those who install by hand.
    sed -e '1,/^$/d' -e 's#/usr/local/bin/#/usr/bin/#' "$root/packaging/ocellus.service" \
        >"$tree/usr/lib/systemd/system/ocellus.service"
    install -D -m 644 "$work/completions/ocellus.bash" "$tree/usr/share/bash-completion/completions/ocellus"
    install -D -m 644 "$work/completions/_ocellus" "$tree/usr/share/zsh/vendor-completions/_ocellus"
    install -D -m 644 "$work/completions/ocellus.fish" "$tree/usr/share/fish/vendor_completions.d/ocellus.fish"
    install -d "$tree/usr/share/man/man1" "$tree/usr/share/doc/ocellus"
    for page in "$work"/man/*.1; do gzip -9n <"$page" >"$tree/usr/share/man/man1/$(basename "$page").gz"; done
    cat "$root/LICENSE-MIT" - "$root/LICENSE-APACHE" <<<$'\nor, at your option:\n' \
        >"$tree/usr/share/doc/ocellus/copyright"
    gzip -9n <"$root/CHANGELOG.md" >"$tree/usr/share/doc/ocellus/changelog.gz"
    install -m 644 "$root/models/person-vehicle/MODEL_CARD.md" "$tree/usr/share/doc/ocellus/"
    find "$tree" -type d -exec chmod 755 {} +
    find "$tree/usr/share" "$tree/usr/lib" -type f -exec chmod 644 {} +
    install -d "$tree/DEBIAN"
    cat >"$tree/DEBIAN/control" <<CONTROL
Package: ocellus
Version: $version
Architecture: $arch
Maintainer: The ocellus developers <ocellus@localhost>
Installed-Size: $(du -sk --apparent-size "$tree/usr" | cut -f1)
Depends: libc6 (>= $(glibc_of "$program"))
Section: video
Priority: optional
Description: INT8 object detection on small CPUs
 Finds persons and vehicles, or whatever a model of yours was trained on, in
 pictures and in the frames of cameras: the whole network in eight bits, the
 same results on every CPU. The service ocellus watches the cameras that
 /etc/ocellus/ocellus.toml names, with a page, MQTT, metrics and snapshots.
CONTROL
    echo /etc/ocellus/ocellus.toml >"$tree/DEBIAN/conffiles"
    cat >"$tree/DEBIAN/postinst" <<'POSTINST'
#!/bin/sh
# The service is not started: first its configuration has to name a camera.
set -e
if [ -d /run/systemd/system ]; then systemctl --system daemon-reload || true; fi
POSTINST
    cat >"$tree/DEBIAN/prerm" <<'PRERM'
#!/bin/sh
# A service without its program would be started again and again.
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl stop ocellus || true; fi
PRERM
    chmod 755 "$tree/DEBIAN/postinst" "$tree/DEBIAN/prerm"
    (cd "$tree" && find etc usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
    same_times "$tree"
    dpkg-deb --root-owner-group -Zxz --build "$tree" "$dist/ocellus_${version}_$arch.deb" >/dev/null
}

archive() {
    local arch=$1 name=ocellus-$version-$1-static
    install -D -m 755 "$(build "$arch" --static)" "$work/$name/ocellus"
    cp "$root"/LICENSE-* "$root/README.md" "$root/models/person-vehicle/MODEL_CARD.md" "$root/packaging/ocellus.toml" \
        "$root/packaging/ocellus.service" "$work/$name/"
    same_times "$work/$name"
    tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mode=go-w -cf - "$name" \
        | gzip -9n >"$dist/$name.tar.gz"
}

# What is in the program: each crate with version, licence and checksum.
bill() {
    local tools=$root/target-cross/tools name=ocellus-$version.cdx
    [ -x "$tools/bin/cargo-cyclonedx" ] \
        || nice cargo install --quiet --locked --root "$tools" cargo-cyclonedx --version "$cyclonedx"
    (cd "$root" && PATH=$tools/bin:$PATH cargo cyclonedx --quiet --format json --override-filename "$name")
    mv "$root/$name.json" "$dist/"
    rm -f "$root/calib/$name.json"
}

# Pages and completions are made by the program of this machine, from its own arguments.
own=$(build amd64)
"$own" man "$work/man"
mkdir "$work/completions"
"$own" completions bash >"$work/completions/ocellus.bash"
"$own" completions zsh >"$work/completions/_ocellus"
"$own" completions fish >"$work/completions/ocellus.fish"
for arch; do
    deb "$arch"
    archive "$arch"
done
bill
(cd "$dist" && sha256sum ocellus[_-]"$version"* >SHA256SUMS)
ls -l "$dist" >&2
