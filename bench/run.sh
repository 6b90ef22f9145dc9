#!/usr/bin/env bash
# run.sh [HF_DIR]: speed of the bundled model beside transformers and
# CTranslate2, and of the strategies in Lua beside the same loops in C; the
# tables go to the screen and to the end of bench/LOG.md.
# Python packages go into a virtual environment in build/bench.
set -euo pipefail
cd "$(dirname "$0")/.."
work=build/bench
mkdir -p "$work"
if [ ! -x "$work/py/bin/python" ]; then
  python3 -m venv "$work/py"
  "$work/py/bin/pip" install -q torch==2.13.0 transformers==5.23.0 \
    sentencepiece sacrebleu safetensors ctranslate2 gguf
fi
hf=${1:-$work/hf}
[ -f "$hf/config.json" ] || "$work/py/bin/python" bench/export.py \
  models/de-en.gguf "$hf"
bin/decant convert --type f32 "$hf" "$work/de-en-f32.gguf"
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-}
[ -n "$OMP_WAIT_POLICY" ] || unset OMP_WAIT_POLICY
{
  echo
  echo "## $(git log -1 --format='%h %s')"
  echo
  "$work/py/bin/python" bench/speed.py "$hf"
  echo
  "$work/py/bin/python" bench/tokenizer_speed.py
  echo
  lua5.4 bench/processors.lua "$work/py/bin/python"
  echo
  make -s build/bench/loops
  lua5.4 bench/loops.lua
} 2>"$work/errors" | tee -a bench/LOG.md
