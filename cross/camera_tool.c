// Plays a camera for the tests of virtual-pi.sh, inside the guest.
//
//     camera_tool feed DEVICE WIDTH HEIGHT FPS JPEG     writes one JPEG again and again into a v4l2loopback device
//     camera_tool set DEVICE CONTROL VALUE              sets a control, such as one of vivid's injected faults
//
//     aarch64-linux-gnu-gcc -O2 -static -o camera_tool camera_tool.c
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int fail(const char *what) {
  fprintf(stderr, "camera_tool: %s: %s\n", what, strerror(errno));
  return 1;
}

static int feed(int device, char **arg) {
  FILE *file = fopen(arg[3], "rb");
  if (!file) return fail(arg[3]);
  static char jpeg[4 << 20];
  size_t size = fread(jpeg, 1, sizeof jpeg, file);
  fclose(file);
  struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_OUTPUT};
  format.fmt.pix.width = atoi(arg[0]);
  format.fmt.pix.height = atoi(arg[1]);
  format.fmt.pix.pixelformat = V4L2_PIX_FMT_MJPEG;
  format.fmt.pix.field = V4L2_FIELD_NONE;
  format.fmt.pix.sizeimage = sizeof jpeg;
  if (ioctl(device, VIDIOC_S_FMT, &format)) return fail("VIDIOC_S_FMT");
  for (;;) {
    if (write(device, jpeg, size) < 0) return fail("write");
    usleep(1000000 / atoi(arg[2]));
  }
}

static int set(int device, char **arg) {
  struct v4l2_control control = {.id = strtoul(arg[0], 0, 0), .value = atoi(arg[1])};
  return ioctl(device, VIDIOC_S_CTRL, &control) ? fail("VIDIOC_S_CTRL") : 0;
}

int main(int argc, char **argv) {
  int feeds = argc == 7 && !strcmp(argv[1], "feed"), sets = argc == 5 && !strcmp(argv[1], "set");
  if (!feeds && !sets) {
    fputs("usage: camera_tool feed DEVICE WIDTH HEIGHT FPS JPEG | set DEVICE CONTROL VALUE\n", stderr);
    return 2;
  }
  int device = open(argv[2], O_RDWR);
  if (device < 0) return fail(argv[2]);
  return feeds ? feed(device, argv + 3) : set(device, argv + 3);
}
