// Runs a model in ncnn a number of times, for counting what a run takes.
//
//     ncnn_run PARAM BIN SIDE HALF RUNS BLOB ...
//
// SIDE is the input's, HALF whether ncnn may use 16-bit floats (0 or 1). The picture is noise of its own; the blobs
// are extracted as float, and the mean magnitude of each is printed: a run that did nothing shows.
#include <math.h>
#include <ncnn/c_api.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(const char *what) {
    fprintf(stderr, "ncnn_run: %s\n", what);
    exit(1);
}

static ncnn_mat_t noise(int side) {
    ncnn_mat_t picture = ncnn_mat_create_3d(side, side, 3, NULL);
    uint32_t state = 2;
    for (int c = 0; c < 3; c++) {
        float *plane = ncnn_mat_get_channel_data(picture, c);
        for (int i = 0; i < side * side; i++) {
            state = state * 1664525u + 1013904223u;
            plane[i] = (float)(state >> 8) / (1 << 24);
        }
    }
    return picture;
}

static double mean_magnitude(ncnn_mat_t mat) {
    const int count = ncnn_mat_get_w(mat) * ncnn_mat_get_h(mat), channels = ncnn_mat_get_c(mat);
    double sum = 0;
    for (int c = 0; c < channels; c++) {
        const float *plane = ncnn_mat_get_channel_data(mat, c);
        for (int i = 0; i < count; i++)
            sum += fabs(plane[i]);
    }
    return sum / count / channels;
}

static void run(ncnn_net_t net, ncnn_mat_t picture, char **blobs, int count, int print) {
    ncnn_extractor_t extractor = ncnn_extractor_create(net);
    ncnn_extractor_input_index(extractor, ncnn_net_get_input_index(net, 0), picture);
    for (int i = 0; i < count; i++) {
        ncnn_mat_t result = NULL;
        if (ncnn_extractor_extract(extractor, blobs[i], &result))
            fail("a blob cannot be extracted");
        if (print)
            printf("%s %d %d %d mean magnitude %.6f\n", blobs[i], ncnn_mat_get_c(result), ncnn_mat_get_h(result),
                   ncnn_mat_get_w(result), mean_magnitude(result));
        ncnn_mat_destroy(result);
    }
    ncnn_extractor_destroy(extractor);
}

int main(int argc, char **argv) {
    if (argc < 7)
        fail("usage: ncnn_run PARAM BIN SIDE HALF RUNS BLOB ...");
    const int half = atoi(argv[4]), runs = atoi(argv[5]);
    ncnn_net_t net = ncnn_net_create();
    ncnn_option_t options = ncnn_option_create();
    ncnn_option_set_num_threads(options, 1);
    ncnn_option_set_use_fp16_packed(options, half);
    ncnn_option_set_use_fp16_storage(options, half);
    ncnn_option_set_use_fp16_arithmetic(options, half);
    ncnn_net_set_option(net, options);
    if (ncnn_net_load_param(net, argv[1]) || ncnn_net_load_model(net, argv[2]))
        fail("the model cannot be loaded");
    ncnn_mat_t picture = noise(atoi(argv[3]));
    for (int i = 0; i < runs; i++)
        run(net, picture, argv + 6, argc - 6, i == 0);
    ncnn_mat_destroy(picture);
    ncnn_option_destroy(options);
    ncnn_net_destroy(net);
    return 0;
}
