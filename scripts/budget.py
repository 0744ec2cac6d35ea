"""The measuring part of budget.sh: samples the server, groups the samples, prints the table."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter

import bench
import echo_request as echo
import servers

SAMPLES_PER_SECOND = 4_000
WARM_UP_SECONDS = 0.5

environment = os.environ
rounds, seconds = int(environment["ROUNDS"]), float(environment["SECONDS_EACH"])
server_cpu, load_cpu = int(environment["SERVER_CPU"]), int(environment["LOAD_CPU"])
target = environment["TARGET"]

# A sample belongs to the first group of which a name stands in one of its functions: of the kernel's all callers count,
# of the server's own only the function itself, in which others may have been inlined.
KERNEL = [
    ("kernel: send, and what loopback delivers at once", ("io_send", "io_sendmsg", "__sys_sendto", "__sys_sendmsg")),
    ("kernel: receive", ("io_recv", "__sys_recvfrom", "__sys_recvmsg")),
    ("kernel: waiting for sockets (poll)", ("io_arm_apoll", "io_poll", "apoll")),
    ("kernel: the ring, system calls, interrupts", ("",)),
]
SERVER = [
    ("clock reads", ("clock_gettime", "Instant::", "Timespec", "Clock::")),
    ("moves, copies and comparisons of memory", ("memmove", "memcpy", "memset", "memcmp")),
    ("allocation", ("malloc", "calloc", "realloc", "_int_free", "cfree", "alloc::")),
    ("histograms and counters", ("hdrhistogram", "weir::metrics")),
    ("executor", ("glommio",)),
    ("ring: submit and reap", ("io_uring", "weir::ring", "syscall")),
    ("JSON: structure, tape, numbers", ("simd_json", "weir::jsonrpc", "serde_json")),
    ("HTTP: head, admission, answer's head", ("httparse", "memchr", "weir::wire", "weir::transport")),
    ("protocol: envelope, era, answer", ("weir::mcp", "weir::session")),
    ("tool: lookup, schema, start, run", ("weir::registry", "weir::demo")),
    ("shard: connections, handlers, queue, timers", ("weir::",)),
    ("everything else of the server", ("",)),
]


def group(frames):
    """The group of a sample, whose innermost function comes first; each frame is a function and its object."""
    function, is_kernel = frames[0]
    if is_kernel:
        functions = [name for name, _ in frames]
        return next(title for title, names in KERNEL if any(name in caller for name in names for caller in functions))
    return next(title for title, names in SERVER if any(name in function for name in names))


def samples(file):
    """The frames of each sample, from `perf script`."""
    command = ["perf", "script", "-i", file, "-F", "ip,sym,dso"]
    text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout
    for block in text.strip().split("\n\n"):
        frames = []
        for line in filter(str.strip, block.splitlines()):
            _, _, rest = line.strip().partition(" ")
            function, _, binary = rest.rpartition(" (")
            frames.append((function, "kernel" in binary))
        if frames:
            yield frames


def measure(binary, body, folder):
    """CPU microseconds of each group for one echo."""
    with servers.weir(binary, server_cpu) as server:
        echo.check(server.address, "modern")
        options = [
            "--pid", server.pid, "--clients", environment["CLIENTS"], "--cpus", load_cpu,
            "--duration", bench.time(seconds), "--warm-up", bench.time(WARM_UP_SECONDS),
        ]  # fmt: skip
        command = bench.command(f"{target}/weir", server.address, body, echo.headers("modern"), *options)
        load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        file = f"{folder}/perf.data"
        record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(SAMPLES_PER_SECOND), "-g", "-p", str(server.pid)]
        subprocess.run([*record, "-o", file, "--", "sleep", str(seconds)], check=True, stderr=subprocess.DEVNULL)
        report, _ = load.communicate()
    counts = Counter(map(group, samples(file)))
    micros = cpu_micros(json.loads(report))
    return {title: micros * count / counts.total() for title, count in counts.items()}


def cpu_micros(run):
    if run["errors"]:
        sys.exit(f"{run['errors']} answers were wrong or lost")
    return run["server_cpu_micros_per_request"]


def main():
    binaries = {"now": f"{target}/weir"}
    if environment["BEFORE"]:
        binaries = {"before": environment["BEFORE"], **binaries}
    sums = {name: Counter() for name in binaries}
    with tempfile.TemporaryDirectory() as folder:
        body = f"{folder}/body.json"
        with open(body, "w") as file:
            file.write(echo.body("modern"))
        for turn in range(rounds):
            order = list(binaries.items())
            for name, binary in order if turn % 2 == 0 else reversed(order):
                sums[name].update(measure(binary, body, folder))
    print("| ns of an echo | " + " | ".join(binaries) + " |\n|---|" + "---|" * len(binaries))

    def line(title, titles):
        cells = [f"{1e3 * sum(own[each] for each in titles) / rounds:,.0f}" for own in sums.values()]
        print(f"| {title} | " + " | ".join(cells) + " |")

    kernel, server = [title for title, _ in KERNEL], [title for title, _ in SERVER]
    for title in kernel + server:
        line(title, [title])
    line("**kernel**", kernel)
    line("**server**", server)
    line("**both**", kernel + server)


main()
