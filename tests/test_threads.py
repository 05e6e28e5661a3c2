"""How many threads `smooth` takes, and that they change nothing."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ewma import _threads, smooth, std, var, write_scalars
from ewma._threads import SAMPLES_PER_THREAD, thread_count

LONG = 2 * SAMPLES_PER_THREAD


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.999, 0.999999, 1.0])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
@pytest.mark.parametrize("gaps", [False, True])
def test_one_long_series(beta, dtype, gaps):
    x = 3 + noise(LONG + 77).astype(dtype)
    if gaps:
        x[np.random.default_rng(1).random(len(x)) < 0.01] = np.nan
        x[LONG // 2 - 900 : LONG // 2 + 900] = np.nan  # where a thread would start
    for ignore_na in (True, False):
        one = smooth(x, beta, ignore_na=ignore_na, threads=1)
        two = smooth(x, beta, ignore_na=ignore_na, threads=2)
        np.testing.assert_allclose(two, one, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    "shape", [(300, LONG // 300 + 1), (LONG // 300 + 1, 300), (2, 7, LONG // 8)]
)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_many_series(shape, axis):
    x = noise(*shape)
    for order in "CF":
        y = np.asarray(x, order=order)
        one = smooth(y, 0.9, axis=axis, threads=1)
        np.testing.assert_allclose(
            smooth(y, 0.9, axis=axis, threads=2), one, rtol=1e-14, atol=1e-15
        )


def test_in_place():
    x = noise(LONG)
    expected = smooth(x, 0.9, threads=1)
    assert smooth(x, 0.9, out=x, threads=4) is x
    np.testing.assert_array_equal(x, expected)


def test_a_constant_stays_to_the_bit():
    x = np.full(LONG, 0.1)
    for beta in (0.9, 0.99999, 1.0):
        np.testing.assert_array_equal(smooth(x, beta, threads=2), x)


def test_a_short_series_takes_one(monkeypatch):
    monkeypatch.delenv("EWMA_NUM_THREADS", raising=False)
    monkeypatch.setattr(_threads, "_cores", lambda: 8)
    assert thread_count(LONG - 1, None) == 1
    assert thread_count(LONG, None) == 2
    assert thread_count(100 * LONG, None) == 8
    assert thread_count(LONG - 1, 5) == 1
    assert thread_count(100 * LONG, 5) == 5


def test_environment_variable(monkeypatch):
    monkeypatch.setattr(_threads, "_cores", lambda: 8)
    monkeypatch.setenv("EWMA_NUM_THREADS", "3")
    assert thread_count(100 * LONG, None) == 3
    assert thread_count(100 * LONG, 2) == 2
    monkeypatch.setenv("EWMA_NUM_THREADS", "")
    assert thread_count(100 * LONG, None) == 8
    for bad in ("0", "many", "1.5"):
        monkeypatch.setenv("EWMA_NUM_THREADS", bad)
        with pytest.raises(ValueError, match=f"EWMA_NUM_THREADS must be .* received '{bad}'"):
            smooth(np.zeros(LONG))


@pytest.mark.parametrize("bad", [0, -1, 1.5, "2.5", True, None.__class__])
def test_bad_threads(bad):
    with pytest.raises(ValueError, match="threads must be a whole number of at least 1"):
        smooth(np.zeros(3), threads=bad)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_after_a_fork():
    program = f"""
import os, numpy as np, ewma
x = np.arange({LONG}.0)
expected = ewma.smooth(x, threads=2)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(ewma.smooth(x, threads=2), expected) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    # -P: the source folder, where the tests are started, has no compiled part.
    subprocess.run([sys.executable, "-P", "-c", program], check=True, timeout=100)


# What a daemon thread may be in when a program ends, over and over again.
AT_THE_END = {
    "smooth": "ewma.smooth(x)",
    "var": "ewma.var(x)",
    "choose_beta": "ewma.choose_beta(x)",
    "EMA": "ewma.EMA(0.9).update(x)",
    "read_scalars": "ewma.read_scalars('.')",
    "read_scalars with tags": "ewma.read_scalars('.', tags='a*')",
}


@pytest.mark.parametrize("work", AT_THE_END)
def test_a_program_ends_while_daemon_threads_work(work, tmp_path):
    points = pd.DataFrame(
        {"run": "r", "tag": "a", "step": np.arange(300_000), "wall_time": 0.0, "value": 1.0}
    )
    write_scalars(points, tmp_path)
    program = f"""
import threading, numpy as np, ewma
x = np.arange(300_000.0)
under_way = threading.Barrier(3)
def keep_working():
    {AT_THE_END[work]}
    under_way.wait()
    while True:
        {AT_THE_END[work]}
for _ in range(2):
    threading.Thread(target=keep_working, daemon=True).start()
under_way.wait()
{AT_THE_END[work]}  # meanwhile they come to be in the midst of theirs
"""
    for _ in range(3):
        command = [sys.executable, "-P", "-c", program]
        subprocess.run(command, check=True, timeout=100, cwd=tmp_path)


@pytest.mark.parametrize("ignore_na", [False, True])
@pytest.mark.parametrize("debias", [False, True])
@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999])
@pytest.mark.parametrize("gap", [(-5000, 5000), (-300, 100), (-400, -1), (-LONG // 2, 0)], ids=str)
def test_a_gap_where_the_series_is_cut(gap, beta, debias, ignore_na):
    # A piece must start from the mean before the gap, however little that weighs by then.
    x = np.random.default_rng(7).standard_normal(LONG)
    middle = len(x) // 2
    x[middle + gap[0] : middle + gap[1]] = np.nan
    x[middle - 4000] = 1e3
    for fill in (False, True):
        options = {"debias": debias, "ignore_na": ignore_na, "fill": fill}
        expected = smooth(x, beta, **options, threads=1)
        smoothed = smooth(x, beta, **options, threads=2)
        np.testing.assert_allclose(smoothed, expected, rtol=0, atol=1e-12)


TIMES = np.random.default_rng(8).integers(0, 3, LONG).cumsum()


@pytest.mark.parametrize("share", [0.0, 1e-5, 0.1])
@pytest.mark.parametrize(
    "options",
    [{}, {"bias": True}, {"times": TIMES}, {"times": TIMES, "weighting": "time"}],
    ids=lambda options: " ".join(options),
)
@pytest.mark.parametrize("beta", [0.0, 0.9, 0.9999, 1.0])
def test_other_statistics(beta, options, share):
    x = noise(LONG)
    x[np.random.default_rng(9).random(LONG) < share] = np.nan
    functions = [var, std] if "bias" in options else [var, smooth]
    for function, ignore_na in ((functions[0], False), (functions[1], True)):
        if function is smooth and not options:
            continue
        one = function(x, beta, **options, ignore_na=ignore_na, threads=1)
        two = function(x, beta, **options, ignore_na=ignore_na, threads=2)
        np.testing.assert_allclose(two, one, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.int16, np.float16, np.complex128])
def test_other_types(dtype):
    x = (100 * noise(LONG)).astype(dtype)
    one, two = (smooth(x, [0.5, 0.999], threads=threads) for threads in (1, 2))
    np.testing.assert_allclose(two, one, rtol=0, atol=1 if dtype == np.float16 else 1e-12)


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("function", [var, smooth])
def test_fewer_series_than_threads(function, threads):
    x = noise(3, LONG)
    x[1, : LONG // 2] = np.nan
    x[1, 0] = 1e3
    beta = 0.9 if function is var else [0.9, 0.99]
    for block, axis in ((x, 1), (np.ascontiguousarray(x.T), 0)):
        one, two = (function(block, beta, axis=axis, threads=n, fill=True) for n in (1, threads))
        np.testing.assert_allclose(two, one, rtol=1e-12, atol=1e-12)


def test_a_spike_before_the_cut():
    x = noise(2 * LONG)
    x[LONG - 400] = 1e15
    np.testing.assert_allclose(std(x, threads=2), std(x, threads=1), rtol=1e-9)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="not on this system")
def test_cores_stay_as_they_are():
    x = noise(LONG)
    cores = os.sched_getaffinity(0)
    for some in (cores, {min(cores)}):
        os.sched_setaffinity(0, some)
        try:
            for _ in range(20):
                two = smooth(x, 0.9, threads=2)
            assert os.sched_getaffinity(0) == some
        finally:
            os.sched_setaffinity(0, cores)
        np.testing.assert_allclose(two, smooth(x, 0.9, threads=1), rtol=1e-14, atol=1e-15)


THREADS_THAT_END_AT_ONCE = """
#include <cstdio>
#include <dlfcn.h>
#include <filesystem>
#include "threads.hpp"
int sent_away = 0;
// In the place of the system's: waits a while for the thread to end, and then calls that one.
int pthread_setaffinity_np(pthread_t thread, std::size_t size, const cpu_set_t* cores) {
  for (int i = 0; i < 100; ++i) {
    std::filesystem::directory_iterator threads("/proc/self/task"), end;
    if (std::distance(threads, end) == 1) break;
    std::this_thread::yield();
  }
  ++sent_away;
  using Function = int (*)(pthread_t, std::size_t, const cpu_set_t*);
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, "pthread_setaffinity_np"))(
      thread, size, cores);
}
int main() {
  cpu_set_t before, after;
  sched_getaffinity(0, sizeof before, &before);
  if (CPU_COUNT(&before) < 2) return std::puts("one core"), 0;
  std::atomic<int> calls{0};
  do {
    ewma::side_by_side(3, [&](std::size_t) { ++calls; });
    sched_getaffinity(0, sizeof after, &after);
  } while (sent_away < 10 && calls < 30000 && CPU_EQUAL(&before, &after));
  std::puts(CPU_EQUAL(&before, &after) && calls % 3 == 0 ? "unchanged" : "changed");
}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no thread is sent away")
def test_cores_stay_as_they_are_when_threads_end_early(tmp_path):
    (tmp_path / "main.cpp").write_text(THREADS_THAT_END_AT_ONCE)
    native = Path(__file__).parents[1] / "ewma/_native"
    options = ["-std=c++17", "-pthread", f"-I{native}", "main.cpp", "-o", "main", "-ldl"]
    subprocess.run(["c++", *options], cwd=tmp_path, check=True)
    answer = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    assert answer.stdout in ("unchanged\n", "one core\n")


@pytest.mark.skipif(sys.platform != "linux", reason="takes Linux's limit of memory")
def test_no_memory_in_a_thread():
    """The states of 4 million groups in each of two threads are more than there is room for."""
    script = """
import resource
import numpy as np
import ewma
n = 4_000_000
x, by = np.ones((n, 2)), np.arange(n)
ewma.smooth(x[:10], by=by[:10])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 600_000_000,) * 2)
try:
    ewma.smooth(x, by=by, threads=2)
except MemoryError:
    print("MemoryError")
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (answer.returncode, answer.stdout) == (0, "MemoryError\n"), answer.stderr
