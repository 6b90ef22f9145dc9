#!/usr/bin/env bash
# run.sh [WHAT ...]: the benchmarks beside the peers that are installed
# (bench/peers.sh, or the Pythons that the variables PEERS_PYTHON and
# LLAMA_PYTHON name); a peer that is not is left out. The tables go to the
# screen and to the end of bench/LOG.md. Without an argument everything, in
# about a quarter of an hour:
#
#   limits     what the machine can do
#   causal     a decoder of 135M weights beside llama.cpp; draws roofline.svg
#   types      each type of quantised weights beside llama.cpp
#   base       the Transformer base beside CTranslate2
#   bundled    the bundled model beside CTranslate2 and transformers
#   start      from nothing to the first scores
#   waiting    threads that wait, alone and beside a busy process
#   rest       tokenizers, processors, loops in Lua beside loops in C
set -euo pipefail
cd "$(dirname "$0")/.."
work=build/bench
python=${PEERS_PYTHON:-$work/py/bin/python}
mkdir -p "$work"
make -s "$work/limits" "$work/loops"
[ -n "${OMP_WAIT_POLICY:-}" ] || unset OMP_WAIT_POLICY

has_python() { "$python" -c "import $1" 2>>"$work/errors"; }

limits() {
  echo "| limit | threads | value |"
  echo "|---|---|---|"
  for what in multiply read; do
    "$work/limits" "$what" | sed 's/^/| /; s/\t/ | /g; s/$/ |/; s/^| # //'
  done
}

causal() {
  rm -f "$work/results.tsv"
  for what in one depth rows prefill; do
    lua5.4 bench/decode.lua "$what" 3
    echo
  done
  lua5.4 bench/roofline.lua
}

types() { lua5.4 bench/decode.lua types 2; }

# The same numbers for all: the weights of decant's file, for the peers.
export_model() {  # GGUF DIRECTORY F32_GGUF
  [ -f "$2/config.json" ] || "$python" bench/export.py "$1" "$2"
  [ -f "$3" ] || bin/decant convert --type f32 "$1" "$3"
}

base() {
  has_python ctranslate2 || { echo "CTranslate2 is not installed."; return; }
  local gguf=$work/base-q8_0.gguf
  [ -f "$gguf" ] || lua5.4 bench/random.lua "$gguf"
  export_model "$gguf" "$work/base" "$work/base-f32.gguf"
  for beams in 1 4; do "$python" bench/speed.py base $beams; echo; done
}

bundled() {
  has_python ctranslate2 || { echo "CTranslate2 is not installed."; return; }
  export_model models/de-en.gguf "$work/hf" "$work/de-en-f32.gguf"
  for beams in 1 4; do "$python" bench/speed.py bundled $beams; echo; done
}

start() { lua5.4 bench/start.lua; }

waiting() { lua5.4 bench/waiting.lua; }

rest() {
  ! has_python tokenizers || "$python" bench/tokenizer_speed.py
  echo
  lua5.4 bench/processors.lua "$python"
  echo
  lua5.4 bench/loops.lua
}

[ $# -gt 0 ] || set -- limits causal types base bundled start waiting rest
: >"$work/errors"
{
  echo
  echo "## $(git log -1 --format='%h %s')"
  for what; do
    echo
    "$what"
  done
} 2>>"$work/errors" | tee -a bench/LOG.md
