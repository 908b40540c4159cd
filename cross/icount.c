// A plugin for qemu: counts the guest's instructions, in all and per function (ELF symbol).
//
//     gcc -O2 -shared -fPIC -o icount.so icount.c
//     qemu-aarch64 -plugin ./icount.so,top=20 -d plugin PROGRAM
//
// With `blocks=1` it counts per function and block of code without a branch inside: behind the function's name, a
// tab and the block's instructions as little-endian words.
//
// The declarations are those of plugin interface 1 (QEMU 6.0 to 8.1), written out because distributions do not
// ship its header.
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int op, void *, uint64_t);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
void qemu_plugin_outs(const char *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

// Open addressing; far more places than a program has functions, or blocks, that run.
#define PLACES (1 << 20)
struct function {
    char *name;
    uint64_t count;
};
static struct function table[PLACES];
static size_t used;
static int top = 20;
static int blocks;

static uint64_t *counter_of(const char *name) {
    uint32_t hash = 2166136261u;
    for (const char *c = name; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    struct function *at = &table[hash % PLACES];
    while (at->name && strcmp(at->name, name))
        at = at == table + PLACES - 1 ? table : at + 1;
    if (!at->name) {
        if (++used == PLACES || !(at->name = strdup(name)))
            abort();
    }
    return &at->count;
}

static const char *function_of(const struct qemu_plugin_insn *instruction) {
    const char *name = qemu_plugin_insn_symbol(instruction);
    return name && *name ? name : "?";
}

// A block's name: its function, and its code in hexadecimal.
static char *name_of(const struct qemu_plugin_tb *block) {
    char *name;
    size_t length;
    FILE *text = open_memstream(&name, &length);
    fprintf(text, "%s\t", function_of(qemu_plugin_tb_get_insn(block, 0)));
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        const struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        const uint8_t *bytes = qemu_plugin_insn_data(instruction);
        for (size_t j = 0; j < qemu_plugin_insn_size(instruction); j++)
            fprintf(text, "%02x", bytes[j]);
    }
    fclose(text);
    return name;
}

static void count_block(plugin_id id, struct qemu_plugin_tb *block) {
    char *name = blocks ? name_of(block) : NULL;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        const int add = 0;
        uint64_t *counter = counter_of(name ? name : function_of(instruction));
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, add, counter, 1);
    }
    free(name);
}

static int by_count(const void *a, const void *b) {
    uint64_t x = ((const struct function *)a)->count, y = ((const struct function *)b)->count;
    return (x < y) - (x > y);
}

static void report(plugin_id id, void *unused) {
    uint64_t total = 0;
    char count[32];
    qsort(table, PLACES, sizeof *table, by_count);
    for (size_t i = 0; i < PLACES; i++)
        total += table[i].count;
    snprintf(count, sizeof count, "%14" PRIu64 " total\n", total);
    qemu_plugin_outs(count);
    for (int i = 0; i < top && i < PLACES && table[i].count; i++) {
        snprintf(count, sizeof count, "%14" PRIu64 " ", table[i].count);
        qemu_plugin_outs(count);
        qemu_plugin_outs(table[i].name);
        qemu_plugin_outs("\n");
    }
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "top=", 4))
            top = atoi(argv[i] + 4);
        else if (!strncmp(argv[i], "blocks=", 7))
            blocks = atoi(argv[i] + 7);
    qemu_plugin_register_vcpu_tb_trans_cb(id, count_block);
    qemu_plugin_register_atexit_cb(id, report, NULL);
    return 0;
}
