#!/usr/bin/env bash
# Boots a 64-bit Raspberry Pi's kernel in an emulator, with cameras, and has the program look through them.
#
#     cross/virtual-pi.sh [PHOTO]          a JPEG; default: the README's
#
# What has to hold, each printed with its result:
#   detect      the boxes of the photo are those of this machine, byte for byte
#   yuyv, nv12  frames of vivid, the kernel's test camera, in both formats
#   faults      vivid drops and damages buffers, fails, and is pulled out: the program counts them and goes on
#   mjpg        a camera that shows the photo (v4l2loopback): the objects are found in its frames
#
# Needs no hardware and no rights in the guest. Kernel, busybox and the loopback camera come from Debian's archive,
# unpacked under target-cross/pi and nowhere else; a first call loads 80 MB and builds the program.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

photo=$(realpath "${1:-$root/docs/sample.jpg}")
[ -r "$photo" ] || fail "no picture $photo"
pi=$root/target-cross/pi
limit=${PI_TIMEOUT:-300}
# Controls of vivid that inject faults.
dropped=0x00f0f040 disconnect=0x00f0f041 flagged=0x00f0f042 fatal=0x00f0f046

install_packages qemu-system-arm kmod cpio make gcc-aarch64-linux-gnu libc6-dev-arm64-cross

# Kernel, its modules, busybox, and v4l2loopback built for that kernel.
unpack_guest() {
    echo "fetching a kernel, busybox and v4l2loopback" >&2
    rm -rf "$pi"
    mkdir -p "$pi/debs"
    prefix=$pi
    private_apt apt-get -qq update
    local image abi
    image=$(private_apt apt-cache depends linux-image-arm64:arm64 | grep -oE 'linux-image-[0-9][^ :]*' | head -1)
    [ -n "$image" ] || fail "this release has no linux-image-arm64"
    abi=${image#linux-image-}
    abi=${abi%-unsigned}
    local kbuild
    kbuild=$(private_apt apt-cache depends "linux-headers-$abi:arm64" | grep -oE 'linux-kbuild-[^: ]+' | head -1)
    (cd "$pi/debs" && private_apt apt-get -qq download "$image:arm64" busybox-static:arm64 "linux-headers-$abi:arm64" \
        "linux-headers-${abi%-arm64}-common" "$kbuild:amd64" v4l2loopback-dkms)
    local deb
    for deb in "$pi/debs"/*.deb; do dpkg -x "$deb" "$pi"; done
    rm -rf "$pi/debs" "$pi/apt"
    depmod -b "$pi" "$abi"
    local headers=$pi/usr/src/linux-headers-$abi
    sed -i "s#/usr/src/#$pi/usr/src/#" "$headers/Makefile"
    local source
    source=$(echo "$pi"/usr/src/v4l2loopback-*)
    nice make -s -C "$headers" M="$source" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- modules >&2
    cp "$source/v4l2loopback.ko" "$pi/"
    echo "$abi" >"$pi/abi"
}

# init: what the guest does. Lines that begin with "@ " are for this script.
write_init() {
    cat >"$1/init" <<INIT
#!/bin/sh
export PATH=/bin
mount -t devtmpfs none /dev; mount -t proc none /proc; mount -t sysfs none /sys
while read module options; do insmod /modules/\$module \$options || echo "@ insmod \$module failed"; done </modules/order
# watch NAME SECONDS ARGUMENTS: frames go to a file, which is sent with the summary.
watch() {
    name=\$1; seconds=\$2; shift 2
    timeout -s INT \$seconds /ocellus watch --threads 2 "\$@" >/tmp/\$name 2>/tmp/\$name.summary
    echo "@ \$name frames \$(wc -l </tmp/\$name)"
    tail -n 1 /tmp/\$name | sed "s/^/@ \$name last /"
    sed "s/^/@ \$name says /" /tmp/\$name.summary
}
echo "@ uptime \$(cut -d' ' -f1 /proc/uptime)"
/ocellus detect --format json /photo.jpg | sed 's/^/@ detect /'
/ocellus cameras 2>&1 | sed 's/^/@ cameras /'
# vivid's picture has no objects: small networks leave a slow emulator its time.
watch yuyv 8 --size 96 --source v4l:/dev/video0 --pixels yuyv --resolution 640x360
watch nv12 8 --size 96 --source v4l:/dev/video0 --pixels nv12 --resolution 640x360
(
    sleep 3; camera_tool set /dev/video0 $dropped 20; camera_tool set /dev/video0 $flagged 0
    sleep 2; camera_tool set /dev/video0 $flagged 0
    sleep 3; camera_tool set /dev/video0 $dropped 0; camera_tool set /dev/video0 $disconnect 0
    sleep 5; camera_tool set /dev/video0 $fatal 0
) 2>&1 | sed 's/^/@ faults tool /' &
watch faults 24 --size 96 --source v4l:/dev/video0 --pixels yuyv --resolution 640x360
camera_tool feed /dev/video5 $2 $3 5 /photo.jpg &
sleep 1
watch mjpg 10 --source v4l:/dev/video5 --pixels mjpg
echo "@ uptime \$(cut -d' ' -f1 /proc/uptime)"
echo "@ done"
poweroff -f
INIT
    chmod +x "$1/init"
}

# What the guest starts with: all in memory.
pack_guest() {
    local guest=$pi/guest abi line module
    abi=$(cat "$pi/abi")
    rm -rf "$guest"
    mkdir -p "$guest"/{bin,dev,proc,sys,tmp,modules}
    cp "$(find "$pi" -path '*bin/busybox' | head -1)" "$guest/bin/busybox"
    local tool
    for tool in sh mount insmod cat cut sed tail wc timeout sleep poweroff; do ln -s busybox "$guest/bin/$tool"; done
    local tree=$pi/lib/modules/$abi
    line=$(grep '/vivid.ko' "$tree/modules.dep")
    # modules.dep lists dependencies nearest first: they are inserted in reverse.
    for module in $(echo "${line#*:}" | tr ' ' '\n' | tac); do
        cp "$tree/$module" "$guest/modules/"
        basename "$module"
    done >"$guest/modules/order"
    cp "$tree/${line%%:*}" "$pi/v4l2loopback.ko" "$guest/modules/"
    {
        echo "$(basename "${line%%:*}") n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0"
        echo "v4l2loopback.ko video_nr=5 card_label=Loop exclusive_caps=1"
    } >>"$guest/modules/order"
    aarch64-linux-gnu-gcc -O2 -static -o "$guest/bin/camera_tool" "$root/cross/camera_tool.c"
    cp "$1" "$guest/ocellus"
    cp "$photo" "$guest/photo.jpg"
    write_init "$guest" "${@:2}"
    (cd "$guest" && find . | cpio -o -H newc --quiet | gzip -1) >"$pi/guest.gz"
}

check() {
    if [ "$2" = 1 ]; then echo "ok      $1"; else echo "FAILED  $1"; failed=1; fi
}

# The objects in a line of JSON, without the numbers of tracks.
objects() { grep -oE '\{"class":[^}]*\}' | sed -E 's/,"track":[0-9]+//'; }

if [ ! -s "$pi/abi" ]; then unpack_guest; fi
program=$("$root/cross/build.sh" aarch64 --static | tail -1)
own=$("$root/cross/build.sh" x86_64 | tail -1)
here=$("$own" detect --format json "$photo")
width=$(echo "$here" | grep -oE '"width":[0-9]+' | head -1 | cut -d: -f2)
height=$(echo "$here" | grep -oE '"height":[0-9]+' | head -1 | cut -d: -f2)
expected=$(echo "$here" | objects)
pack_guest "$program" "$width" "$height"

log=$pi/log
start=$SECONDS
timeout "$limit" qemu-system-aarch64 -M virt -cpu cortex-a72 -accel tcg,thread=multi -smp 2 -m 512 -nographic \
    -no-reboot -nodefaults -serial stdio -net none -kernel "$pi"/boot/vmlinuz-* -initrd "$pi/guest.gz" \
    -append "console=ttyAMA0 quiet loglevel=3 panic=-1" </dev/null | tr -d '\r' >"$log" || true
sed -n 's/^@ //p' "$log" | grep -vE '^detect | last |^cameras  ' || true

failed=0
said() { sed -n "s/^@ $1 //p" "$log"; }
frames() { said "$1 frames" | grep -E '^[0-9]+$' || echo 0; }
check "the machine came up and went down in $((SECONDS - start)) s" "$([ -n "$(grep '^@ done' "$log")" ] && echo 1)"
check "detect: the photo's boxes are this machine's" "$([ "$(said detect | objects)" = "$expected" ] && echo 1)"
check "detect: there are objects" "$(echo "$expected" | grep -q class && echo 1)"
for format in yuyv nv12; do
    check "$format: $(frames $format) frames" "$([ "$(frames $format)" -ge 5 ] && echo 1)"
done
check "faults: $(frames faults) frames" "$([ "$(frames faults)" -ge 10 ] && echo 1)"
check "faults: the camera was opened again" "$(said 'faults says' | grep -q 'there again' && echo 1)"
check "mjpg: $(frames mjpg) frames" "$([ "$(frames mjpg)" -ge 2 ] && echo 1)"
check "mjpg: the photo's boxes" "$([ "$(said 'mjpg last' | objects)" = "$expected" ] && echo 1)"
exit "$failed"
