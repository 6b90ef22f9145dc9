"""speed.py HF_DIR: the bundled model in decant, transformers and CTranslate2.

The same sentences of the held-out pairs, one sentence (the mean over 32 of
them, one after the other) and a batch of 32, greedy and beam 4, on 1 and 2
threads, float32 and 8-bit weights. All candidates of a row run in turn, A B C
A B C, and the table gives medians, so a noisy machine is noisy to all of them.
Ids in, ids out: no tokenizer is measured.
"""
import os
import platform
import statistics
import subprocess
import sys
import time

HF_DIR = sys.argv[1]
ROUNDS = int(os.environ.get('ROUNDS', 5))
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, ROOT + '/models/training')


def sentences(n):
    """Every k-th held-out German sentence, as Marian ids."""
    import json
    import sentencepiece
    from prepare import split
    test = split(ROOT + '/../shared/data/tatoeba-deu-eng/deu.txt.gz')[2]
    sp = sentencepiece.SentencePieceProcessor(model_file=HF_DIR + '/source.spm')
    vocab = json.load(open(HF_DIR + '/vocab.json'))
    chosen = [de for de, _ in test[::len(test) // n][:n]]
    return [[vocab.get(p, 1) for p in sp.encode(de, out_type=str)] + [0]
            for de in chosen]


class Decant:
    def __init__(self, path):
        self.path = path
        self.process = subprocess.Popen(
            ['lua5.4', 'bench/speed.lua'], cwd=ROOT, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def prepare(self, threads):
        self.ask(f'load {self.path} {threads}')

    def run(self, batch, beams):
        self.ask('clear')
        for ids in batch:
            self.ask('ids ' + ' '.join(map(str, ids)))
        seconds, tokens = self.ask(f'run {beams}').split()
        return float(seconds), int(tokens)


class Transformers:
    def __init__(self):
        import torch
        from transformers import MarianMTModel
        self.torch = torch
        self.model = MarianMTModel.from_pretrained(HF_DIR).eval()
        self.pad = self.model.config.pad_token_id

    def prepare(self, threads):
        self.torch.set_num_threads(threads)

    def run(self, batch, beams):
        longest = max(map(len, batch))
        ids = self.torch.tensor(
            [x + [self.pad] * (longest - len(x)) for x in batch])
        began = time.perf_counter()
        with self.torch.inference_mode():
            out = self.model.generate(
                input_ids=ids, attention_mask=(ids != self.pad).long(),
                num_beams=beams, max_new_tokens=64, early_stopping=beams > 1)
        seconds = time.perf_counter() - began
        return seconds, int((out[:, 1:] != self.pad).sum())


class CTranslate2:
    def __init__(self, compute_type):
        import json
        self.compute_type = compute_type
        self.directory = os.path.join(ROOT, 'build/bench/ct2')
        if not os.path.exists(self.directory):
            import ctranslate2.converters
            converter = ctranslate2.converters.TransformersConverter(HF_DIR)
            converter.convert(self.directory)
        vocab = json.load(open(HF_DIR + '/vocab.json'))
        self.pieces = {i: p for p, i in vocab.items()}

    def prepare(self, threads):
        import ctranslate2
        self.translator = ctranslate2.Translator(
            self.directory, compute_type=self.compute_type,
            intra_threads=threads, inter_threads=1)

    def run(self, batch, beams):
        tokens = [[self.pieces[i] for i in ids] for ids in batch]
        began = time.perf_counter()
        out = self.translator.translate_batch(
            tokens, beam_size=beams, max_decoding_length=64,
            max_batch_size=0)
        seconds = time.perf_counter() - began
        return seconds, sum(len(r.hypotheses[0]) + 1 for r in out)


def one_by_one(candidate, batch, beams):
    runs = [candidate.run([ids], beams) for ids in batch]
    return sum(s for s, _ in runs), sum(n for _, n in runs)


def together(candidate, batch, beams):
    return candidate.run(batch, beams)


def row(candidates, batch, beams, work):
    """Medians of (sentences/s, tokens/s) of each, runs interleaved."""
    figures = [[] for _ in candidates]
    for i in range(ROUNDS + 1):
        for candidate, list_ in zip(candidates, figures):
            seconds, tokens = work(candidate, batch, beams)
            if i > 0:  # the first is a warm-up
                list_.append((len(batch) / seconds, tokens / seconds))
    return [tuple(statistics.median(x) for x in zip(*list_))
            for list_ in figures]


def processor():
    for line in open('/proc/cpuinfo'):
        if line.startswith('model name'):
            return line.split(':')[1].strip()
    return platform.machine()


def main():
    batch = sentences(32)
    names = ['decant q8_0', 'decant f32', 'CTranslate2 int8',
             'CTranslate2 f32', 'transformers f32']
    candidates = [Decant('de-en'), Decant('build/bench/de-en-f32.gguf'),
                  CTranslate2('int8'), CTranslate2('float32'), Transformers()]
    print(f'{time.strftime("%Y-%m-%d")}, {processor()}, {os.cpu_count()} '
          f'processors, {ROUNDS} interleaved rounds, medians: '
          'sentences/s (tokens/s)\n')
    print('| threads | search | input | ' + ' | '.join(names) + ' |')
    print('|---' * (len(names) + 3) + '|')
    for threads in (1, 2):
        for candidate in candidates:
            candidate.prepare(threads)
        for beams, search in ((1, 'greedy'), (4, 'beam 4')):
            for work, label in ((one_by_one, 'one sentence'),
                                (together, 'batch of 32')):
                cells = row(candidates, batch, beams, work)
                print(f'| {threads} | {search} | {label} | ' + ' | '.join(
                    f'{s:.0f} ({t:.0f})' for s, t in cells) + ' |', flush=True)


if __name__ == '__main__':
    main()
