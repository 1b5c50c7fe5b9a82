#!/bin/sh
# The programs behind RESULTS.md, one after the other; a quiet machine of two cores needs ten minutes
# or more.
#
#   bench/run.sh BUILD [PYTHON]     BUILD: a release build with -DLATHE_BENCHMARKS=ON
#                                   PYTHON: an interpreter with torch, stable-baselines3 and
#                                   gymnasium, for the comparisons
set -eu
build=${1:?usage: bench/run.sh BUILD [PYTHON]}
python=${2:-}
here=$(dirname "$0")

date -u
uptime
lscpu | grep -E 'Model name|^CPU\(s\)|L2|L3'
echo
echo "== A training step of GPT-2 124M beside its matrix products by oneDNN"
"$build/bin/bench_step" --rounds 3 --limit 25
"$build/bin/bench_masked" --rounds 3 --limit 25
echo
echo "== Writing with GPT-2 124M"
"$build/bin/bench_generate" --rounds 5
echo
echo "== Own matrix products beside oneDNN, 1024 tokens"
"$build/bin/bench_gemm" --benchmark_filter='2304|50257' --benchmark_counters_tabular=true
if [ -n "$python" ]; then
  echo
  echo "== Beside PyTorch, in turns"
  python3 "$here/compare.py" "$build" --rounds 3 --python "$python"
  echo
  echo "== Reinforcement learning on CartPole beside Stable-Baselines3 and a loop of CleanRL's form"
  python3 "$here/compare_rl.py" "$build" --rounds 5 --python "$python"
fi
uptime
