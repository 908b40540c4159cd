#!/usr/bin/env python3
"""Predicts the cycles of an inference from the blocks that it executes, without hardware.

    cross/predict.py LLVM_BIN CPU FEW MANY RUNS [--details N]

FEW and MANY are logs of the plugin icount (blocks=1); MANY has RUNS more inferences. llvm-mca says how many
cycles each block takes on CPU when it repeats: it knows the core's pipelines, but no cache and no mispredicted
branch, so the sum is a lower bound. The blocks that make up 98 % of the instructions are modelled; the rest is
taken to be as slow per instruction. Prints million instructions and million cycles. With --details N these follow
for the N costliest functions, and then the N costliest blocks that multiply: million cycles, multiplications,
registers that they are added up in, cycles for one repetition and for one multiplication, and the function.
"""
import json
import re
import subprocess
import sys
from collections import Counter

COVERED = 0.98
FEATURES = "-mattr=+v8.2a,+dotprod,+fullfp16,+i8mm"
# Instructions that multiply; all but the dot products have one product for each lane of the result.
PRODUCTS = {"sdot": 4, "udot": 4, "usdot": 4, "smmla": 8, "ummla": 8, "usmmla": 8}
MULTIPLY = re.compile(r"^([su]mull2?|[su]mlal2?|mla|mul|fmla|fmul|[su]dot|usdot|u?s?mmla|ummla)$")


def read(path):
    """Executed instructions of each (function, code)."""
    counts = Counter()
    with open(path) as log:
        for line in log:
            count, _, name = line.strip().partition(" ")
            function, tab, code = name.partition("\t")
            if tab:
                counts[function, code] = int(count)
    return counts


def tool(name, arguments, text):
    done = subprocess.run([name, FEATURES, *arguments],
                          input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr[-2000:]}")
    return done.stdout


def disassemble(llvm, codes):
    """Text of each instruction word that occurs in the blocks."""
    words = sorted({code[i:i + 8] for code in codes for i in range(0, len(code), 8)})
    lines = [" ".join(f"0x{word[i:i + 2]}" for i in range(0, 8, 2)) for word in words]
    out = tool(f"{llvm}/llvm-mc", ["--disassemble", "--triple=aarch64-linux-gnu"], "\n".join(lines))
    texts = [line.strip() for line in out.splitlines() if line.strip() and line.strip() != ".text"]
    if len(texts) != len(words):
        sys.exit(f"{len(words)} instructions, {len(texts)} disassembled")
    return dict(zip(words, texts))


def cycles(llvm, cpu, blocks):
    """Cycles of one repetition of each block, given as lists of instructions."""
    repeated = 100
    regions = [f"# LLVM-MCA-BEGIN {i}\n" + "\n".join(block) + "\n# LLVM-MCA-END" for i, block in enumerate(blocks)]
    options = ["-mtriple=aarch64-linux-gnu", f"-mcpu={cpu}", f"-iterations={repeated}", "--json", "--skip-unsupported-instructions=lack-sched"]
    out = json.loads(tool(f"{llvm}/llvm-mca", options, "\n".join(regions) + "\n"))
    return [region["SummaryView"]["TotalCycles"] / repeated for region in out["CodeRegions"]]


def products(instruction):
    """Multiplications of an instruction, and the register they are added up in."""
    name, _, operands = instruction.partition("\t")
    result = re.match(r"(v\d+)\.(\d+)[bhsd]", operands)
    if not MULTIPLY.match(name) or not result:
        return 0, None
    return int(result[2]) * PRODUCTS.get(name, 1), result[1]


def details(parts, number):
    """Prints the costliest functions and loops of (function, block, executions, cycles of one)."""
    functions = {}
    for function, block, executions, each in parts:
        counts, spent = functions.get(function, (0, 0))
        functions[function] = counts + executions * len(block), spent + executions * each
    for function, (counts, spent) in sorted(functions.items(), key=lambda f: -f[1][1])[:number]:
        print(f"{counts / 1e6:8.2f} {spent / 1e6:8.2f} {function}")
    print()
    for function, block, executions, each in sorted(parts, key=lambda part: -part[2] * part[3]):
        multiplied = [products(instruction) for instruction in block]
        macs, registers = sum(n for n, _ in multiplied), len({register for n, register in multiplied if n})
        if macs > len(block) and number > 0:
            number -= 1
            print(f"{executions * each / 1e6:8.2f} {macs:4} {registers:3} {each:7.2f} {each / macs:.4f} {function}")


def main():
    arguments = sys.argv[1:]
    shown = int(arguments.pop(arguments.index("--details") + 1)) if "--details" in arguments else 0
    llvm, cpu, few, many, runs = [a for a in arguments if a != "--details"]
    difference = read(many)
    difference.subtract(read(few))
    counts = {block: count / int(runs) for block, count in difference.items() if count > 0}
    total, covered, chosen = sum(difference.values()) / int(runs), 0, []
    for block, count in sorted(counts.items(), key=lambda item: -item[1]):
        if covered >= COVERED * total:
            break
        covered += count
        chosen.append((block, count))
    text = disassemble(llvm, [code for (_, code), _ in chosen])
    blocks = [[text[code[i:i + 8]] for i in range(0, len(code), 8)] for (_, code), _ in chosen]
    parts = [(function, block, count / len(block), each)
             for ((function, _), count), block, each in zip(chosen, blocks, cycles(llvm, cpu, blocks))]
    spent = sum(executions * each for *_, executions, each in parts)
    print(f"{total / 1e6:.1f} {spent * total / covered / 1e6:.1f}")
    if shown:
        details(parts, shown)


main()
