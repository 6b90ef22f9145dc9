#!/bin/sh
# run.sh SECONDS [TARGET...]: coverage-guided fuzzing (libFuzzer) of whatever
# reads files, with the address and undefined-behaviour sanitizers; `make fuzz`
# builds the objects first. Each target (a C file here) runs for SECONDS on
# the corpus in build-fuzz/corpus, which grows from run to run. An input that
# breaks something is kept in build-fuzz/findings; it belongs into a spec.
set -eu
cd "$(dirname "$0")/../.."
seconds=$1
shift
build=build-fuzz
objects=$(ls src/*/*.c | grep -v ^src/lua/ | sed "s|^src|$build|;s|c\$|o|")

mkdir -p $build/findings
test -d $build/corpus || lua5.4 spec/fuzz/seeds.lua $build/corpus

for target in ${*:-$(cd spec/fuzz && ls *.c | sed 's/\.c$//')}; do
  clang -std=c11 -D_GNU_SOURCE -g -O1 -Isrc -Ispec/fuzz \
    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
    spec/fuzz/"$target".c $objects -ldl -lpthread -lm -o $build/"$target"
  echo "== $target, $seconds s"
  $build/"$target" -max_total_time="$seconds" -timeout=10 -max_len=300000 \
    -rss_limit_mb=3000 -malloc_limit_mb=1500 -print_final_stats=1 \
    -artifact_prefix=$build/findings/"$target"- $build/corpus/"$target" \
    > $build/"$target".log 2>&1 || {
      echo "$target: a finding; see $build/$target.log"; tail -40 $build/"$target".log
      exit 1
    }
  grep -E "stat::number_of_executed_units|DONE" $build/"$target".log
done
