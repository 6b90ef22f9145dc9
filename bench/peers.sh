#!/usr/bin/env bash
# peers.sh [ctranslate2] [llama]: installs what decant is measured against from
# PyPI, each in a virtual environment in build/bench: CTranslate2 with
# transformers and torch (py), llama.cpp of llama-cpp-python, which is compiled
# for this machine and takes some 20 minutes (llama). Both without an argument.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/bench
[ $# -gt 0 ] || set -- ctranslate2 llama
for peer; do
  case $peer in
    ctranslate2)
      python3 -m venv build/bench/py
      build/bench/py/bin/pip install -q torch==2.13.0 transformers==5.23.0 \
        sentencepiece sacrebleu safetensors ctranslate2 gguf ;;
    llama)
      python3 -m venv build/bench/llama
      build/bench/llama/bin/pip install -q llama-cpp-python==0.3.36 ;;
    *) echo "peers.sh: knows ctranslate2 and llama, not $peer" >&2; exit 1 ;;
  esac
done
